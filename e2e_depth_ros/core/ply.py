"""Point clouds as PLY files, which MeshLab, CloudCompare, Blender and Open3D read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError


def save_ply(path: str | Path, points: NDArray[Any], colours: NDArray[np.uint8] | None = None) -> None:
    """Write points to a binary PLY file; those that are not finite are left out.

    Args:
        path: Of the file; one that is there is replaced.
        points: (..., 3), metres, such as the (H, W, 3) of `DepthMap.points`. They stay in their frame: the
            optical one, y down and z forward, is upside down to viewers whose y goes up.
        colours: (..., 3), RGB, the colour of each point, such as the image; None writes none.

    Raises:
        InvalidInputError: The arrays are not as above, or not of one shape.
        OSError: The file cannot be written.
    """
    points = np.asarray(points)
    colours = None if colours is None else np.asarray(colours)
    if points.ndim < 2 or points.shape[-1] != 3:
        raise InvalidInputError(f"expected points of shape (..., 3), got {points.shape}")
    if colours is not None and (colours.shape != points.shape or colours.dtype != np.uint8):
        raise InvalidInputError(
            f"expected colours of uint8 {points.shape}, got {colours.dtype} {colours.shape}"
        )
    finite = np.isfinite(points).all(axis=-1)
    fields: list[Any] = [("xyz", "<f4", 3)]
    names = {"float": ["x", "y", "z"]}
    if colours is not None:
        fields.append(("rgb", "u1", 3))
        names["uchar"] = ["red", "green", "blue"]
    vertices = np.empty(np.count_nonzero(finite), fields)
    vertices["xyz"] = points[finite]
    if colours is not None:
        vertices["rgb"] = colours[finite]
    properties = [f"property {kind} {name}" for kind, of_kind in names.items() for name in of_kind]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(vertices)}",
        *properties,
        "end_header",
        "",
    ]
    Path(path).write_bytes("\n".join(header).encode("ascii") + vertices.tobytes())
