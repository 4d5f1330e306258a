"""The best and the worst frames of an evaluation as one picture."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.cli.pictures import Rgb, labelled_row
from e2e_depth_ros.core.colours import colours_from_depth, colours_from_normals
from e2e_depth_ros.core.maps import DepthMap, NormalMap
from e2e_depth_ros.core.metrics import angle_deg
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol, Sample
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules

_MOST_ROWS: Final = 540  # of pixels in a panel; more would be thrown away
_WORST_ERROR: Final = 0.25  # relative: yellow
_WORST_ANGLE_DEG: Final = 45.0
_DENSE: Final = 0.5  # share of known pixels; where it is less, they are drawn as dots
_DOT: Final = (5, 5)
_RANGE_PERCENT: Final = (2, 98)  # of the target's depth: the ends of the colour map


def gallery_row(
    protocol: EvaluationProtocol, label: str, sample: Sample, prediction: DepthMap | NormalMap
) -> Rgb:
    """Draw one frame: image, target, prediction as it is scored, and its error (dark is right).

    Args:
        protocol: How it is scored.
        label: Name and score of the frame.
        sample: Image and target.
        prediction: What was predicted.

    Raises:
        InvalidInputError: The prediction can't be scored.
    """
    step = -(-sample.rgb.shape[0] // _MOST_ROWS)
    thin = (slice(None, None, step), slice(None, None, step))
    target = sample.target
    rules = protocol.rules
    if isinstance(rules, DepthRules) and isinstance(prediction, DepthMap) and isinstance(target, DepthMap):
        metres = rules.metres(prediction, target)
        near, far = np.percentile(target.values[target.valid], _RANGE_PERCENT)
        relative = np.abs(metres - target.values) / target.values
        shown = [colours_from_depth(_visible(depth)[thin], near, far) for depth in (target.values, metres)]
        error = _error(relative, _WORST_ERROR)[thin]
        end = f"error, 0 to {100 * _WORST_ERROR:g} %"
    else:
        angle = np.where(target.valid, angle_deg(prediction.values, target.values), np.nan)
        shown = [colours_from_normals(normals.values[thin]) for normals in (target, prediction)]
        error = _error(angle, _WORST_ANGLE_DEG)[thin]
        end = f"error, 0 to {_WORST_ANGLE_DEG:g} deg"
    labels = (label, "target", "prediction", end)
    return labelled_row(list(zip(labels, (sample.rgb[thin], *shown, error), strict=True)))


def _error(values: NDArray[Any], worst: float) -> Rgb:
    """Colour errors: dark is none, bright the worst, black unknown."""
    return colours_from_depth(_visible(-values), -worst, 0.0)


def _visible(values: NDArray[Any]) -> NDArray[np.float32]:
    """Widen pixels that are known here and there only, as those of a laser scanner; the least covers."""
    known = np.isfinite(values)
    if known.mean() > _DENSE:
        return values.astype(np.float32)
    nothing = np.finfo(np.float32).max  # as OpenCV pads
    spread = cv2.erode(np.where(known, values, nothing).astype(np.float32), np.ones(_DOT, np.uint8))
    return np.where(spread < nothing, spread, np.float32(np.nan))
