"""A checkpoint run by torch: for every family, for GPUs, and for checkpoints that weren't exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.clock import Clock
from e2e_depth_ros.model.engine.captured import CapturedForward
from e2e_depth_ros.model.engine.engine import TORCH, Place, Request
from e2e_depth_ros.model.estimate import Estimate
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.registry import LoadedCheckpoint
from e2e_depth_ros.model.forward import forward, read_maps
from e2e_depth_ros.model.limits import halvings_of
from e2e_depth_ros.model.placement import check_width
from e2e_depth_ros.model.sampling import Sampling

_FRAMES_KEPT = 4  # recorded for each kind; a camera has one


class TorchEngine:
    """A checkpoint on one of torch's devices.

    Args:
        checkpoint: The network.
        device: Where to run.
        compiled: Compile the network by torch.compile. On a GPU it then is faster; the first frame of each
            size takes minutes, and later starts read what was compiled from torch's cache.
    """

    def __init__(
        self, checkpoint: LoadedCheckpoint, device: torch.device | None = None, *, compiled: bool = False
    ) -> None:
        self.facts: CheckpointFacts = checkpoint.facts
        self.sampling: Sampling = checkpoint.sampling
        self.device = device or torch.device("cpu")
        model = checkpoint.model.to(self.device).eval()
        self.network: LatentNetwork = model.requires_grad_(requires_grad=False)
        self.dtype: torch.dtype = next(self.network.unet.parameters()).dtype
        if self.dtype != torch.float32 and self.device.type == "cpu":
            # A quarter faster. In float32 it gains little, and results would differ from diffusers' in the
            # last bits; on an H100 it cost a fifth.
            for part in (self.network.unet, self.network.vae):
                part.to(memory_format=torch.channels_last)
        if compiled:
            for part in (self.network.unet, self.network.vae.encoder, self.network.vae.decoder):
                part.compile(dynamic=False)
        # A graph repeats what it recorded: nothing may be drawn in it, nor carried over.
        self._can_be_captured = self.device.type == "cuda" and not self.network.sampler.starts_from_noise
        self._captured: dict[object, CapturedForward | None] = {}
        self._last: tuple[object, Tensor] | None = None  # of what, and its latents

    @property
    def place(self) -> Place:
        """See `Engine`."""
        threads = torch.get_num_threads() if self.device.type == "cpu" else None
        return Place(TORCH, str(self.device), str(self.dtype).removeprefix("torch."), threads)

    @property
    def steps(self) -> int:
        """See `Engine`."""
        return self.network.sampler.steps

    @property
    def prepares(self) -> bool:
        """See `Engine`: on a GPU libraries choose their algorithms."""
        return self.device.type == "cuda"

    @property
    def bytes_per_number(self) -> int:
        """See `Engine`."""
        return self.dtype.itemsize

    def run(self, images: Sequence[NDArray[np.uint8]], request: Request) -> list[Estimate]:
        """See `Engine`.

        Raises:
            InvalidInputError: In bfloat16 on a CPU, the images are too narrow to be right.
        """
        halvings = halvings_of(self.facts.down_factor, len(self.network.unet.config.down_block_types))
        check_width(request.framing.padded_size, halvings, self.device, self.dtype)
        frame = (request.framing, request.tasks, len(images))
        captured = self._capture(frame, request, len(images))
        if captured is not None:
            clock = Clock()
            maps = captured(images)
            clock.lap("network")
            return read_maps(
                maps,
                self.facts,
                images,
                request.framing,
                request.upsampling,
                clock,
                stretch=request.stretch,
            )
        found = forward(
            self.network,
            self.facts,
            images,
            request.tasks,
            request.framing,
            self.sampling,
            last=self._last[1] if self._last is not None and self._last[0] == frame else None,
            batch=request.batch,
            upsampling=request.upsampling,
            stretch=request.stretch,
            synchronize=request.synchronize,
        )
        if self.sampling.carry > 0:
            # NaN would never leave again.
            self._last = (frame, found.latents) if bool(torch.isfinite(found.latents).all()) else None
        return found.estimates

    def _capture(self, frame: object, request: Request, images: int) -> CapturedForward | None:
        """Return the recorded forward of such frames, recorded now if need be; None where it can't be."""
        too_many = request.batch is not None and images * len(request.tasks) > request.batch
        if not self._can_be_captured or too_many or request.synchronize:
            return None
        if frame not in self._captured:
            if len(self._captured) >= _FRAMES_KEPT:
                del self._captured[next(iter(self._captured))]
            try:
                self._captured[frame] = CapturedForward(
                    self.network, self.facts, request.tasks, request.framing, self.sampling, images
                )
            except RuntimeError:  # it waits for the CPU somewhere: then it runs step by step
                torch.cuda.synchronize(self.device)
                self._captured[frame] = None
        return self._captured[frame]

    def forget_last_frame(self) -> None:
        """See `Engine`."""
        self._last = None

    def hashes(self) -> Mapping[str, str]:
        """See `Engine`."""
        return self.facts.sha256()
