"""From an RGB image to relative depth and normals."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.framing import Framing, framing_for
from e2e_depth_ros.model.checkpoint import (
    CheckpointFacts,
    LoadedCheckpoint,
    find_checkpoint,
    load_checkpoint,
)
from e2e_depth_ros.model.config_checks import MAX_RESOLUTION
from e2e_depth_ros.model.estimate import Estimate, read_depth, read_normals
from e2e_depth_ros.model.latent_network import LatentNetwork, in_batches
from e2e_depth_ros.model.networks import check_sampling
from e2e_depth_ros.model.placement import device_named, dtype_named, use_threads
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task

__all__ = ["NETWORK_STAGES", "Estimate", "Estimator"]

NETWORK_STAGES = ("encode", "denoise", "decode")
"""The stages of `Estimate.durations_s` that are the network itself; all others are what surrounds it."""


class Estimator:
    """A network ready to look at images.

    Calls aren't meant to run in parallel on one estimator; the network already uses all its threads.

    Args:
        checkpoint: The network.
        device: Where to run.
        processing_resolution: Longer edge, pixels, at which the network works; 0 is the image's own size,
            None the checkpoint's.
        sampling: How a network that starts from noise samples; None for the defaults. Its steps and spacing
            are those that the checkpoint was loaded with.
    """

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        *,
        device: torch.device | None = None,
        processing_resolution: int | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        self.facts: CheckpointFacts = checkpoint.facts
        self.sampling = sampling or Sampling()
        check_sampling(self.facts, self.sampling)
        self._last: tuple[object, Tensor] | None = None  # of what, and its latents
        self.device = device or torch.device("cpu")
        if processing_resolution is not None and not 0 <= processing_resolution <= MAX_RESOLUTION:
            raise InvalidInputError(
                f"expected a processing resolution of 0 to {MAX_RESOLUTION}, got {processing_resolution}"
            )
        self.processing_resolution = (
            self.facts.processing_resolution if processing_resolution is None else processing_resolution
        )
        model = checkpoint.model.to(self.device).eval()
        self.model: LatentNetwork = model.requires_grad_(requires_grad=False)
        self.dtype: torch.dtype = next(self.model.unet.parameters()).dtype
        if self.dtype != torch.float32:
            # A quarter faster on a CPU. In float32 it gains little, and results would differ from
            # diffusers' in the last bits.
            for part in (self.model.unet, self.model.vae):
                part.to(memory_format=torch.channels_last)

    @classmethod
    def load(
        cls,
        model: str | Path = "embedded",
        *,
        revision: str | None = None,
        tasks: Collection[Task] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        processing_resolution: int | None = None,
        num_threads: int | None = None,
        padded_prompt: bool = False,
        sampling: Sampling | None = None,
    ) -> Estimator:
        """Load a checkpoint onto a device.

        Args:
            model: "embedded", a folder, or a hub id (see `find_checkpoint`).
            revision: Of a hub id.
            tasks: What the checkpoint predicts, where its configs and its name don't tell.
            device: "auto" (a GPU where there is one), "cuda", "cuda:1", "cpu".
            dtype: "auto" (float16 on a GPU, float32 on a CPU), "float32", "float16", "bfloat16". On a CPU
                with AMX, bfloat16 takes two thirds of the time, but depth comes in steps of 0.2 to 0.4 %
                of its range.
            processing_resolution: See the class.
            num_threads: Threads of torch on the CPU, for the whole process; None leaves them.
            padded_prompt: Ask by the empty prompt of 77 tokens instead of 2.
            sampling: How to sample; None for the defaults.

        Raises:
            CheckpointError: The checkpoint isn't there or isn't whole.
            InvalidInputError: An argument is none of those named, the device isn't there, or the checkpoint
                can't be sampled so.
        """
        chosen_device = device_named(device)
        chosen_dtype = dtype_named(dtype, chosen_device)
        use_threads(num_threads)
        folder = find_checkpoint(model, revision=revision, dtype=chosen_dtype)
        checkpoint = load_checkpoint(
            folder, tasks=tasks, dtype=chosen_dtype, padded_prompt=padded_prompt, sampling=sampling
        )
        return cls(
            checkpoint,
            device=chosen_device,
            processing_resolution=processing_resolution,
            sampling=sampling,
        )

    @property
    def tasks(self) -> frozenset[Task]:
        """What it can predict."""
        return self.facts.tasks

    def estimate(
        self,
        rgb: NDArray[np.uint8],
        *,
        tasks: Collection[Task] = (Task.DEPTH,),
        stretch: bool = False,
        synchronize: bool = False,
    ) -> Estimate:
        """Look at one image; see `estimate_batch`."""
        return self.estimate_batch([rgb], tasks=tasks, stretch=stretch, synchronize=synchronize)[0]

    def estimate_batch(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        tasks: Collection[Task] = (Task.DEPTH,),
        stretch: bool = False,
        synchronize: bool = False,
    ) -> list[Estimate]:
        """Look at images of one size, all at once; each task shares the encoding.

        Args:
            images: Each (H, W, 3), uint8, RGB.
            tasks: What to predict.
            stretch: Stretch the depth of each image to 0..1, as E2E-FT does. In a video it flickers then.
            synchronize: Wait for the GPU after each stage, so that the stages' durations are their own.

        Returns:
            An estimate for each image.

        Raises:
            InvalidInputError: The images aren't such images, or the checkpoint doesn't predict a task.
        """
        wanted = [task for task in Task if task in tasks]
        self._check(images, wanted)
        clock = _Clock(self.device if synchronize else None)
        with torch.inference_mode():
            native_size = (images[0].shape[0], images[0].shape[1])
            framing = framing_for(native_size, self.processing_resolution, self.facts.down_factor)
            network_input = self._tensor(images, framing)  # (B, 3, h, w)
            clock.lap("preprocess")
            batch = self._batch(framing)
            latents = in_batches(self.model.encode, batch, network_input)  # (B, L, h / f, w / f)
            height, width = framing.content_size
            tokens = self.model.image_tokens(network_input[..., :height, :width])  # (B, n, d) or None
            clock.lap("encode")
            latents = self._denoise(latents, tokens, wanted, framing, batch)  # (T * B * E, L, h / f, w / f)
            clock.lap("denoise")
            decoded = in_batches(self.model.decode, batch, latents).float()  # (T * B * E, 3, h, w)
            clock.lap("decode")
            # An infinity would pass the clamps as if it were far away: let it stay visible, as NaN.
            decoded = decoded.nan_to_num(nan=torch.nan, posinf=torch.nan, neginf=torch.nan)
            decoded = decoded.view(len(wanted), len(images), self.sampling.ensemble_size, *decoded.shape[1:])
            maps = dict(zip(wanted, decoded, strict=True))  # of (B, E, 3, h, w)
            depths = (
                read_depth(maps[Task.DEPTH], framing, self.facts, stretch=stretch)
                if Task.DEPTH in maps
                else []
            )
            normals = read_normals(maps[Task.NORMALS], framing, self.facts) if Task.NORMALS in maps else []
        clock.lap("postprocess")
        return [
            Estimate(
                depth=depths[i].map if depths else None,
                normals=normals[i].map if normals else None,
                durations_s=clock.durations_s,
                non_finite=max(found[i].non_finite for found in (depths, normals) if found),
                depth_uncertainty=depths[i].uncertainty if depths else None,
                normals_uncertainty=normals[i].uncertainty if normals else None,
            )
            for i in range(len(images))
        ]

    def forget_last_frame(self) -> None:
        """Carry nothing over to the next frame (see `Sampling.carry`): it belongs to another scene."""
        self._last = None

    def _denoise(
        self, latents: Tensor, tokens: Tensor | None, tasks: Sequence[Task], framing: Framing, batch: int
    ) -> Tensor:
        """Predict the latents of each task and member, (B, ...) -> (T * B * E, ...)."""
        if not self.model.starts_from_noise:
            return self.model.denoise(latents, tasks, tokens=tokens, batch=batch)
        members = latents.repeat_interleave(self.sampling.ensemble_size, dim=0)  # (B * E, L, h / f, w / f)
        if tokens is not None:
            tokens = tokens.repeat_interleave(self.sampling.ensemble_size, dim=0)
        generator = torch.Generator()  # on the CPU: the same noise on every device
        if self.sampling.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.sampling.seed)
        noise = self.model.draw_noise(members.shape, generator, members.dtype).to(self.device)
        start = noise.repeat(len(tasks), 1, 1, 1)  # the same for each task
        frame = (framing, tuple(tasks), start.shape)
        if self._last is not None and self._last[0] == frame:
            start = start * (1 - self.sampling.carry) + self._last[1] * self.sampling.carry
        predicted = self.model.denoise(members, tasks, start, tokens=tokens, generator=generator, batch=batch)
        if self.sampling.carry > 0:
            # NaN would never leave again.
            self._last = (frame, predicted) if bool(torch.isfinite(predicted).all()) else None
        return predicted

    def _batch(self, framing: Framing) -> int:
        """Return how many images or members fit into the memory of one pass, at least one."""
        height, width = framing.padded_size
        bytes_each = self.facts.activation_floats * height * width * self.dtype.itemsize
        return max(1, self.sampling.batch_memory_mb * 10**6 // bytes_each)

    def _check(self, images: Sequence[NDArray[np.uint8]], tasks: Sequence[Task]) -> None:
        if not images:
            raise InvalidInputError("expected at least one image, got none")
        if not tasks:
            raise InvalidInputError("expected at least one task, got none")
        absent = [task.value for task in tasks if task not in self.tasks]
        if absent:
            raise InvalidInputError(
                f"checkpoint {self.facts.name} predicts {' and '.join(sorted(t.value for t in self.tasks))}; "
                f"{' and '.join(absent)} was asked for"
            )
        for image in images:
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
                found = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
                raise InvalidInputError(f"expected an RGB image of uint8 (H, W, 3), got {found}")
            if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
                raise InvalidInputError(f"expected an RGB image of shape (H, W, 3), got {image.shape}")
            if image.shape != images[0].shape:
                raise InvalidInputError(
                    f"expected images of one size, got {images[0].shape[:2]} and {image.shape[:2]}"
                )

    def _tensor(self, images: Sequence[NDArray[np.uint8]], framing: Framing) -> Tensor:
        """Fit the images to the network: (B, 3, h, w) in [-1, 1]."""
        batch = np.stack(images) if len(images) > 1 else np.ascontiguousarray(images[0])[None]
        if not batch.flags.writeable:  # torch warns of them, though nothing writes here
            batch = batch.copy()
        # Before the permutation, where memory is contiguous, and in diffusers' order, to the last bit.
        pixels = torch.from_numpy(batch).to(self.device).float().div_(255).mul_(2).sub_(1)
        return framing.apply(pixels.permute(0, 3, 1, 2)).to(self.dtype)


class _Clock:
    """Measures stages one after the other."""

    def __init__(self, device: torch.device | None) -> None:
        self.durations_s: dict[str, float] = {}
        self._device = device if device is not None and device.type == "cuda" else None
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage."""
        if self._device is not None:
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.durations_s[stage] = now - self._last
        self._last = now
