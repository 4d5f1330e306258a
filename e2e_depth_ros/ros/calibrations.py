"""The calibrations that came: a camera may send its own with each image, or once for ever."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Any, Final

from e2e_depth_ros.ros.frames import frame_name, may_be_same_frame
from e2e_depth_ros.ros.stamps import stamp_ns

_RECENT: Final = 16
_FRAMES: Final = 8


class CameraInfos:
    """The last CameraInfo messages, and the last of each frame_id. Safe between threads.

    They outlast deactivation and cleanup: a calibration is the camera's, whatever the node does meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[Any] = deque(maxlen=_RECENT)
        self._of_frames: OrderedDict[str, Any] = OrderedDict()  # what came or was used last is last

    def put(self, message: Any) -> None:
        """Store a message."""
        frame = frame_name(message.header.frame_id)
        with self._lock:
            self._recent.append(message)
            self._of_frames[frame] = message
            self._of_frames.move_to_end(frame)
            if len(self._of_frames) > _FRAMES:
                self._of_frames.popitem(last=False)

    def for_image(self, header: Any) -> Any | None:
        """Choose the calibration for an image.

        That of its stamp is meant for it, even if it is of another frame and so of no use. Else the last of
        its frame serves: that of another camera on the same topic says nothing of this one.

        Args:
            header: The image's.

        Returns:
            The message; where none is as above, the last that came; None before any came.
        """
        frame, image_ns = frame_name(header.frame_id), stamp_ns(header)
        with self._lock:
            if not self._recent:
                return None
            of_stamp = [one for one in self._recent if 0 < image_ns == stamp_ns(one.header)]
            for one in reversed(of_stamp):
                if may_be_same_frame(one.header.frame_id, frame):
                    return one
            if of_stamp:
                return of_stamp[-1]
            if frame not in self._of_frames:
                return self._recent[-1]
            self._of_frames.move_to_end(frame)
            return self._of_frames[frame]
