"""An exported network, run without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.framing import Framing
from e2e_depth_ros.core.maps import DepthMap, NormalMap
from e2e_depth_ros.model.clock import Clock
from e2e_depth_ros.model.engine.engine import Place, Request
from e2e_depth_ros.model.engine.exported import ExportedFacts, ExportedModel
from e2e_depth_ros.model.estimate import Estimate, depth_map_from, normal_map_from
from e2e_depth_ros.model.sampling import DEFAULT_SAMPLING
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.model.upsampling import outlines_to_follow

PIXELS: Final = "pixels"
"""The input of every graph, (B, 3, h, w), RGB in -1..1. Its outputs are named by their task: depth
(B, 1, h, w), the mean of the decoded channels, and normals (B, 3, h, w), both unclamped."""

_Maps = NDArray[np.float32]


class Session(Protocol):
    """A graph that a library has loaded."""

    def run(self, pixels: NDArray[np.float32]) -> Mapping[str, _Maps]:
        """Run the graph; see `PIXELS`."""


class Runtime(Protocol):
    """A library that runs graphs, on a device."""

    place: Place

    def load(self, graph: Path) -> Session:
        """Load a graph."""


class GraphEngine:
    """An exported network, run by a library. Each set of tasks has a graph, loaded when first asked for.

    Args:
        model: The network.
        runtime: What runs it.
    """

    steps: Final = 1
    prepares: Final = True
    sampling: Final = DEFAULT_SAMPLING

    def __init__(self, model: ExportedModel, runtime: Runtime) -> None:
        self.model = model
        self.facts: ExportedFacts = model.facts
        self.place = runtime.place
        self._runtime = runtime
        self._sessions: dict[Path, Session] = {}

    @property
    def bytes_per_number(self) -> int:
        """See `Engine`."""
        return 4 if self.place.precision == "float32" else 2

    def run(self, images: Sequence[NDArray[np.uint8]], request: Request) -> list[Estimate]:
        """See `Engine`."""
        session = self.session(request.tasks)
        framing = request.framing
        if self.model.size is not None and framing.padded_size != self.model.size:
            raise InvalidInputError(
                f"{self.facts.name}: expected images that become (H, W) {self.model.size} for the network, "
                f"the only size it was exported for, got {framing.native_size}, which become "
                f"{framing.padded_size}"
            )
        clock = Clock()
        pixels = framing.pixels(images)
        clock.lap("preprocess")
        size = request.batch or len(images)
        parts = [session.run(pixels[i : i + size]) for i in range(0, len(images), size)]
        maps = {task: [item for part in parts for item in part[task.value]] for task in request.tasks}
        clock.lap("network")
        estimates = [
            self._estimate(images[i], {task: of_task[i] for task, of_task in maps.items()}, request, clock)
            for i in range(len(images))
        ]
        clock.lap("postprocess")
        return estimates

    def session(self, tasks: Sequence[Task]) -> Session:
        """Load the graph of some tasks, once.

        Raises:
            InvalidInputError: It wasn't exported.
        """
        path = self.model.graph(tasks)
        if path not in self._sessions:
            self._sessions[path] = self._runtime.load(path)
        return self._sessions[path]

    def forget_last_frame(self) -> None:
        """See `Engine`: one deterministic step carries nothing over."""

    def hashes(self) -> Mapping[str, str]:
        """See `Engine`."""
        return self.model.files

    def _estimate(
        self, image: NDArray[np.uint8], maps: Mapping[Task, _Maps], request: Request, clock: Clock
    ) -> Estimate:
        non_finite = []
        depth: DepthMap | None = None
        normals: NormalMap | None = None
        if Task.DEPTH in maps:
            values = request.framing.restored(depth_from_mean(maps[Task.DEPTH][0]))
            depth, count = depth_map_from(values, self.facts.depth_kind, stretch=request.stretch)
            non_finite.append(count)
        if Task.NORMALS in maps:
            normals, count = normal_map_from(*self._normals(maps[Task.NORMALS], request.framing))
            non_finite.append(count)
        return Estimate(
            depth=depth,
            normals=normals,
            durations_s=clock.durations_s,
            non_finite=max(non_finite),
            outlines=outlines_to_follow(image, request.framing, request.upsampling),
        )

    def _normals(self, decoded: _Maps, framing: Framing) -> tuple[_Maps, _Maps, _Maps]:
        facts = self.facts
        x, y, z = normals_from_planes(
            decoded, facts.normals_signs, full_z_range=facts.full_z_range, clip=facts.clips_normals
        )
        return framing.restored(x), framing.restored(y), framing.restored(z)


def depth_from_mean(mean: _Maps) -> _Maps:
    """Read depth, 0..1, from the mean of decoded channels, unclamped; what isn't finite becomes NaN.

    The same as `depth_from_decoded` on tensors.
    """
    finite = _finite_or_nan(mean)
    return np.asarray((np.clip(finite, -1, 1) + np.float32(1)) / np.float32(2))


def normals_from_planes(
    decoded: _Maps, signs: tuple[float, float, float], *, full_z_range: bool, clip: bool
) -> list[_Maps]:
    """Read surface normals, three planes of unit vectors, from decoded channels (3, h, w).

    The same as `normals_from_decoded` on tensors, which tells the arguments.
    """
    finite = _finite_or_nan(decoded)
    x, y, z = np.clip(finite, -1, 1) if clip else finite
    if not full_z_range:
        z = (z + np.float32(1)) / np.float32(2)
    length = np.maximum(np.sqrt(x * x + y * y + z * z), np.float32(1e-6))
    return [np.float32(sign) * axis / length for sign, axis in zip(signs, (x, y, z), strict=True)]


def _finite_or_nan(values: _Maps) -> _Maps:
    """An infinity would pass the clamps as if it were far away: let it stay visible, as NaN."""
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, np.float32(np.nan))
