"""Point clouds as PCD files, which PCL, CloudCompare and Open3D read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError


def save_pcd(path: str | Path, points: NDArray[Any], colours: NDArray[np.uint8]) -> None:
    """Write coloured points to a binary PCD file, version 0.7; those that are not finite are left out.

    Args:
        path: Of the file; one that is there is replaced.
        points: (..., 3), metres, in the frame that they are to stay in.
        colours: (..., 3), RGB, the colour of each point; packed as 0x00RRGGBB, as PCL has it.

    Raises:
        InvalidInputError: The arrays are not as above, or not of one shape.
        OSError: The file cannot be written.
    """
    points, colours = np.asarray(points), np.asarray(colours)
    if points.ndim < 2 or points.shape[-1] != 3:
        raise InvalidInputError(f"expected points of shape (..., 3), got {points.shape}")
    if colours.shape != points.shape or colours.dtype != np.uint8:
        raise InvalidInputError(
            f"expected colours of uint8 {points.shape}, got {colours.dtype} {colours.shape}"
        )
    finite = np.isfinite(points).all(axis=-1)
    red, green, blue = (colours[finite][:, channel].astype(np.uint32) for channel in range(3))
    records = np.empty(np.count_nonzero(finite), [("xyz", "<f4", 3), ("rgb", "<u4")])
    records["xyz"] = points[finite]
    records["rgb"] = red << 16 | green << 8 | blue
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS x y z rgb",
        "SIZE 4 4 4 4",
        "TYPE F F F U",
        "COUNT 1 1 1 1",
        f"WIDTH {len(records)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(records)}",
        "DATA binary",
        "",
    ]
    Path(path).write_bytes("\n".join(header).encode("ascii") + records.tobytes())
