"""Calibration files of ROS (`camera_info.yaml`, as camera_calibration writes them)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.yaml_file import load_yaml


def read_calibration(path: Path | str) -> Camera:
    """Read a calibration file.

    Raises:
        InvalidInputError: The file can't be read, lacks a field, or holds an impossible value.
    """
    entries = load_yaml(Path(path))
    if not isinstance(entries, Mapping):
        raise InvalidInputError(f"expected a mapping in {path}, got {type(entries).__name__}")
    try:
        return Camera.from_calibration(
            size=(entries["image_height"], entries["image_width"]),
            intrinsics=entries["camera_matrix"]["data"],
            distortion_model=entries.get("distortion_model", ""),
            distortion=entries.get("distortion_coefficients", {}).get("data", ()),
            rectification=entries.get("rectification_matrix", {}).get("data"),
            projection=entries.get("projection_matrix", {}).get("data"),
        )
    except KeyError as error:
        raise InvalidInputError(f"expected the entry {error} in {path}, got {sorted(entries)}") from error
    except (InvalidInputError, AttributeError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{path}: {error}") from error


def write_calibration(path: Path | str, camera: Camera) -> None:
    """Write a calibration file, which `read_calibration` and ROS's camera drivers read.

    Raises:
        OSError: It cannot be written.
    """
    # ROS's parsers know no empty model: a pinhole is plumb_bob without distortion.
    is_pinhole = camera.distortion_model is DistortionModel.NONE
    coefficients = np.zeros(5) if is_pinhole else np.array(camera.distortion)
    projection = np.column_stack([camera.rectified().intrinsics, np.zeros(3)])
    entries = {
        "image_width": camera.size[1],
        "image_height": camera.size[0],
        "camera_name": "camera",
        "camera_matrix": _matrix_entry(camera.intrinsics),
        "distortion_model": "plumb_bob" if is_pinhole else camera.distortion_model.value,
        "distortion_coefficients": _matrix_entry(coefficients[None]),
        "rectification_matrix": _matrix_entry(camera.rectification),
        "projection_matrix": _matrix_entry(projection),
    }
    text = yaml.safe_dump(entries, sort_keys=False, default_flow_style=None)
    Path(path).write_text(text, encoding="utf-8")


def _matrix_entry(matrix: NDArray[np.float64]) -> dict[str, Any]:
    rows, columns = matrix.shape
    return {"rows": rows, "cols": columns, "data": [float(value) for value in matrix.ravel()]}
