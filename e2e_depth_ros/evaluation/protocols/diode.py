"""DIODE (Vasiljevic et al. 2019): rooms and streets, with depth from a laser scanner; its validation set."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.array_file import npy_from_bytes
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol, Layout
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules


def _read_target(files: dict[str, bytes], _size: tuple[int, int]) -> DepthMap:
    (depth_name, depth_data), (mask_name, mask_data) = files.items()
    depth = _plane(npy_from_bytes(depth_data, depth_name), depth_name).astype(np.float32)
    valid = _plane(npy_from_bytes(mask_data, mask_name), mask_name) != 0
    if valid.shape != depth.shape:
        raise InvalidInputError(f"expected a mask of {depth.shape} in {mask_name}, got {valid.shape}")
    unusable = int(np.count_nonzero(valid & ~(np.isfinite(depth) & (depth > 0))))
    if unusable:
        raise InvalidInputError(f"expected depth wherever the mask says so, got none at {unusable} pixels")
    return DepthMap(depth, valid, DepthKind.METRIC)


def _plane(array: NDArray[Any], name: str) -> NDArray[Any]:
    plane = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if plane.ndim != 2:
        raise InvalidInputError(f"expected an array (H, W) or (H, W, 1) in {name}, got {array.shape}")
    return plane


DIODE: Final = EvaluationProtocol(
    name="diode",
    title="DIODE (validation)",
    layout=Layout(
        image=r"^(|.*/)((?:indoors|outdoor)/scene_\d+/scan_\d+/[^/]+)\.png$",
        companions=(r"\1\2_depth.npy", r"\1\2_depth_mask.npy"),
        example="indoors/scene_00021/scan_00189/00021_00189_indoors_200_010.png",
    ),
    frame_count=771,
    processing_resolution=640,
    rules=DepthRules(min_depth_m=0.6, max_depth_m=350.0),
    read_target=_read_target,
)
"""The mask alone says which pixels count; only predictions are kept in the sensor's range."""
