"""A bilateral grid: a coarse volume over image column, image row and log depth.

A function that is smooth over the grid is smooth along surfaces and may jump where depth jumps, so reading it
at (column, row, log depth of the pixel) never mixes the two sides of a depth edge. After Chen, Paris and
Durand, "Real-time edge-aware image processing with the bilateral grid", 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_BAND = 64  # rows read at a time, as many as the cache holds


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

    def read(self, volume: NDArray[np.float32], log_depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate a volume at every pixel.

        Args:
            volume: (layers, rows, columns).
            log_depth: Of the image at any size, (h, w); beyond the layers the nearest one counts. NaN gives
                what the first one has.

        Returns:
            (h, w).
        """
        column_map, row_map = _node_maps(log_depth.shape, *self.shape[1:])
        result = np.empty(log_depth.shape, np.float32)
        atlas = self._atlas(volume)
        for first in range(0, len(result), _BAND):
            band = slice(first, first + _BAND)
            result[band] = self._read(atlas, column_map[band], row_map[band], log_depth[band])
        return result

    def at(self, volume: NDArray[np.float32], place: NDArray[np.float64]) -> NDArray[np.float32]:
        """Interpolate a volume at places (N, 3): column and row in image widths, log depth."""
        column, row, log_depth = place.T.astype(np.float32)[..., None]
        steps = self.column_nodes[1], self.row_nodes[1]
        column, row = column / np.float32(steps[0]), row / np.float32(steps[1])
        row = np.clip(row, 0, np.float32(self.shape[1] - 1))
        return self._read(self._atlas(volume), column, row, log_depth)[:, 0]

    def _atlas(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """The layers below each other in one picture: value, and difference to the next layer."""
        layers, rows, columns = self.shape
        atlas = np.zeros((layers, rows, columns, 2), dtype=np.float32)
        atlas[..., 0] = volume
        np.subtract(volume[1:], volume[:-1], out=atlas[:-1, ..., 1])
        return atlas.reshape(layers * rows, columns, 2)

    def _read(
        self,
        atlas: NDArray[np.float32],
        column: NDArray[np.float32],
        row: NDArray[np.float32],
        log_depth: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Interpolate at log depth and places among the nodes, (h, w) each; rows may be (h, 1)."""
        layers, rows, _ = self.shape
        place = log_depth * np.float32(1 / self.layer_step)
        place -= np.float32(self.first_log_depth / self.layer_step)
        # fmax and not maximum: NaN, which has no layer, becomes 0.
        np.fmax(place, np.float32(0), out=place)
        np.minimum(place, np.float32(layers - 1 - 1e-4), out=place)
        layer = np.floor(place)
        place -= layer
        layer *= np.float32(rows)
        layer += row
        both = cv2.remap(atlas, column, layer, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        result: NDArray[np.float32] = np.asarray(both[..., 1]) * place
        result += both[..., 0]
        return result


@lru_cache(maxsize=8)
def _node_maps(
    size: tuple[int, ...], rows: int, columns: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Place of each pixel among the nodes: columns (H, W), rows (H, 1)."""
    height, width = size
    column = np.linspace(0, columns - 1, width, dtype=np.float32)
    row = np.linspace(0, rows - 1, height, dtype=np.float32)
    return np.ascontiguousarray(np.broadcast_to(column, (height, width))), row[:, None]
