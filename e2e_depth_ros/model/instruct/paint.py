"""What was painted: from a painted image and its original, the probability of each pixel to be painted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "purple": (128, 0, 128),
    "blue": (0, 0, 255),
    "green": (0, 128, 0),
    "yellow": (255, 255, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "gray": (128, 128, 128),
}
"""RGB of the colours, by name, that InstructDiffusion learned to paint with."""

_ROUNDS = 6
_LEAST_NOISE = 3.0  # levels of 255: rounding and the VAE leave no less
_MEDIAN_OF_CHI_SQUARE = 2.366  # with 3 degrees of freedom
_EDGE_NOISE = 18.0  # levels that compression and blur add where colours meet
_EDGE_SHARE = 0.15
_PRIORS = (0.49, 0.49, 0.02)  # untouched, painted, neither
_EVIDENCE_BOUND = 12.0  # in log-likelihood: one pixel alone convinces nobody
_POOLED_SIGMA_PX = 1.2


@dataclass(frozen=True, eq=False)
class Paint:
    """Where an image was painted.

    Attributes:
        probability: (H, W), float32, that the pixel was painted; 1/2 where the original has the colour
            already, and no neighbour tells.
        noise: Standard deviation, levels of 255, of most pixels from what they are explained by.
        unexplained: Share of pixels, 0..1, that are neither the original nor painted in the colour. Where it
            is large, the network changed the image otherwise than it was told.
    """

    probability: NDArray[np.float32]
    noise: float
    unexplained: float


def find_paint(
    painted: NDArray[np.floating],
    original: NDArray[np.floating],
    colour: tuple[int, int, int],
    opacity: float,
) -> Paint:
    """Tell painted pixels from untouched ones by inverting the blend.

    Convention:
        painted = (1 - opacity) original + opacity colour where painted, = original elsewhere.

    Each pixel is explained by one of three: untouched or painted, up to noise and a change of colour that all
    share, or neither, where any colour is as likely. Noise and change are estimated along with it
    (expectation maximisation). The logarithms of the likelihoods are averaged over near neighbours.

    Args:
        painted: (H, W, 3), RGB, 0..255.
        original: (H, W, 3), RGB, 0..255; best as the VAE reconstructs it, for its faults cancel then.
        colour: RGB, 0..255.
        opacity: 0..1.

    Raises:
        InvalidInputError: The images aren't such images of one size, or the opacity is impossible.
    """
    _check(painted, original, opacity)
    found = painted.astype(np.float32)
    untouched = original.astype(np.float32)
    full = untouched + np.float32(opacity) * (np.asarray(colour, np.float32) - untouched)
    change = np.zeros(3, np.float32)
    squares = np.stack([_square(found - untouched), _square(found - full)])  # (2, H, W)
    variance = max(float(np.median(squares.min(axis=0))) / _MEDIAN_OF_CHI_SQUARE, _LEAST_NOISE**2)
    for _ in range(_ROUNDS):
        share = _softmax(_log_likelihoods(squares, variance))[:2] * _usual_share(squares, variance)
        weight = float(share.sum()) + 1e-6
        residual = share[0, ..., None] * (found - untouched) + share[1, ..., None] * (found - full)
        change = residual.sum(axis=(0, 1)) / weight
        squares = np.stack([_square(found - change - untouched), _square(found - change - full)])
        variance = max(float((share * squares).sum()) / (3 * weight), _LEAST_NOISE**2)
    evidence = _log_likelihoods(squares, variance)
    unexplained = float(_softmax(evidence)[2].mean())
    evidence = np.maximum(evidence, evidence.max(axis=0) - _EVIDENCE_BOUND)
    pooled = np.stack([cv2.GaussianBlur(part, (0, 0), _POOLED_SIGMA_PX) for part in evidence])
    return Paint(_softmax(pooled)[1], noise=variance**0.5, unexplained=unexplained)


def colour_named(name: str) -> tuple[int, int, int]:
    """Return the RGB of a colour that the network knows.

    Raises:
        InvalidInputError: It knows no such colour.
    """
    if name not in COLOURS:
        raise InvalidInputError(f"expected a colour among {', '.join(COLOURS)}, got {name!r}")
    return COLOURS[name]


def _log_likelihoods(squares: NDArray[np.float32], variance: float) -> NDArray[np.float32]:
    """Return those of untouched, painted and neither, (3, H, W), times their priors."""
    explained = np.logaddexp(*_usual_and_at_edges(squares, variance))
    any_colour = np.full_like(squares[0], -3 * np.log(256.0))
    logs = np.log(np.asarray(_PRIORS, np.float32))[:, None, None]
    return np.asarray(np.stack([*explained, any_colour]) + logs, np.float32)


def _usual_share(squares: NDArray[np.float32], variance: float) -> NDArray[np.float32]:
    """Return the probability of usual noise rather than that at edges, (2, H, W)."""
    usual, at_edges = _usual_and_at_edges(squares, variance)
    return np.asarray(1 / (1 + np.exp(np.minimum(at_edges - usual, 80.0))), np.float32)


def _usual_and_at_edges(
    squares: NDArray[np.float32], variance: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the log-likelihoods of two kinds of noise: at edges, blur and compression leave much more."""
    usual, at_edges = (
        np.asarray(np.log(share) - squares / (2 * v) - 1.5 * np.log(2 * np.pi * v), np.float32)
        for share, v in ((1 - _EDGE_SHARE, variance), (_EDGE_SHARE, variance + _EDGE_NOISE**2))
    )
    return usual, at_edges


def _softmax(logs: NDArray[np.float32]) -> NDArray[np.float32]:
    weights = np.exp(logs - logs.max(axis=0))
    return np.asarray(weights / weights.sum(axis=0), np.float32)


def _square(residual: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("hwc,hwc->hw", residual, residual), np.float32)


def _check(painted: NDArray[np.floating], original: NDArray[np.floating], opacity: float) -> None:
    for what, image in (("painted image", painted), ("original", original)):
        if image.ndim != 3 or image.shape[2] != 3 or image.shape != original.shape:
            raise InvalidInputError(
                f"expected images (H, W, 3) of one size, got a {what} {image.shape} beside {original.shape}"
            )
        if not np.isfinite(image).all():
            raise InvalidInputError(f"expected finite values, the {what} has others")
    if not 0 < opacity <= 1:
        raise InvalidInputError(f"expected an opacity above 0 up to 1, got {opacity:g}")
