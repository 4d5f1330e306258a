"""A checkpoint run by torch: for every family, for GPUs, and for checkpoints that weren't exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.engine.engine import TORCH, Place, Request
from e2e_depth_ros.model.estimate import Estimate
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.registry import LoadedCheckpoint
from e2e_depth_ros.model.forward import forward
from e2e_depth_ros.model.sampling import Sampling


class TorchEngine:
    """A checkpoint on one of torch's devices.

    Args:
        checkpoint: The network.
        device: Where to run.
    """

    def __init__(self, checkpoint: LoadedCheckpoint, device: torch.device | None = None) -> None:
        self.facts: CheckpointFacts = checkpoint.facts
        self.sampling: Sampling = checkpoint.sampling
        self.device = device or torch.device("cpu")
        model = checkpoint.model.to(self.device).eval()
        self.network: LatentNetwork = model.requires_grad_(requires_grad=False)
        self.dtype: torch.dtype = next(self.network.unet.parameters()).dtype
        if self.dtype != torch.float32:
            # A quarter faster on a CPU. In float32 it gains little, and results would differ from
            # diffusers' in the last bits.
            for part in (self.network.unet, self.network.vae):
                part.to(memory_format=torch.channels_last)
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
    def bytes_per_number(self) -> int:
        """See `Engine`."""
        return self.dtype.itemsize

    def run(self, images: Sequence[NDArray[np.uint8]], request: Request) -> list[Estimate]:
        """See `Engine`."""
        frame = (request.framing, request.tasks, len(images))
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

    def forget_last_frame(self) -> None:
        """See `Engine`."""
        self._last = None

    def hashes(self) -> Mapping[str, str]:
        """See `Engine`."""
        return self.facts.sha256()
