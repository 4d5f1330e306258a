"""The calibrations that came: a camera may send its own with each image, or once for ever."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Any, Final

from e2e_depth_ros.ros.stamps import stamp_ns

_FRAMES: Final = 8
_OF_A_FRAME: Final = 16


class CameraInfos:
    """The last CameraInfo messages of each frame_id. Safe between threads.

    They outlast deactivation and cleanup: a calibration is the camera's, whatever the node does meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_frames: OrderedDict[str, deque[Any]] = OrderedDict()  # that in use, or the newest, last
        self._last: Any = None

    def put(self, message: Any) -> None:
        """Store a message."""
        frame = _frame(message.header)
        with self._lock:
            self._last = message
            self._of_frames.setdefault(frame, deque(maxlen=_OF_A_FRAME)).append(message)
            self._of_frames.move_to_end(frame)
            if len(self._of_frames) > _FRAMES:
                self._of_frames.popitem(last=False)

    def for_image(self, header: Any) -> Any | None:
        """Choose the calibration for an image: of its frame, and if there is one of its stamp.

        Args:
            header: The image's.

        Returns:
            The message; where none is of the image's frame, the last that came; None before any came.
        """
        frame, image_ns = _frame(header), stamp_ns(header)
        with self._lock:
            messages = self._of_frames.get(frame)
            if not messages:
                return self._last
            self._of_frames.move_to_end(frame)
            return next((one for one in reversed(messages) if stamp_ns(one.header) == image_ns), messages[-1])


def _frame(header: Any) -> str:
    return str(header.frame_id).lstrip("/")
