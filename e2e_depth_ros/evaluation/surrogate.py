"""A stand-in for a good network: true depth, spoilt as a fine-tuned monocular network spoils it.

Alignment can be judged with it before a strong network is at hand, and apart from any one network.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError

_ERROR_STD = 0.073  # of the log of the error field: 5.5 % AbsRel after a least-squares fit to a real room
_ERROR_SCALES = ((0.12, 0.6), (0.04, 0.4))  # (blur of the noise over the image's width, share of variance)
_MOST_BEND = 0.1  # depth is raised to a power within 1 -/+ this: monotone, but not affine
_BLUR = 1 / 320  # standard deviation of the blur of edges over the image's width


def surrogate_relative_depth(depth_m: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
    """Make affine-invariant depth out of true depth.

    Depth is multiplied by a smooth random error field, raised to a power near one, blurred a little at its
    edges, and mapped to about 0..1 by an affine map that nobody is told.

    Args:
        depth_m: (H, W), metres; NaN, or not positive, where unknown. Holes are filled from the nearest pixel.
        rng: Source of the error field, the power and the affine map.

    Returns:
        (H, W), float32, finite; 0 is near and 1 far, about.

    Raises:
        InvalidInputError: No pixel has a depth.
    """
    depth = fill_holes(depth_m)
    height, width = depth.shape
    bend = rng.uniform(1 - _MOST_BEND, 1 + _MOST_BEND)
    middle = float(np.median(depth))
    spoilt = middle * (depth / middle) ** np.float32(bend)
    error = np.zeros_like(spoilt)
    for scale, share in _ERROR_SCALES:
        error += np.float32(_ERROR_STD * np.sqrt(share)) * smooth_noise((height, width), scale * width, rng)
    spoilt *= np.exp(error)
    spoilt = cv2.GaussianBlur(spoilt, (0, 0), max(_BLUR * width, 1e-3))
    near, far = np.percentile(spoilt, [rng.uniform(0, 2), rng.uniform(98, 100)])
    return np.asarray((spoilt - near) / max(far - near, 1e-6), dtype=np.float32)


def smooth_noise(size: tuple[int, int], scale_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian noise of mean 0 and standard deviation 1, correlated over `scale_px`.

    Args:
        size: (H, W).
        scale_px: Standard deviation of the Gaussian that white noise is blurred with.
        rng: Source of the noise.
    """
    # Noise on a grid of about two cells for each scale is as good and much cheaper to blur.
    cell = max(scale_px / 2, 1.0)
    margin = 8
    rows, columns = (int(np.ceil(length / cell)) + 2 * margin for length in size)
    grid = cv2.GaussianBlur(rng.standard_normal((rows, columns)).astype(np.float32), (0, 0), scale_px / cell)
    # White noise blurred by a Gaussian of deviation s keeps 1 / (2 s sqrt(pi)) of its own.
    grid *= np.float32(2 * np.sqrt(np.pi) * scale_px / cell)
    to_grid = np.array([[1 / cell, 0, margin], [0, 1 / cell, margin]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grid, to_grid, size[::-1], flags=flags), dtype=np.float32)


def fill_holes(depth_m: NDArray[Any]) -> NDArray[np.float32]:
    """Give each pixel without depth that of the nearest pixel with one.

    Args:
        depth_m: (H, W), metres; NaN, or not positive, where unknown.

    Raises:
        InvalidInputError: No pixel has a depth.
    """
    depth = np.asarray(depth_m, dtype=np.float32)
    valid = np.isfinite(depth) & (depth > 0)
    if not valid.any():
        raise InvalidInputError("expected depth at one pixel at least, got none")
    if valid.all():
        return depth
    _, nearest = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    depth_of_label = np.zeros(int(nearest.max()) + 1, dtype=np.float32)
    depth_of_label[nearest[valid]] = depth[valid]
    return np.asarray(depth_of_label[nearest])
