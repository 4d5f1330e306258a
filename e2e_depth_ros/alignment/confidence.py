"""One number for each pixel: how far its metric depth can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.result import Alignment
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.geometry import depth_edges


@dataclass(frozen=True)
class ConfidenceSettings:
    """What lowers confidence.

    Attributes:
        half_confident_std: Relative standard deviation of depth at which confidence is 0.5.
        half_confident_depth_m: Depth at which confidence is halved by range alone, metres; errors of
            monocular depth grow with it.
        edge_confidence: Confidence is at most this at depth edges, 0..1.
    """

    half_confident_std: float = 0.1
    half_confident_depth_m: float = 40.0
    edge_confidence: float = 0.1

    def __post_init__(self) -> None:
        if not (self.half_confident_std > 0 and self.half_confident_depth_m > 0):
            raise InvalidInputError(
                "expected half_confident_std and half_confident_depth_m > 0, "
                f"got {self.half_confident_std} and {self.half_confident_depth_m}"
            )
        if not 0 <= self.edge_confidence <= 1:
            raise InvalidInputError(f"expected edge_confidence within 0..1, got {self.edge_confidence}")


def confidence_from_alignment(
    alignment: Alignment,
    settings: ConfidenceSettings | None = None,
    *,
    edges: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Join the alignment's uncertainty, depth edges and range to one number.

    Confidence is 1 / (1 + (s / s_half)^2) / (1 + (z / z_half)^2) for the relative standard deviation s and
    the depth z, and at most `edge_confidence` at depth edges.

    Args:
        alignment: Of the frame.
        settings: What lowers confidence.
        edges: (H, W), depth edges, if they are known already.

    Returns:
        (H, W), float32, 0..1; 0 where depth is invalid, and everywhere when the alignment is lost.
    """
    settings = settings or ConfidenceSettings()
    if alignment.depth is None or alignment.log_std is None:
        return np.zeros(alignment.size, dtype=np.float32)
    depth = alignment.depth
    confidence = np.square(alignment.log_std * np.float32(1 / settings.half_confident_std))
    confidence += np.float32(1)
    falloff = np.square(depth.values * np.float32(1 / settings.half_confident_depth_m))
    falloff += np.float32(1)
    confidence *= falloff
    np.reciprocal(confidence, out=confidence)
    if edges is None:
        edges = depth_edges(depth.values, depth.valid)
    confidence[edges] = np.minimum(confidence[edges], np.float32(settings.edge_confidence))
    if not depth.valid.all():
        confidence[~depth.valid] = 0
    return np.asarray(confidence, dtype=np.float32)
