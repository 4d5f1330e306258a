"""A forward on a GPU as one CUDA graph: its thousand kernels are launched at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from e2e_depth_ros.core.framing import Framing
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.forward import forward_on_device, stacked
from e2e_depth_ros.model.network_facts import NetworkFacts
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task

_WARM_UP = 3  # passes in which libraries choose their algorithms and take their memory


class CapturedForward:
    """The forward of one kind of frames: images of one size and number, and one set of tasks.

    To launch the kernels of a pass one by one takes a CPU as long as a fast GPU needs to run them. A network
    that answers in one deterministic step always launches the same, so they are recorded once.

    Args:
        network: On the GPU; it starts from zeros.
        facts: What its depth and normals mean.
        tasks: What it predicts.
        framing: How the images are fitted.
        sampling: How it is sampled.
        images: How many.
    """

    def __init__(
        self,
        network: LatentNetwork,
        facts: NetworkFacts,
        tasks: Sequence[Task],
        framing: Framing,
        sampling: Sampling,
        images: int,
    ) -> None:
        device = next(network.unet.parameters()).device
        shape = (images, *framing.native_size, 3)
        self._device = device
        self._pinned = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
        self._pixels = torch.zeros(shape, dtype=torch.uint8, device=device)
        stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        # The libraries try which algorithm is the fastest for these sizes, once.
        with torch.cuda.stream(stream), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            for _ in range(_WARM_UP):
                forward_on_device(network, facts, self._pixels, tasks, framing, sampling)
        torch.cuda.current_stream(device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.backends.cudnn.flags(enabled=True, benchmark=True), torch.cuda.graph(self._graph):
            self._maps = forward_on_device(network, facts, self._pixels, tasks, framing, sampling).maps
        self._host = {
            task: torch.empty(of_task.shape, dtype=of_task.dtype, pin_memory=True)
            for task, of_task in self._maps.items()
        }

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> Mapping[Task, NDArray[np.float32]]:
        """Run it; see `DeviceForward.maps`."""
        self._pinned.numpy()[...] = stacked(images)
        self._pixels.copy_(self._pinned, non_blocking=True)
        self._graph.replay()
        for task, of_task in self._maps.items():
            self._host[task].copy_(of_task, non_blocking=True)
        torch.cuda.current_stream(self._device).synchronize()
        return {task: of_task.numpy().copy() for task, of_task in self._host.items()}
