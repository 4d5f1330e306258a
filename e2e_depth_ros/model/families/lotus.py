"""One step from an image to its latents, without noise or with: Lotus (He et al., arXiv 2409.18124)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.layout import STABLE_DIFFUSION, Configs
from e2e_depth_ros.model.checkpoint.prediction import E2E_FT_AXES
from e2e_depth_ros.model.families.family import LatentNetwork, NetworkFamily, StaticInputs
from e2e_depth_ros.model.families.one_step import DenoisingStep, OneStepSampler
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task

_PIPELINES = ("LotusDPipeline", "LotusGPipeline")
_SILENT = ("", STABLE_DIFFUSION)
_TASK = (1.0, 0.0)  # predict; (0, 1) would paint the image again, which only the training asks for
_CODE_SIZE = 2 * len(_TASK)  # their sines, then their cosines
_RESOLUTION = 768  # of their pipelines, whatever size the UNet's config tells

# The output is x0 itself: no scheduler runs, whichever is saved.
_OUTPUT_IS_X0 = DenoisingStep(timestep=999, x0_factor=1.0)


class LotusModel(LatentNetwork):
    """A latent network whose UNet is told by a class that it shall predict; see `LatentNetwork`."""

    def static_inputs(self, tasks: Sequence[Task]) -> StaticInputs:
        """See `LatentNetwork.static_inputs`."""
        codes = self._code(next(self.unet.parameters())).expand(len(tasks), -1)
        return StaticInputs(tuple(tasks), self.prompts(tasks), codes, clips_decoded=True)

    def unet_output(self, unet_input: Tensor, timestep: Tensor, prompts: Tensor) -> Tensor:
        """See `LatentNetwork.unet_output`."""
        code = self._code(unet_input).expand(len(unet_input), -1)
        output: Tensor = self.unet(unet_input, timestep, prompts, class_labels=code, return_dict=False)[0]
        return output

    @staticmethod
    def _code(like: Tensor) -> Tensor:
        task = torch.tensor(_TASK, device=like.device)
        return torch.cat([task.sin(), task.cos()]).to(like.dtype)

    def decode(self, latents: Tensor) -> Tensor:
        """See `LatentNetwork.decode`: each channel is held within [-1, 1], before depth is their mean.

        What isn't finite stays so, to be seen.
        """
        decoded = super().decode(latents)
        return torch.where(decoded.isfinite(), decoded.clamp(-1, 1), decoded)


class Lotus(NetworkFamily):
    """Lotus-D, which reads the image alone, and Lotus-G, which reads noise too."""

    network_class = LotusModel

    def recognises(self, configs: Configs) -> bool:
        """See `NetworkFamily.recognises`.

        Nobody else has a code of this size in a UNet that reads the image alone. With a target it may be
        GeoWizard's second version, unless the index names Lotus or the output is x0.
        """
        if configs.class_code_size != _CODE_SIZE:
            return False
        named = configs.pipeline in _PIPELINES
        if configs.reads_image_alone:
            return named or configs.pipeline in _SILENT
        returns_x0 = configs.pipeline in _SILENT and configs.scheduler.get("prediction_type") == "sample"
        return configs.reads_image_and_target and (named or returns_x0)

    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> OneStepSampler:  # noqa: ARG002 - no choice
        """See `NetworkFamily.sampler`."""
        return OneStepSampler(_OUTPUT_IS_X0, "gaussian" if _starts_from_noise(facts) else "zeros")

    def check_sampling(self, facts: CheckpointFacts, sampling: Sampling) -> None:
        """See `NetworkFamily.check_sampling`: where noise is drawn, an ensemble is of use."""
        if not _starts_from_noise(facts):
            super().check_sampling(facts, sampling)
        elif sampling.steps not in {None, 1} or sampling.carry:
            raise InvalidInputError(
                f"{facts.name} answers in one step from noise: expected steps 1 and a share carried over of "
                f"0, got {sampling.steps or 1} and {sampling.carry:g}"
            )


def _starts_from_noise(facts: CheckpointFacts) -> bool:
    return facts.in_channels == 2 * facts.latent_channels


LOTUS = Lotus(
    "one step, the output is the prediction (Lotus)",
    is_one_step=True,
    inputs=frozenset({"class_embed_type"}),
    normals_axes=E2E_FT_AXES,
    default_resolution=_RESOLUTION,
)
