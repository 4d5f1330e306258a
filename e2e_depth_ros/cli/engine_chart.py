"""A chart of what `engine_comparison` measured: a bar for each way, quiet and busy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.cli.engine_comparison import words_of

_WIDTH: Final = 900
_LABELS: Final = 260  # pixels at the left
_NUMBERS: Final = 110  # at the right
_BAR: Final = 18
_GAP: Final = 12
_COLOURS: Final = {"quiet": (46, 110, 180), "busy": (214, 142, 60)}
_INK: Final = (40, 40, 40)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def chart(report: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Draw the medians of depth; of normals, where no model predicts depth.

    Args:
        report: See `engine_comparison.compare`.

    Returns:
        (H, W, 3), uint8, RGB.
    """
    tasks = "depth" if any("depth" in way["ms"] for way in report["ways"]) else "normals"
    rows = [(words_of(way), way["ms"][tasks]) for way in report["ways"] if tasks in way["ms"]]
    moods = [mood for mood in _COLOURS if any(mood in times for _, times in rows)]
    largest = max(times[mood]["median"] for _, times in rows for mood in moods if mood in times)
    row_height = len(moods) * _BAR + _GAP
    picture = np.full((len(rows) * row_height + 2 * _GAP + _BAR + 20, _WIDTH, 3), 255, np.uint8)
    _write(
        picture, f"{tasks}: median ms of a {report['image size'][1]}x{report['image size'][0]} image", 8, 20
    )
    left = _WIDTH - _NUMBERS - 90 * len(moods)
    for index, mood in enumerate(moods):
        x = left + 100 * index
        cv2.rectangle(picture, (x, 9), (x + 12, 21), _COLOURS[mood], cv2.FILLED)
        _write(picture, mood, x + 18, 20)
    for row, (label, times) in enumerate(rows):
        top = 20 + _BAR + _GAP + row * row_height
        _write(picture, label, 8, top + len(moods) * _BAR // 2 + 5)
        _bars(picture, times, moods, top, largest)
    return picture


def _bars(
    picture: NDArray[np.uint8], times: Mapping[str, Any], moods: Sequence[str], top: int, largest: float
) -> None:
    for index, mood in enumerate(moods):
        if mood not in times:
            continue
        median = times[mood]["median"]
        y = top + index * _BAR
        end = _LABELS + round((_WIDTH - _LABELS - _NUMBERS) * median / largest)
        cv2.rectangle(
            picture, (_LABELS, y + 2), (max(end, _LABELS + 1), y + _BAR - 2), _COLOURS[mood], cv2.FILLED
        )
        _write(picture, f"{median:.1f}", end + 6, y + _BAR - 4)


def _write(picture: NDArray[np.uint8], words: str, x: int, y: int) -> None:
    cv2.putText(picture, words, (x, y), _FONT, 0.45, _INK, 1, cv2.LINE_AA)
