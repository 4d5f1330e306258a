"""One number for each pixel: how far its metric depth can be trusted."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.result import Alignment
from e2e_depth_ros.core.geometry import depth_edges

HALF_CONFIDENT_STD: Final = 0.1
"""Relative standard deviation of depth at which confidence is 0.5."""
HALF_CONFIDENT_DEPTH_M: Final = 40.0
"""Depth at which confidence is halved by range alone: errors of monocular depth grow with it."""
EDGE_CONFIDENCE: Final = 0.1
"""Confidence is at most this at depth edges."""
OPEN_CONFIDENCE: Final = 0.5
"""Confidence is at most this while the samples leave the shift open."""


def confidence_from_alignment(
    alignment: Alignment, *, edges: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Join the alignment's uncertainty, depth edges and range to one number.

    Confidence is 1 / (1 + (s / s_half)^2) / (1 + (z / z_half)^2) for the relative standard deviation s and
    the depth z, at most `EDGE_CONFIDENCE` at depth edges, and at most `OPEN_CONFIDENCE` everywhere while the
    samples leave the shift open.

    Args:
        alignment: Of the frame.
        edges: (H, W), depth edges, if they are known already.

    Returns:
        (H, W), float32, 0..1; 0 where depth is invalid, and everywhere when the alignment is lost.
    """
    if alignment.depth is None or alignment.log_std is None:
        return np.zeros(alignment.size, dtype=np.float32)
    depth = alignment.depth
    confidence = np.square(alignment.log_std * np.float32(1 / HALF_CONFIDENT_STD))
    confidence += np.float32(1)
    falloff = np.square(depth.values * np.float32(1 / HALF_CONFIDENT_DEPTH_M))
    falloff += np.float32(1)
    confidence *= falloff
    np.reciprocal(confidence, out=confidence)
    if alignment.shift_is_open:
        np.minimum(confidence, np.float32(OPEN_CONFIDENCE), out=confidence)
    if edges is None:
        edges = depth_edges(depth.values, depth.valid)
    _, limited = cv2.threshold(confidence, EDGE_CONFIDENCE, 0, cv2.THRESH_TRUNC)
    cv2.copyTo(limited, edges.view(np.uint8), confidence)
    if not depth.valid.all():
        confidence[~depth.valid] = 0
    return np.asarray(confidence, dtype=np.float32)
