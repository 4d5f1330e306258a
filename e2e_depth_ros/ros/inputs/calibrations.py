"""The calibrations that came: a camera may send its own with each image, or once for ever."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Final

from e2e_depth_ros.ros.messages.frames import may_be_same_frame
from e2e_depth_ros.ros.messages.stamps import stamp_ns

_RECENT: Final = 16


class CameraInfos:
    """The last CameraInfo messages. Safe between threads.

    They outlast deactivation and cleanup: a calibration is the camera's, whatever the node does meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[Any] = deque(maxlen=_RECENT)

    def put(self, message: Any) -> None:
        """Store a message."""
        with self._lock:
            self._recent.append(message)

    def for_image(self, header: Any) -> Any | None:
        """Choose the calibration for an image.

        Those of its stamp are meant for it, even if they are of another frame and so of no use. Among them,
        else among the last that came, one of its frame goes first: two cameras may share a topic.

        Args:
            header: The image's.

        Returns:
            The message; where none is of the image's frame, the last that came; None before any came.
        """
        image_ns = stamp_ns(header)
        with self._lock:
            recent = list(self._recent)
        of_stamp = [one for one in recent if 0 < image_ns == stamp_ns(one.header)]
        candidates = of_stamp or recent
        of_frame = [one for one in candidates if may_be_same_frame(one.header.frame_id, header.frame_id)]
        return (of_frame or candidates or [None])[-1]
