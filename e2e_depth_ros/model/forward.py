"""The one forward, from images to maps: the estimator and the validation of a training both run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.core.framing import Framing
from e2e_depth_ros.model.clock import Clock
from e2e_depth_ros.model.decoded import depth_maps, normals_maps, read_depth, read_normals
from e2e_depth_ros.model.estimate import Estimate
from e2e_depth_ros.model.families.family import LatentNetwork, in_batches
from e2e_depth_ros.model.network_facts import NetworkFacts
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.model.upsampling import DEFAULT_UPSAMPLING, chosen_upsampling, outlines_to_follow


class Forward(NamedTuple):
    """What comes of a forward.

    Attributes:
        estimates: Of each image.
        latents: (T * B * E, L, h / f, w / f), predicted for each of T tasks, B images and E members.
    """

    estimates: list[Estimate]
    latents: Tensor


class DeviceForward(NamedTuple):
    """What comes of a forward, on the network's device.

    Attributes:
        maps: Of each task, (B, C, H, W), float32, see `depth_maps` and `normals_maps`.
        latents: See `Forward`.
    """

    maps: dict[Task, Tensor]
    latents: Tensor


@torch.inference_mode()
def forward(
    network: LatentNetwork,
    facts: NetworkFacts,
    images: Sequence[NDArray[np.uint8]],
    tasks: Sequence[Task],
    framing: Framing,
    sampling: Sampling,
    *,
    last: Tensor | None = None,
    batch: int | None = None,
    upsampling: str = DEFAULT_UPSAMPLING,
    stretch: bool = False,
    synchronize: bool = False,
) -> Forward:
    """Look at images of one size, all at once; each task shares the encoding.

    Args:
        network: It predicts in the mode that it is in, wherever it is.
        facts: What its depth and normals mean.
        images: B of them, each (H, W, 3), uint8, RGB.
        tasks: T that it predicts, in the order of `Task`.
        framing: How the images are fitted to the network.
        sampling: Where a network starts that starts from noise, and how often.
        last: The latents of an earlier forward of as many images, tasks and members, of one framing, that
            `sampling.carry` takes its share of; None to carry nothing over.
        batch: How many images or members a part of the network sees at once; None for all.
        upsampling: One of `UPSAMPLINGS`: whether depth is to follow the outlines of its image.
        stretch: Stretch the depth of each image to 0..1.
        synchronize: Wait for the GPU after each stage, so that the stages' durations are their own.
    """
    device = next(network.unet.parameters()).device
    clock = _Clock(device if synchronize else None)
    pixels = torch.from_numpy(stacked(images)).to(device)
    found = forward_on_device(
        network, facts, pixels, tasks, framing, sampling, last=last, batch=batch, clock=clock
    )
    maps = {task: of_task.cpu().numpy() for task, of_task in found.maps.items()}
    chosen = chosen_upsampling(upsampling, facts.upsampling)
    estimates = read_maps(maps, facts, images, framing, chosen, clock, stretch=stretch)
    return Forward(estimates, found.latents)


@torch.inference_mode()
def forward_on_device(
    network: LatentNetwork,
    facts: NetworkFacts,
    images: Tensor,
    tasks: Sequence[Task],
    framing: Framing,
    sampling: Sampling,
    *,
    last: Tensor | None = None,
    batch: int | None = None,
    clock: Clock | None = None,
) -> DeviceForward:
    """Do the part of a forward that waits for nothing outside of the network's device; see `forward`.

    Args:
        network: See `forward`, as the rest.
        facts: What its depth and normals mean.
        images: (B, H, W, 3), uint8, on the network's device.
        tasks: What to predict.
        framing: How the images are fitted.
        sampling: Where it starts.
        last: Latents of an earlier forward.
        batch: How many items a part of the network sees at once.
        clock: Gets a lap for each stage.
    """
    clock = clock or Clock()
    dtype = next(network.unet.parameters()).dtype
    # Before the permutation, where memory is contiguous.
    pixels = framing.apply(pixels_from_images(images).permute(0, 3, 1, 2)).to(dtype)  # (B, 3, h, w)
    clock.lap("preprocess")
    latents = in_batches(network.encode, batch, pixels)  # (B, L, h / f, w / f)
    height, width = framing.content_size
    tokens = network.image_tokens(pixels[..., :height, :width])  # (B, n, d) or None
    clock.lap("encode")
    latents = _denoise(network, latents, tokens, tasks, sampling, last, batch)
    clock.lap("denoise")
    decoded = in_batches(network.decode, batch, latents).float()  # (T * B * E, 3, h, w)
    clock.lap("decode")
    # An infinity would pass the clamps as if it were far away: let it stay visible, as NaN.
    decoded = decoded.nan_to_num(nan=torch.nan, posinf=torch.nan, neginf=torch.nan)
    decoded = decoded.view(len(tasks), len(images), -1, *decoded.shape[1:])
    maps = {}
    for task, of_task in zip(tasks, decoded, strict=True):  # (B, E, 3, h, w)
        is_depth = task is Task.DEPTH
        maps[task] = (
            depth_maps(of_task, framing, facts.depth_kind)
            if is_depth
            else normals_maps(of_task, framing, facts)
        )
    return DeviceForward(maps, latents)


def read_maps(
    maps: Mapping[Task, NDArray[np.float32]],
    facts: NetworkFacts,
    images: Sequence[NDArray[np.uint8]],
    framing: Framing,
    upsampling: str,
    clock: Clock,
    *,
    stretch: bool = False,
) -> list[Estimate]:
    """Read what a forward found, image by image.

    Args:
        maps: See `DeviceForward`.
        facts: What they mean.
        images: B of them, (H, W, 3), uint8.
        framing: How they were fitted.
        upsampling: One of `OWN_UPSAMPLINGS`.
        clock: Of the forward; it gets the last lap.
        stretch: Stretch the depth of each image to 0..1.
    """
    depths = read_depth(maps[Task.DEPTH], facts.depth_kind, stretch=stretch) if Task.DEPTH in maps else []
    normals = read_normals(maps[Task.NORMALS]) if Task.NORMALS in maps else []
    clock.lap("postprocess")
    return [
        Estimate(
            depth=depths[i].map if depths else None,
            normals=normals[i].map if normals else None,
            durations_s=clock.durations_s,
            non_finite=max(found[i].non_finite for found in (depths, normals) if found),
            depth_uncertainty=depths[i].uncertainty if depths else None,
            normals_uncertainty=normals[i].uncertainty if normals else None,
            outlines=outlines_to_follow(images[i], framing, upsampling),
        )
        for i in range(len(images))
    ]


def pixels_from_images(images: Tensor) -> Tensor:
    """Bring pixels of uint8 to float32 in -1..1, as networks see them; of any shape."""
    return images.float().div_(255).mul_(2).sub_(1)  # in diffusers' order, to the last bit


def stacked(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Join images of one size, (H, W, 3) each, to a batch that torch may take as it is, (B, H, W, 3)."""
    batch = np.stack(images) if len(images) > 1 else np.ascontiguousarray(images[0])[None]
    return batch if batch.flags.writeable else batch.copy()  # torch warns, though nothing writes there


def _denoise(
    network: LatentNetwork,
    latents: Tensor,
    tokens: Tensor | None,
    tasks: Sequence[Task],
    sampling: Sampling,
    last: Tensor | None,
    batch: int | None,
) -> Tensor:
    """Predict the latents of each task and member, (B, ...) -> (T * B * E, ...)."""
    sampler = network.sampler
    if not sampler.starts_from_noise:
        return network.denoise(latents, tasks, tokens=tokens, batch=batch)
    members = latents.repeat_interleave(sampling.ensemble_size, dim=0)  # (B * E, L, h / f, w / f)
    if tokens is not None:
        tokens = tokens.repeat_interleave(sampling.ensemble_size, dim=0)
    generator = torch.Generator()  # on the CPU: the same noise on every device
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    noise = sampler.draw_noise(members.shape, generator, members.dtype).to(members.device)
    start = noise.repeat(len(tasks), 1, 1, 1)  # the same for each task
    if last is not None:
        start = start * (1 - sampling.carry) + last * sampling.carry
    return network.denoise(members, tasks, start, tokens=tokens, generator=generator, batch=batch)


class _Clock(Clock):
    """Waits for the GPU after each stage."""

    def __init__(self, device: torch.device | None) -> None:
        super().__init__()
        self._device = device if device is not None and device.type == "cuda" else None

    def lap(self, stage: str) -> None:
        """See `Clock`."""
        if self._device is not None:
            torch.cuda.synchronize(self._device)
        super().lap(stage)
