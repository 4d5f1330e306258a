"""Whether depth jumps where it should: precision, recall and F1 of depth edges.

Errors of depth hardly notice the outline of a chair; a robot that plans around it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.geometry import depth_edges

GRID_PX: Final = 160
"""Longer edge of the grid on which edges are compared: one definition for every resolution."""
JUMP: Final = 0.1
"""Jump between neighbours on that grid, relative to the nearer one, that makes an edge."""
DENSE: Final = 0.5
"""Share of true pixels, all of whose four neighbours are true ones, from which a truth counts as dense.

Depth cameras have 0.90 to 0.99 of them, holes and all; points of a LiDAR have none, and even those of several
sweeps together, as KITTI's, lie line by line."""
TOLERANCE: Final = 0.0075
"""Distance within which edges match, as a share of the image's diagonal (Martin et al. 2004)."""


@dataclass(frozen=True)
class EdgeScores:
    """How well predicted edges match the true ones.

    Attributes:
        precision: Share, 0..1, of predicted edge pixels near a true edge; 0 where none was predicted.
        recall: Share, 0..1, of true edge pixels near a predicted edge.
        f1: Their harmonic mean.
        pixels: How many true edge pixels count.
    """

    precision: float
    recall: float
    f1: float
    pixels: int


@dataclass(frozen=True)
class EdgeMatches:
    """Edge pixels of any number of images; `+` pools them, as for boundaries of images (Martin et al. 2004).

    Attributes:
        predicted: Predicted edge pixels.
        predicted_right: Those of them near a true edge.
        true: True edge pixels.
        true_found: Those of them near a predicted edge.
    """

    predicted: int = 0
    predicted_right: int = 0
    true: int = 0
    true_found: int = 0

    def __add__(self, other: EdgeMatches) -> EdgeMatches:
        return EdgeMatches(
            self.predicted + other.predicted,
            self.predicted_right + other.predicted_right,
            self.true + other.true,
            self.true_found + other.true_found,
        )

    def scores(self) -> EdgeScores | None:
        """Summarise; None where there was no true edge."""
        if self.true == 0:
            return None
        precision = self.predicted_right / max(self.predicted, 1)
        recall = self.true_found / self.true
        f1 = 2 * precision * recall / (precision + recall) if precision and recall else 0.0
        return EdgeScores(precision, recall, f1, self.true)


def match_edges(prediction_m: NDArray[Any], target_m: NDArray[Any]) -> EdgeMatches:
    """Compare the depth edges of one image.

    An edge is where the ratio of neighbouring depths passes a threshold, as for occluding contours in Depth
    Pro (Bochkovskii et al., arXiv 2410.02073), beyond what the slope of the surface explains
    (`depth_edges`). The threshold is 1.1 on a grid of 160 pixels along the longer edge, to which larger
    images are sampled; so the result does not depend on the resolution, and a jump that is smeared over a
    wide ramp is none. Edges match within 0.75 % of the image's diagonal, which is 1.5 pixels of a 4:3 grid.

    The prediction is first moved into the range of the truth. Edges within that distance of pixels without
    a true depth don't count: what happens there isn't known. So nothing counts where the truth is sparse
    (`is_dense`): between its points a jump can't be told from a slope.

    Args:
        prediction_m: (H, W), metres, after any fit; not positive or NaN where unknown.
        target_m: (H, W), metres; not positive or NaN where unknown.

    Raises:
        InvalidInputError: The shapes differ, or are not (H, W).
    """
    if prediction_m.shape != target_m.shape or target_m.ndim != 2 or target_m.size == 0:
        raise InvalidInputError(
            f"expected two depth images (H, W) of one size, got {prediction_m.shape} and {target_m.shape}"
        )
    known = np.isfinite(target_m) & (target_m > 0)
    if not is_dense(known):
        return EdgeMatches()
    on_grid = _grid(target_m.shape)
    target, known = np.asarray(target_m[on_grid], np.float32), known[on_grid]
    if not known.any():
        return EdgeMatches()
    prediction = np.clip(prediction_m[on_grid], target[known].min(), target[known].max())
    found = depth_edges(prediction, relative_threshold=JUMP)
    true = depth_edges(target, relative_threshold=JUMP)
    near = _disc(max(1.0, TOLERANCE * float(np.hypot(*target.shape))))
    counts = cv2.erode(known.astype(np.uint8), near, borderType=cv2.BORDER_REPLICATE) > 0
    near_true, near_found = (cv2.dilate(edge.astype(np.uint8), near) > 0 for edge in (true, found))
    found_count, true_count = found & counts, true & counts
    return EdgeMatches(
        predicted=int(found_count.sum()),
        predicted_right=int((found_count & near_true).sum()),
        true=int(true_count.sum()),
        true_found=int((true_count & near_found).sum()),
    )


def is_dense(known: NDArray[np.bool_]) -> bool:
    """Tell whether depth is known over areas, maybe with holes, rather than at points; see `DENSE`.

    Args:
        known: (H, W), where depth is known.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    among_known = cv2.erode(known.astype(np.uint8), cross)  # beyond the border all counts as known
    count = int(np.count_nonzero(known))
    return count > 0 and int(np.count_nonzero(among_known)) >= DENSE * count


def _grid(size: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the index of pixels spread evenly over an image, `GRID_PX` along its longer edge at most."""
    share = min(1.0, GRID_PX / max(size))
    counts = [max(1, round(length * share)) for length in size]
    rows, columns = (
        ((np.arange(count) + 0.5) * length / count).astype(np.intp)
        for count, length in zip(counts, size, strict=True)
    )
    return np.ix_(rows, columns)  # type: ignore[return-value]


def _disc(radius_px: float) -> NDArray[np.uint8]:
    reach = int(radius_px)
    v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(np.hypot(v, u) <= radius_px, dtype=np.uint8)
