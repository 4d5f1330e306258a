"""Calibration files of ROS (`camera_info.yaml`, as camera_calibration writes them)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.yaml_file import load_yaml

_MOST_NUMBERS: Final = 32


def read_calibration(path: Path | str) -> Camera:
    """Read a calibration file. Without a distortion model it means plumb_bob, as for ROS's own parser.

    Raises:
        InvalidInputError: The file can't be read, lacks a field, or holds an impossible value.
    """
    entries = load_yaml(Path(path))
    if not isinstance(entries, Mapping):
        raise InvalidInputError(f"expected a mapping in {path}, got {type(entries).__name__}")
    try:
        return Camera.from_calibration(
            size=(_length(entries, "image_height"), _length(entries, "image_width")),
            intrinsics=_numbers(entries, "camera_matrix"),
            distortion_model=_name(entries, "distortion_model", "plumb_bob"),
            distortion=_numbers(entries, "distortion_coefficients", is_needed=False),
            rectification=_numbers(entries, "rectification_matrix", is_needed=False) or None,
            projection=_numbers(entries, "projection_matrix", is_needed=False) or None,
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def _required(entries: Mapping[Any, Any], name: str) -> Any:
    if name not in entries:
        given = ", ".join(sorted(str(key) for key in entries))
        raise InvalidInputError(f"expected the entry {name!r}, got {given:.200}")
    return entries[name]


def _length(entries: Mapping[Any, Any], name: str) -> int:
    value = _required(entries, name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInputError(f"expected an integer as {name}, got {_shown(value)}")
    return value


def _name(entries: Mapping[Any, Any], name: str, otherwise: str) -> str:
    value = entries.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, str):
        raise InvalidInputError(f"expected a word as {name}, got {_shown(value)}")
    return value


def _numbers(entries: Mapping[Any, Any], name: str, *, is_needed: bool = True) -> list[float]:
    """Read the numbers of a matrix, row by row; none where it is not needed and not there."""
    matrix = _required(entries, name) if is_needed else entries.get(name)
    if matrix is None and not is_needed:
        return []
    data = matrix.get("data") if isinstance(matrix, Mapping) else None
    if not isinstance(data, list) or len(data) > _MOST_NUMBERS:
        raise InvalidInputError(f"expected {name} with data, a list of up to {_MOST_NUMBERS} numbers")
    return [_number(value, name) for value in data]


def _number(value: Any, name: str) -> float:
    # Text too: YAML 1.1 reads 1e-05, as some write it, not as a number.
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise InvalidInputError(f"expected numbers in {name}, got {_shown(value)}")


def _shown(value: Any) -> str:
    """Show text; of other things, which may be of any size, their type."""
    return f"{value!r:.60}" if isinstance(value, str) else type(value).__name__


def write_calibration(path: Path | str, camera: Camera) -> None:
    """Write a calibration file, which `read_calibration` and ROS's camera drivers read.

    Raises:
        InvalidInputError: It is a fisheye whose coefficients are all zero, which would read as a pinhole.
        OSError: It cannot be written.
    """
    if camera.distortion_model is DistortionModel.EQUIDISTANT and not any(camera.distortion):
        raise InvalidInputError("expected a fisheye with coefficients: without them a file tells a pinhole")
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
