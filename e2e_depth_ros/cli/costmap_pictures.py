"""Pictures of costmaps: the true one, and predicted ones with what is right, false and missed."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from e2e_depth_ros.cli.pictures import Rgb
from e2e_depth_ros.evaluation.costmap import Costmap, CostmapSettings, widened

_UNSEEN: Final = (60, 60, 60)
_FREE: Final = (200, 200, 200)
_TRUE: Final = (0, 0, 0)
_RIGHT: Final = (20, 130, 60)
_FALSE: Final = (220, 30, 30)
_MISSED: Final = (40, 90, 230)
_CELL_PX: Final = 3


def true_picture(true: Costmap) -> Rgb:
    """Draw a costmap seen from above, the camera at the bottom: obstacles black, free floor bright."""
    picture = _floor(true)
    picture[true.occupied] = _TRUE
    return _upright(picture)


def predicted_picture(predicted: Costmap, true: Costmap, settings: CostmapSettings) -> Rgb:
    """Draw a predicted costmap: green is right, red is no obstacle in truth, blue is missed."""
    picture = _floor(true)
    near_true, near_predicted = (widened(one.occupied, settings) for one in (true, predicted))
    picture[true.occupied & ~near_predicted] = _MISSED
    picture[predicted.occupied & near_true] = _RIGHT
    picture[predicted.occupied & ~near_true] = _FALSE
    return _upright(picture)


def _floor(true: Costmap) -> Rgb:
    picture = np.full((*true.free.shape, 3), _UNSEEN, dtype=np.uint8)
    picture[true.free] = _FREE
    return picture


def _upright(picture: Rgb) -> Rgb:
    """Turn it so that ahead is up, and enlarge its cells."""
    size = picture.shape[1] * _CELL_PX, picture.shape[0] * _CELL_PX
    return np.asarray(cv2.resize(picture[::-1], size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
