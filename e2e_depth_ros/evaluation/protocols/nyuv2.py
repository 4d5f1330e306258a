"""NYUv2 (Silberman et al. 2012): indoor scenes seen by a Kinect; the 654 labelled test images."""

from __future__ import annotations

from typing import Final

import numpy as np

from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.evaluation.protocols.decoding import decode_depth_png
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol, Layout
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules

_RULES: Final = DepthRules(min_depth_m=1e-3, max_depth_m=10.0)
_ROWS, _COLUMNS = slice(45, 471), slice(41, 601)  # that count (Eigen et al. 2014)


def _read_target(files: dict[str, bytes], _size: tuple[int, int]) -> DepthMap:
    ((name, data),) = files.items()
    depth = decode_depth_png(data, name, units_per_metre=1000)
    valid = np.zeros(depth.shape, np.bool_)
    valid[_ROWS, _COLUMNS] = True
    valid &= (depth > _RULES.min_depth_m) & (depth < _RULES.max_depth_m)
    return DepthMap(depth, valid, DepthKind.METRIC)


NYUV2: Final = EvaluationProtocol(
    name="nyuv2",
    title="NYUv2 (labelled, extracted)",
    layout=Layout(
        image=r"^(|.*/)(test/[^/]+/)rgb_(\d+)\.png$",
        companions=(r"\1\2depth_\3.png",),
        example="test/kitchen_0004/rgb_0001.png",
    ),
    frame_count=654,
    processing_resolution=0,
    rules=_RULES,
    read_target=_read_target,
)
"""Depth as the sensor measured it, not filled, inside of the crop of Eigen et al."""
