"""From an RGB image to relative depth and normals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.framing import Framing, framing_for
from e2e_depth_ros.model.checkpoint.configs import MAX_RESOLUTION
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.estimate import Estimate
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.registry import LoadedCheckpoint, load_checkpoint
from e2e_depth_ros.model.forward import forward
from e2e_depth_ros.model.memory import DEFAULT_BATCH_MEMORY_MB, batch_that_fits
from e2e_depth_ros.model.placement import device_named, dtype_named, use_threads
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import AUTO, Task
from e2e_depth_ros.model.upsampling import DEFAULT_UPSAMPLING

__all__ = ["NETWORK_STAGES", "Estimate", "Estimator"]

NETWORK_STAGES = ("encode", "denoise", "decode")
"""The stages of `Estimate.durations_s` that are the network itself; all others are what surrounds it."""


class Estimator:
    """A network that is ready to look at images.

    Don't call one estimator from several threads at once; the network already uses all of its own.

    Args:
        checkpoint: The network.
        device: Where to run.
        processing_resolution: Longer edge, pixels, at which the network works; 0 for the image's own size,
            None for the checkpoint's.
        upsampling: How depth comes from that size to the image's: "bilinear", "guided" by the outlines of the
            image (see `Estimate.outlined_depth`), or "auto": as the checkpoint says.
        batch_memory_mb: Approximate memory, 10^6 bytes, that the activations of one pass may use besides the
            weights. Ensembles and batches run in parts that fit; a single image always runs.

    Raises:
        InvalidInputError: An argument is impossible.
    """

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        *,
        device: torch.device | None = None,
        processing_resolution: int | None = None,
        upsampling: str = DEFAULT_UPSAMPLING,
        batch_memory_mb: int = DEFAULT_BATCH_MEMORY_MB,
    ) -> None:
        self.facts: CheckpointFacts = checkpoint.facts
        self.sampling: Sampling = checkpoint.sampling
        if batch_memory_mb < 1:
            raise InvalidInputError(f"expected at least 1 MB for a pass, got {batch_memory_mb}")
        self.batch_memory_mb = batch_memory_mb
        self.upsampling = self.facts.chosen_upsampling(upsampling)
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
        task: str = AUTO,
        device: str = "auto",
        dtype: str = "auto",
        processing_resolution: int | None = None,
        upsampling: str = DEFAULT_UPSAMPLING,
        num_threads: int | None = None,
        padded_prompt: bool = False,
        sampling: Sampling | None = None,
        batch_memory_mb: int = DEFAULT_BATCH_MEMORY_MB,
    ) -> Estimator:
        """Load a checkpoint onto a device.

        Args:
            model: "embedded", a folder, or a hub id (see `find_checkpoint`).
            revision: Of a hub id.
            task: What the checkpoint predicts, if its configs don't say: "auto" (as they or its name say),
                "depth", "disparity" or "normals".
            device: "auto" (a GPU where there is one), "cuda", "cuda:1", "cpu".
            dtype: "auto" (float16 on a GPU, float32 on a CPU), "float32", "float16", "bfloat16". On a CPU
                with AMX, bfloat16 takes two thirds of the time, but depth comes in steps of 0.2 to 0.4 %
                of its range.
            processing_resolution: See the class.
            upsampling: See the class.
            num_threads: Threads of torch on the CPU, for the whole process; None leaves them unchanged.
            padded_prompt: Use the empty prompt of 77 tokens instead of 2.
            sampling: How to sample; None for the defaults.
            batch_memory_mb: See the class.

        Raises:
            CheckpointError: The checkpoint is missing or incomplete.
            InvalidInputError: An argument has none of the values above, the device is absent, or the
                checkpoint can't be sampled in this way.
        """
        chosen_device = device_named(device)
        chosen_dtype = dtype_named(dtype, chosen_device)
        use_threads(num_threads)
        folder = find_checkpoint(model, revision=revision, dtype=chosen_dtype)
        checkpoint = load_checkpoint(
            folder, task=task, dtype=chosen_dtype, padded_prompt=padded_prompt, sampling=sampling
        )
        return cls(
            checkpoint,
            device=chosen_device,
            processing_resolution=processing_resolution,
            upsampling=upsampling,
            batch_memory_mb=batch_memory_mb,
        )

    @property
    def steps(self) -> int:
        """How often it runs the network per image."""
        return self.model.sampler.steps

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
        """Look at images of one size, all at once; all tasks share the encoding.

        Args:
            images: Each (H, W, 3), uint8, RGB.
            tasks: What to predict.
            stretch: Stretch the depth of each image to 0..1, as E2E-FT does. This makes a video flicker.
            synchronize: Wait for the GPU after each stage, so that each duration covers its own stage.

        Returns:
            An estimate for each image.

        Raises:
            InvalidInputError: The images are not as above, or the checkpoint doesn't predict a task.
        """
        wanted = [task for task in Task if task in tasks]
        self._check(images, wanted)
        native_size = (images[0].shape[0], images[0].shape[1])
        framing = framing_for(native_size, self.processing_resolution, self.facts.down_factor)
        frame = (framing, tuple(wanted), len(images))
        found = forward(
            self.model,
            self.facts,
            images,
            wanted,
            framing,
            self.sampling,
            last=self._last[1] if self._last is not None and self._last[0] == frame else None,
            batch=self._batch(framing),
            upsampling=self.upsampling,
            stretch=stretch,
            synchronize=synchronize,
        )
        if self.sampling.carry > 0:
            # NaN would never leave again.
            self._last = (frame, found.latents) if bool(torch.isfinite(found.latents).all()) else None
        return found.estimates

    def forget_last_frame(self) -> None:
        """Carry nothing over to the next frame (see `Sampling.carry`): it belongs to another scene."""
        self._last = None

    def _batch(self, framing: Framing) -> int:
        """Return how many images or members fit into the memory of one pass, at least one."""
        height, width = framing.padded_size
        bytes_each = self.facts.activation_floats * height * width * self.dtype.itemsize
        return batch_that_fits(bytes_each, self.batch_memory_mb)

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
