"""One RGB camera becomes a depth sensor: metric depth, normals and point clouds for ROS 2.

Example:
    >>> estimate = Estimator.load("embedded").estimate(rgb)  # rgb: (H, W, 3), uint8
    >>> metric = align(estimate.depth, u_px, v_px, depth_m).depth  # pixels whose depth is known, (N,) each
    >>> save_ply("cloud.ply", metric.points(camera), rgb)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from e2e_depth_ros.core.opencv_limits import limit_opencv

if TYPE_CHECKING:
    from e2e_depth_ros.alignment import AlignmentTracker, align
    from e2e_depth_ros.core.camera import Camera
    from e2e_depth_ros.core.maps import DepthKind, DepthMap
    from e2e_depth_ros.core.ply import save_ply
    from e2e_depth_ros.model.estimator import Estimator

__all__ = ["AlignmentTracker", "Camera", "DepthKind", "DepthMap", "Estimator", "align", "save_ply"]
__version__ = "0.1.0"

_HOMES: Final = {
    "AlignmentTracker": "alignment",
    "Camera": "core.camera",
    "DepthKind": "core.maps",
    "DepthMap": "core.maps",
    "Estimator": "model.estimator",
    "align": "alignment",
    "save_ply": "core.ply",
}

limit_opencv()  # before any module of the package loads it


def __getattr__(name: str) -> Any:
    """Import what is asked for: a camera needs no network."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
