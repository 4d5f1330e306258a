"""Depth and normals that look at each other: GeoWizard (Fu et al., arXiv 2403.12013), E2E-FT or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.layout import STABLE_DIFFUSION, Configs
from e2e_depth_ros.model.families.family import LatentNetwork, NetworkFamily, Sampler, StaticInputs
from e2e_depth_ros.model.families.geowizard_clip import ImageEncoder, load_image_encoder
from e2e_depth_ros.model.families.multi_step import ScheduleSampler, ddim_scheduler
from e2e_depth_ros.model.families.one_step import OneStepSampler, denoising_step
from e2e_depth_ros.model.sampling import DOMAINS, Sampling
from e2e_depth_ros.model.task import Task

OPTICAL_AXES = ("right", "down", "forward")
"""Where GeoWizard's normals point: its training data is in the optical frame (its own tools negate them)."""

_PIPELINES = ("DepthNormalEstimationPipeline", "GeoWizardPipeline")
_TASK_CODE_SIZE = 4  # sine and cosine of two numbers
_TASK_AND_DOMAIN_CODE_SIZE = 10  # and of three more

# One task's latents go through the UNet in the batch's first half, the other's in the second.
_PAIR = (Task.DEPTH, Task.NORMALS)
_TASK_CODES = {Task.DEPTH: (0.0, 1.0), Task.NORMALS: (1.0, 0.0)}


class GeoWizardModel(LatentNetwork):
    """A latent diffusion network that predicts depth and normals together, each attending to the other.

    Args:
        unet: diffusers' UNet2DConditionModel with class embeddings; its self-attention is made joint here.
        vae: See `LatentNetwork`.
        prompt_embeddings: Version 2: "<domain> geometry", (1, n, d), for each task; version 1: empty.
        sampler: From the start to the prediction.
        domain: One of `DOMAINS`.
        image_encoder: Version 1's, see `sees_image_by_clip`; None for version 2.
    """

    def __init__(
        self,
        unet: Any,
        vae: nn.Module,
        prompt_embeddings: Mapping[Task, Tensor],
        sampler: Sampler,
        *,
        domain: str,
        image_encoder: ImageEncoder | None = None,
    ) -> None:
        # Both tasks always run, on one prompt, whichever were asked for.
        prompts = {task: prompt for prompt in prompt_embeddings.values() for task in _PAIR}
        super().__init__(unet, vae, prompts, sampler)
        self.tasks = frozenset(_PAIR)
        self.image_encoder = image_encoder
        self.domain = domain
        for name, module in unet.named_modules():
            if name.endswith(".attn1"):
                module.set_processor(JointAttention())

    def static_inputs(self, tasks: Sequence[Task]) -> StaticInputs:  # noqa: ARG002 - both always run
        """See `LatentNetwork.static_inputs`."""
        sees_image = self.image_encoder is not None
        like = next(self.unet.parameters())
        prompts = like.new_zeros(len(_PAIR), 1, 1) if sees_image else self.prompts(_PAIR)
        return StaticInputs(
            _PAIR, prompts, self._classes(self.domain, like), is_joint=True, sees_image=sees_image
        )

    def image_tokens(self, images: Tensor) -> Tensor | None:
        """See `LatentNetwork.image_tokens`."""
        return None if self.image_encoder is None else self.image_encoder(images)

    def denoise(
        self,
        image_latents: Tensor,
        tasks: Sequence[Task],
        start: Tensor | None = None,
        *,
        tokens: Tensor | None = None,
        generator: torch.Generator | None = None,
        batch: int | None = None,
        domain: str | None = None,
    ) -> Tensor:
        """See `LatentNetwork.denoise`. Both tasks are computed, whichever are asked for.

        In training `domain` is the images' kind of scene, where version 1 is to be told another than its own;
        version 2 is told by `tokens`, the prompt of each image.
        """
        self.check_start(start, len(tasks) * len(image_latents))
        if self.image_encoder is not None and tokens is None:
            raise InvalidInputError("expected tokens of the image, which this network attends to")
        if start is None:
            pair = torch.zeros_like(image_latents).repeat(2, 1, 1, 1)
        else:  # a task that wasn't asked for starts as one that was
            starts = dict(zip(tasks, start.chunk(len(tasks)), strict=True))
            pair = torch.cat([starts.get(task, starts[tasks[0]]) for task in _PAIR])
        latents = self.sampler(
            lambda latents, timestep: self._output(
                image_latents, latents, tokens, timestep, batch, domain or self.domain
            ),
            pair,
            generator,
        )
        predicted = dict(zip(_PAIR, latents.chunk(2), strict=True))
        return torch.cat([predicted[task] for task in tasks])

    def _output(
        self,
        images: Tensor,
        latents: Tensor,
        tokens: Tensor | None,
        timestep: Tensor,
        batch: int | None,
        domain: str,
    ) -> Tensor:
        """Return the UNet's output, (2 M, L, h / f, w / f): depth, then normals.

        Partners have to be in one pass: the batch holds half as many images.
        """
        depth, normals = latents.chunk(2)
        size = max(1, (batch or 2 * len(images)) // 2)
        outputs = []
        for i in range(0, len(images), size):
            part = slice(i, i + size)
            unet_input = torch.cat(
                [images[part].repeat(2, 1, 1, 1), torch.cat([depth[part], normals[part]])], 1
            )
            count = len(unet_input) // 2
            if tokens is None:
                attended = self.prompts([task for task in _PAIR for _ in range(count)])
            else:
                attended = tokens[part].repeat(2, 1, 1)
            classes = self._classes(domain, unet_input).repeat_interleave(count, dim=0)
            output: Tensor = self.unet(
                unet_input, timestep, attended, class_labels=classes, return_dict=False
            )[0]
            outputs.append(output.chunk(2))
        return torch.cat([half for halves in zip(*outputs, strict=True) for half in halves])

    def _classes(self, domain: str, like: Tensor) -> Tensor:
        """Return the class embedding's input for depth and for normals, (2, 4) or (2, 10)."""
        codes = torch.tensor([_TASK_CODES[task] for task in _PAIR], device=like.device, dtype=like.dtype)
        parts = [codes.sin(), codes.cos()]
        if self.image_encoder is not None:
            scene = torch.tensor([float(name == domain) for name in DOMAINS]).to(codes).expand(2, -1)
            parts += [scene.sin(), scene.cos()]
        return torch.cat(parts, dim=1)


class JointAttention:
    """Self-attention over both tasks: each half of the batch sees its own keys and its partner's."""

    def __call__(self, attention: Any, hidden_states: Tensor, *_: object, **__: object) -> Tensor:
        """Attend, (2 M, n, c) -> (2 M, n, c)."""

        def heads(states: Tensor) -> Tensor:
            parted = states.view(*states.shape[:2], attention.heads, -1)
            return parted.transpose(1, 2)  # (2 M, heads, n, c / heads)

        def of_both(states: Tensor) -> Tensor:
            return torch.cat(states.chunk(2), dim=1).repeat(2, 1, 1)  # (2 M, 2 n, c)

        query = heads(attention.to_q(hidden_states))
        key = heads(of_both(attention.to_k(hidden_states)))
        value = heads(of_both(attention.to_v(hidden_states)))
        attended = functional.scaled_dot_product_attention(query, key, value)
        output: Tensor = attention.to_out[0](attended.transpose(1, 2).flatten(2).to(hidden_states.dtype))
        return output


class GeoWizard(NetworkFamily):
    """GeoWizard's networks of either version, which are told their task as a class."""

    def recognises(self, configs: Configs) -> bool:
        """See `NetworkFamily.recognises`.

        The code of version 1 is its own. That of version 2 is Lotus' too, whose index names another class.
        """
        known = configs.pipeline in _PIPELINES or (
            configs.pipeline in {"", STABLE_DIFFUSION}
            and configs.class_code_size == _TASK_AND_DOMAIN_CODE_SIZE
        )
        return (
            known
            and configs.class_code_size in {_TASK_CODE_SIZE, _TASK_AND_DOMAIN_CODE_SIZE}
            and configs.reads_image_and_target
            and configs.answers_in_one_step == self.is_one_step
        )

    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> Sampler:
        """See `NetworkFamily.sampler`."""
        if self.is_one_step:
            return OneStepSampler(denoising_step(facts.scheduler_config))
        scheduler = ddim_scheduler(facts.scheduler_config, sampling.spacing)
        return ScheduleSampler(scheduler, sampling.steps or facts.steps)

    def network(
        self,
        facts: CheckpointFacts,
        unet: nn.Module,
        vae: nn.Module,
        sampling: Sampling,
        *,
        padded_prompt: bool = False,
    ) -> GeoWizardModel:
        """See `NetworkFamily.network`."""
        prompts: dict[Task, Tensor] = {}
        image_encoder = None
        if not sees_image_by_clip(facts.unet_config):
            prompts = self.prompts(facts, unet, padded=padded_prompt, text=f"{sampling.domain} geometry")
        elif facts.folder is not None:
            image_encoder = load_image_encoder(facts.folder).to(next(unet.parameters()).dtype)
        sampler = self.sampler(facts, sampling)
        return GeoWizardModel(
            unet, vae, prompts, sampler, domain=sampling.domain, image_encoder=image_encoder
        )


JOINT_ONE_STEP = GeoWizard(
    "depth and normals together, one deterministic step (GeoWizard E2E-FT)",
    is_one_step=True,
    is_joint=True,
    inputs=frozenset({"class_embed_type"}),
    normals_axes=OPTICAL_AXES,
    clips_normals=False,
)
JOINT_DIFFUSION = replace(
    JOINT_ONE_STEP,
    title="depth and normals together, diffusion from noise (GeoWizard)",
    is_one_step=False,
    default_steps=10,
)


def sees_image_by_clip(unet_config: Mapping[str, Any]) -> bool:
    """Tell version 1, which is given the image's CLIP embedding and a code of the domain.

    Version 2 is told the domain by the prompt, "indoor geometry". The size of the code tells them apart.
    """
    size = unet_config.get("projection_class_embeddings_input_dim")
    return bool(size == _TASK_AND_DOMAIN_CODE_SIZE)
