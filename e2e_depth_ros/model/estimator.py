"""From an RGB image to relative depth and normals."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.framing import Framing, framing_for
from e2e_depth_ros.core.maps import DepthMap, NormalMap
from e2e_depth_ros.model.checkpoint import CheckpointFacts, LoadedCheckpoint, find_checkpoint, load_checkpoint
from e2e_depth_ros.model.one_step import depth_from_decoded, normals_from_decoded
from e2e_depth_ros.model.task import Task

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""What the dtype argument may be, besides "auto"."""

NETWORK_STAGES = ("encode", "denoise", "decode")
"""The stages of `Estimate.durations_s` that are the network itself; all others are what surrounds it."""

_MIN_LENGTH = 1e-6  # of a vector that has a direction
_MIN_RANGE = 1e-6  # of depth that isn't constant: less is rounding


@dataclass(frozen=True, eq=False)
class Estimate:
    """What the network says about one image, at the image's own size.

    Attributes:
        depth: Relative depth; None where it wasn't asked for.
        normals: Surface normals; None where they weren't asked for.
        durations_s: Seconds of each stage: preprocess, encode, denoise, decode, postprocess. Those of a
            batch are shared by its images. On a GPU the stages overlap unless `synchronize` was asked for;
            their sum is right all the same.
        non_finite: Pixels whose prediction was NaN or infinite; they are invalid in the maps.
    """

    depth: DepthMap | None
    normals: NormalMap | None
    durations_s: Mapping[str, float]
    non_finite: int = 0


class Estimator:
    """A network ready to look at images.

    Calls aren't meant to run in parallel on one estimator; the network already uses all its threads.

    Args:
        checkpoint: The network.
        device: Where to run.
        processing_resolution: Longer edge, pixels, at which the network works; 0 is the image's own size,
            None the checkpoint's.
    """

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        *,
        device: torch.device | None = None,
        processing_resolution: int | None = None,
    ) -> None:
        self.facts: CheckpointFacts = checkpoint.facts
        self.device = device or torch.device("cpu")
        if processing_resolution is not None and processing_resolution < 0:
            raise InvalidInputError(f"expected a processing resolution >= 0, got {processing_resolution}")
        self.processing_resolution = (
            self.facts.processing_resolution if processing_resolution is None else processing_resolution
        )
        self.model = checkpoint.model.to(self.device).eval().requires_grad_(requires_grad=False)
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

        Raises:
            CheckpointError: The checkpoint isn't there or isn't whole.
            InvalidInputError: An argument is none of those named, or the device isn't there.
        """
        chosen_device = _device(device)
        chosen_dtype = _dtype(dtype, chosen_device)
        if num_threads is not None:
            if num_threads < 1:
                raise InvalidInputError(f"expected at least 1 thread, got {num_threads}")
            torch.set_num_threads(num_threads)
        folder = find_checkpoint(model, revision=revision, dtype=chosen_dtype)
        checkpoint = load_checkpoint(folder, tasks=tasks, dtype=chosen_dtype, padded_prompt=padded_prompt)
        return cls(checkpoint, device=chosen_device, processing_resolution=processing_resolution)

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
            latents = self.model.encode(network_input)  # (B, L, h / f, w / f)
            clock.lap("encode")
            each = [task for task in wanted for _ in images]  # (T * B), task by task
            latents = self.model.predict(latents.repeat(len(wanted), 1, 1, 1), each)
            clock.lap("denoise")
            decoded = self.model.decode(latents).float()  # (T * B, 3, h, w)
            clock.lap("decode")
            # An infinity would pass the clamps as if it were far away: let it stay visible, as NaN.
            decoded = decoded.nan_to_num(nan=torch.nan, posinf=torch.nan, neginf=torch.nan)
            maps = dict(zip(wanted, decoded.chunk(len(wanted)), strict=True))
            depths = self._depths(maps.get(Task.DEPTH), framing, stretch=stretch)
            normals = self._normals(maps.get(Task.NORMALS), framing)
        clock.lap("postprocess")
        return [
            Estimate(
                depth=depths[i][0] if depths else None,
                normals=normals[i][0] if normals else None,
                durations_s=clock.durations_s,
                non_finite=max(found[i][1] for found in (depths, normals) if found),
            )
            for i in range(len(images))
        ]

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

    def _depths(
        self, decoded: Tensor | None, framing: Framing, *, stretch: bool
    ) -> list[tuple[DepthMap, int]]:
        """Return each image's depth, and how many of its pixels are NaN."""
        if decoded is None:
            return []
        found = []
        for values in framing.invert(depth_from_decoded(decoded)[:, None])[:, 0].cpu().numpy():
            non_finite = int(np.count_nonzero(np.isnan(values)))
            stretched = _stretched(values) if stretch else values
            depth = DepthMap(stretched, np.ones(values.shape, dtype=np.bool_), self.facts.depth_kind)
            found.append((depth, non_finite))
        return found

    def _normals(self, decoded: Tensor | None, framing: Framing) -> list[tuple[NormalMap, int]]:
        """Return each image's normals, and how many of its pixels are NaN."""
        if decoded is None:
            return []
        unit = normals_from_decoded(decoded, self.facts.normals_signs, full_z_range=self.facts.full_z_range)
        found = []
        for x, y, z in framing.invert(unit).cpu():
            # Interpolation shortens; planes are faster to normalise than vectors.
            squared = x * x + y * y + z * z
            non_finite = int(torch.count_nonzero(torch.isnan(squared)))
            scale = squared.rsqrt().where(squared > _MIN_LENGTH**2, torch.nan)
            values = cv2.merge([(plane * scale).numpy() for plane in (x, y, z)])
            found.append((NormalMap(values, ~np.isnan(scale.numpy())), non_finite))
        return found


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


def _stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map the finite values to 0..1; a constant becomes 0."""
    if np.isnan(values).all():
        return values
    low, high = np.nanmin(values), np.nanmax(values)
    if high - low < _MIN_RANGE:
        return np.where(np.isnan(values), values, np.float32(0))
    return np.asarray((values - low) / (high - low), dtype=np.float32)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InvalidInputError(f"expected device auto, cuda, cuda:N or cpu, got {name!r}")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInputError(f"expected a device that is there, got {name!r}; torch sees {_gpus()}")
    return device


def _gpus() -> str:
    count = torch.cuda.device_count()
    return "no GPU" if count == 0 else f"{count} GPU{'s' if count > 1 else ''}"


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise InvalidInputError(f"expected dtype auto, {', '.join(DTYPES)}, got {name!r}")
    return DTYPES[name]
