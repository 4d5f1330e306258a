"""ETH3D (Schöps et al. 2017): photographs of 24 megapixels, with depth from a laser scanner."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol, Layout
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules

_RULES: Final = DepthRules(min_depth_m=1e-5, max_depth_m=math.inf, fit_resolution=1024)


def _read_target(files: dict[str, bytes], size: tuple[int, int]) -> DepthMap:
    """Read depth that is kept as bare float32 of the image's size, infinite where unknown."""
    ((name, data),) = files.items()
    expected = 4 * size[0] * size[1]
    if len(data) != expected:
        raise InvalidInputError(
            f"expected {expected} bytes of float32 for the image's size {size} in {name}, got {len(data)}"
        )
    depth = np.frombuffer(data, "<f4").reshape(size).astype(np.float32)
    with np.errstate(invalid="ignore"):
        valid = (depth > _RULES.min_depth_m) & np.isfinite(depth)
    return DepthMap(depth, valid, DepthKind.METRIC)


ETH3D: Final = EvaluationProtocol(
    name="eth3d",
    title="ETH3D (high-resolution, training)",
    layout=Layout(
        image=r"^(|.*/)rgb/([^/]+)/images/dslr_images/([^/]+\.JPG)$",
        companions=(r"\1depth/\2_dslr_depth/\2/ground_truth_depth/dslr_images/\3",),
        example="rgb/office/images/dslr_images/DSC_0219.JPG",
    ),
    frame_count=454,
    processing_resolution=756,
    rules=_RULES,
    read_target=_read_target,
)
"""The fit takes 1024 columns of each image, the scores all pixels."""
