"""A bilateral grid: a coarse volume over image column, image row and log depth.

A function that is smooth over the grid is smooth along surfaces and may jump where depth jumps, so reading it
at (column, row, log depth of the pixel) never mixes the two sides of a depth edge. After Chen, Paris and
Durand, "Real-time edge-aware image processing with the bilateral grid", 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GridLayout:
    """Where the nodes of a grid lie.

    Image coordinates are in image widths: column / W and row / W.

    Attributes:
        size: (H, W) of the image.
        shape: Number of nodes over (log depth, row, column), each at least 2.
        first_log_depth: Log depth of the first layer.
        layer_step: Log depth from layer to layer.
    """

    size: tuple[int, int]
    shape: tuple[int, int, int]
    first_log_depth: float
    layer_step: float

    @classmethod
    def covering(
        cls, size: tuple[int, int], spacing: float, log_depth_range: tuple[float, float], layer_step: float
    ) -> GridLayout:
        """Lay nodes over an image at about `spacing` image widths, and over a range of log depth."""
        height, width = size
        first, last = log_depth_range
        layers = int(np.clip(np.ceil((last - first) / layer_step) + 1, 2, 24))
        rows = max(2, int(np.ceil((height - 1) / width / spacing)) + 1)
        columns = max(2, int(np.ceil((width - 1) / width / spacing)) + 1)
        return cls(size, (layers, rows, columns), first, max((last - first) / (layers - 1), 1e-6))

    @property
    def row_nodes(self) -> NDArray[np.float64]:
        """Rows of the nodes, in image widths."""
        return np.linspace(0, max(self.size[0] - 1, 1) / self.size[1], self.shape[1])

    @property
    def column_nodes(self) -> NDArray[np.float64]:
        """Columns of the nodes, in image widths."""
        return np.linspace(0, max(self.size[1] - 1, 1) / self.size[1], self.shape[2])

    @property
    def log_depth_nodes(self) -> NDArray[np.float64]:
        """Log depth of the layers."""
        return self.first_log_depth + self.layer_step * np.arange(self.shape[0], dtype=np.float64)

    def refined(self, spacing: float) -> GridLayout:
        """Return a layout of the same layers with nodes at about `spacing` image widths."""
        last = self.first_log_depth + self.layer_step * (self.shape[0] - 1)
        finer = GridLayout.covering(self.size, spacing, (self.first_log_depth, last), self.layer_step)
        return GridLayout(self.size, (self.shape[0], *finer.shape[1:]), self.first_log_depth, self.layer_step)

    def moved_to(self, finer: GridLayout, volume: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate a volume at the nodes of another layout of the same layers."""

        def between(nodes: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(np.maximum(0.0, 1 - np.abs(nodes[:, None] - own) / own[1]), dtype=np.float64)

        rows = between(finer.row_nodes, self.row_nodes)
        columns = between(finer.column_nodes, self.column_nodes)
        moved: NDArray[np.float64] = rows @ (volume @ columns.T)
        return moved

    def read(self, volume: NDArray[np.float32], log_depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate a volume at every pixel of the image.

        Args:
            volume: (layers, rows, columns).
            log_depth: (H, W); beyond the layers the nearest one counts. NaN gives what the first one has.

        Returns:
            (H, W).
        """
        layers, rows, columns = self.shape
        place = log_depth * np.float32(1 / self.layer_step)
        place -= np.float32(self.first_log_depth / self.layer_step)
        # fmax and not maximum: NaN, which has no layer, becomes 0.
        np.fmax(place, np.float32(0), out=place)
        np.minimum(place, np.float32(layers - 1 - 1e-4), out=place)
        layer = np.floor(place)
        place -= layer
        column_map, row_of_pixel = _node_maps(self.size, rows, columns)
        layer *= np.float32(rows)
        layer += row_of_pixel
        # The layers lie below each other in one picture: value, and difference to the next layer.
        atlas = np.zeros((layers, rows, columns, 2), dtype=np.float32)
        atlas[..., 0] = volume
        atlas[:-1, ..., 1] = volume[1:] - volume[:-1]
        both = cv2.remap(
            atlas.reshape(layers * rows, columns, 2),
            column_map,
            layer,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        result: NDArray[np.float32] = np.asarray(both[..., 1]) * place
        result += both[..., 0]
        return result

    def corners(
        self, column: NDArray[Any], row: NDArray[Any], log_depth: NDArray[Any]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the eight nodes around each of N points, and their trilinear weights.

        Args:
            column: (N,), image widths.
            row: (N,), image widths.
            log_depth: (N,).

        Returns:
            Flat node indices (8, N) and weights (8, N) that sum to 1 over the eight.
        """
        layers, rows, columns = self.shape
        steps = (self.layer_step, self.row_nodes[1], self.column_nodes[1])
        places = ((log_depth - self.first_log_depth) / steps[0], row / steps[1], column / steps[2])
        index = np.zeros((1, len(column)), dtype=np.intp)
        weight = np.ones((1, len(column)))
        for place, count in zip(places, (layers, rows, columns), strict=True):
            inside = np.clip(np.asarray(place, dtype=np.float64), 0, count - 1)
            low = np.minimum(inside.astype(np.intp), count - 2)
            fraction = inside - low
            index = np.concatenate([index * count + low, index * count + low + 1])
            weight = np.concatenate([weight * (1 - fraction), weight * fraction])
        return index, weight

    def interpolated(
        self, volume: NDArray[np.float64], corners: tuple[NDArray[np.intp], NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Read a volume at N points, given their `corners`."""
        index, weight = corners
        result: NDArray[np.float64] = np.einsum("cn,cn->n", volume.reshape(-1)[index], weight)
        return result

    def splat(
        self, corners: tuple[NDArray[np.intp], NDArray[np.float64]], values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Add the values of N points to the nodes around them: the transpose of interpolation."""
        index, weight = corners
        total = np.bincount(index.ravel(), (weight * values).ravel(), minlength=int(np.prod(self.shape)))
        return np.asarray(total.reshape(self.shape), dtype=np.float64)

    def blur(
        self, volume: NDArray[np.float64], deviations: tuple[float, float, float]
    ) -> NDArray[np.float64]:
        """Convolve with a Gaussian whose peak is 1, of these standard deviations in nodes along each axis."""
        along_layers, along_rows, along_columns = (
            np.exp(-0.5 * np.square((np.arange(count)[:, None] - np.arange(count)) / deviation))
            for count, deviation in zip(self.shape, deviations, strict=True)
        )
        blurred = along_rows @ (volume @ along_columns)
        result: NDArray[np.float64] = np.tensordot(along_layers, blurred, axes=1)
        return result


@lru_cache(maxsize=8)
def _node_maps(
    size: tuple[int, int], rows: int, columns: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Place of each pixel among the nodes: columns (H, W), rows (H, 1)."""
    height, width = size
    column = np.linspace(0, columns - 1, width, dtype=np.float32)
    row = np.linspace(0, rows - 1, height, dtype=np.float32)
    return np.ascontiguousarray(np.broadcast_to(column, (height, width))), row[:, None]
