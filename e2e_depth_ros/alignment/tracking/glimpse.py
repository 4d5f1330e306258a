"""What is kept of a frame, to tell whether the camera moved since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.evidence.structure import (
    change_of_image,
    contrasts,
    seen_coarsely,
    shows_nothing,
)
from e2e_depth_ros.core.maps import DepthMap

STILL: Final = 0.3
"""Change, see `Glimpse.change_since`, below which the scale has no reason to change."""
CUT: Final = 10.0
"""Change above which it shows another scene: with 1.5 m/s and 60 degrees/s one of a hundred frames at 30 Hz,
one of twenty at 10 Hz, and of cuts three of four."""

_MOVED: Final = 0.01  # median change of the relative map between frames, over its range, that is full motion,
_IMAGE_NOISE: Final = 0.02  # that of the image, see `change_of_image`, which is nothing yet,
_IMAGE_MOVED: Final = 0.1  # and by which more is full motion
_THUMBNAIL: Final = 32  # pixels along the long edge


@dataclass(frozen=True, eq=False)
class Glimpse:
    """A frame, seen coarsely.

    Attributes:
        relative: The relative map at about 32 pixels along the long edge.
        contrasts: Of its image, see `contrasts`; None without an image.
        shows_nothing: Whether the image is of one colour, or noise.
    """

    relative: NDArray[np.float32]
    contrasts: NDArray[np.float32] | None = None
    shows_nothing: bool = False

    @classmethod
    def of(cls, relative: DepthMap, image: NDArray[np.uint8] | None) -> Glimpse:
        """See a frame coarsely.

        Args:
            relative: Its relative map.
            image: (H, W, 3), RGB, if it is at hand.
        """
        step = max(1, max(relative.size) // _THUMBNAIL)
        thumbnail = relative.values[step // 2 :: step, step // 2 :: step].copy()
        if image is None:
            return cls(thumbnail)
        coarse = seen_coarsely(image)
        return cls(thumbnail, contrasts(coarse), shows_nothing(image, coarse))

    def change_since(self, before: Glimpse, extent: float) -> float:
        """How much changed: 0 where all stands still, from 1 on the camera moved.

        In the relative map any change counts. The image tells of motion that the map doesn't, as down a
        corridor, but also of light: so it counts up to 1.

        Args:
            before: Another frame.
            extent: Range of the relative map.
        """
        by_map = self.change_of_map_since(before, extent)
        if before.contrasts is None or self.contrasts is None:
            return by_map
        by_image = (change_of_image(before.contrasts, self.contrasts) - _IMAGE_NOISE) / _IMAGE_MOVED
        return max(by_map, min(by_image, 1.0))

    def change_of_map_since(self, before: Glimpse, extent: float) -> float:
        """Tell the same by the relative map alone: by its median, so that nobody who walks through counts."""
        change = _change(before.relative, self.relative)
        return 1.0 if change is None else change / (_MOVED * max(extent, 1e-9))


def _change(before: NDArray[np.float32], now: NDArray[np.float32]) -> float | None:
    """Median change of a map; None where it can't be told."""
    if before.shape != now.shape:
        return None
    change = np.abs(now - before)
    change = change[np.isfinite(change)]
    return float(np.median(change)) if len(change) else None
