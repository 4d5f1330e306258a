"""Whatever predicts depth for a frame: a network, a trivial baseline, or files of another program."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.array_file import read_npy
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import MeasuredFrame
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap

if TYPE_CHECKING:
    from e2e_depth_ros.model.estimator import Estimator
    from e2e_depth_ros.model.task import Task


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a source says about one image, at the image's size.

    Attributes:
        depth: Depth of any kind; None if it predicts none.
        normals: Normals in the raw optical frame; None if it predicts none.
    """

    depth: DepthMap | None = None
    normals: NormalMap | None = None


class PredictionSource(Protocol):
    """Predicts frame by frame."""

    @property
    def name(self) -> str:
        """What to call it in reports."""
        ...

    def predict(self, frame: MeasuredFrame, rgb: NDArray[np.uint8]) -> Prediction:
        """Predict one frame.

        Args:
            frame: The frame.
            rgb: (H, W, 3), uint8: its image.

        Raises:
            InvalidInputError: There is no prediction for this frame, or it can't be read.
        """
        ...


@dataclass(frozen=True)
class EstimatorSource:
    """A network.

    Attributes:
        estimator: The network.
        tasks: What to predict; None for all that it can.
    """

    estimator: Estimator
    tasks: Collection[Task] | None = None

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        return self.estimator.facts.name

    def predict(self, frame: MeasuredFrame, rgb: NDArray[np.uint8]) -> Prediction:  # noqa: ARG002 - part of the protocol
        """Run the network."""
        tasks = self.estimator.tasks if self.tasks is None else self.tasks
        estimate = self.estimator.estimate(rgb, tasks=tasks)
        return Prediction(estimate.outlined_depth, estimate.normals)


@dataclass(frozen=True)
class SavedSource:
    """The output folder of `predict`, or of any other program that writes `depth.npy` in this way.

    Attributes:
        folder: `folder/<name of the frame>/depth.npy` holds (H, W), NaN where unknown, and `normals.npy`, if
            there is one, (H, W, 3).
        kind: What the depth means.
    """

    folder: Path
    kind: DepthKind = DepthKind.AFFINE_INVARIANT

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    def predict(self, frame: MeasuredFrame, rgb: NDArray[np.uint8]) -> Prediction:
        """Read the files of the frame."""
        depth = self._read(frame, "depth.npy", rgb.shape[:2])
        normals = self._read(frame, "normals.npy", rgb.shape)
        if depth is None and normals is None:
            raise InvalidInputError(f"expected depth.npy in {self.folder / frame.name}, found none")
        return Prediction(
            None if depth is None else DepthMap(depth, np.isfinite(depth), self.kind),
            None if normals is None else NormalMap.from_vectors(normals),
        )

    def _read(self, frame: MeasuredFrame, name: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
        path = self.folder / frame.name / name
        if not path.exists():
            return None
        array = read_npy(path)
        if array.dtype.kind not in "fiu":
            raise InvalidInputError(f"expected numbers in {path}, got {array.dtype}")
        if array.shape != shape:
            raise InvalidInputError(f"expected the image's size {shape} in {path}, got {array.shape}")
        return np.asarray(array, dtype=np.float32)


@dataclass(frozen=True)
class Baseline:
    """Depth that does not look at the image: what a network must beat."""

    name: str
    depth_from_size: Callable[[tuple[int, int]], NDArray[np.float32]]

    def predict(self, frame: MeasuredFrame, rgb: NDArray[np.uint8]) -> Prediction:  # noqa: ARG002 - part of the protocol
        """Return the same for every image of a size."""
        height, width = rgb.shape[:2]
        depth = self.depth_from_size((height, width))
        return Prediction(DepthMap(depth, np.ones(depth.shape, np.bool_), DepthKind.AFFINE_INVARIANT))


def _constant(size: tuple[int, int]) -> NDArray[np.float32]:
    return np.ones(size, np.float32)


def _linear_in_row(size: tuple[int, int]) -> NDArray[np.float32]:
    column = np.linspace(1, 0, size[0], dtype=np.float32)[:, None]
    return np.ascontiguousarray(np.broadcast_to(column, size))


BASELINES = (Baseline("constant", _constant), Baseline("linear in row", _linear_in_row))
"""One depth for the whole image, and depth that grows linearly towards the upper edge."""
