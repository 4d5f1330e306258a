"""ScanNet (Dai et al. 2017): indoor scenes; 800 images of its validation scenes, as Marigold drew them."""

from __future__ import annotations

from typing import Final

from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.evaluation.protocols.decoding import decode_depth_png
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol, Layout
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules

_RULES: Final = DepthRules(min_depth_m=1e-3, max_depth_m=10.0)


def _read_target(files: dict[str, bytes], _size: tuple[int, int]) -> DepthMap:
    ((name, data),) = files.items()
    depth = decode_depth_png(data, name, units_per_metre=1000)
    valid = (depth > _RULES.min_depth_m) & (depth < _RULES.max_depth_m)
    return DepthMap(depth, valid, DepthKind.METRIC)


SCANNET: Final = EvaluationProtocol(
    name="scannet",
    title="ScanNet (800 sampled validation images)",
    layout=Layout(
        image=r"^(|.*/)(scene\d{4}_\d\d)/color/(\d+)\.jpg$",
        companions=(r"\1\2/depth/\3.png",),
        example="scene0406_02/color/000300.jpg",
    ),
    frame_count=800,
    processing_resolution=0,
    rules=_RULES,
    read_target=_read_target,
)
"""All measured pixels from 1 mm to 10 m count."""
