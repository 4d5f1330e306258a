"""Depth and normals that look at each other: GeoWizard (Fu et al., arXiv 2403.12013), E2E-FT or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.geowizard_clip import ImageEncoder
from e2e_depth_ros.model.latent_network import LatentNetwork
from e2e_depth_ros.model.samplers import Sampler
from e2e_depth_ros.model.sampling import DOMAINS
from e2e_depth_ros.model.task import Task

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
        image_encoder: Version 1's, see `CheckpointFacts.sees_image_by_clip`; None for version 2.
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
