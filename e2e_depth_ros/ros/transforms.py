"""Where a sensor sits as seen from the camera: from TF, or from a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.frames import frame_name
from e2e_depth_ros.ros.refusal import RefusedMessageError

try:
    import tf2_ros
    from rclpy.time import Time
except ImportError:  # ROS 2 from PyPI has no TF
    tf2_ros = None

_REASON = "sparse_points: transform"


class Transforms:
    """Finds the pose of a frame in another one through TF, where `tf2_ros` is installed."""

    def __init__(self, node: Any = None) -> None:
        """Start to listen to TF.

        Args:
            node: The rclpy node that listens; None for a process without one, which knows no transforms.
        """
        self._buffer: Any = None
        self._listener: Any = None
        if node is not None and tf2_ros is not None:
            self._buffer = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._buffer, node)

    def pose(self, target_frame: str, source_frame: str, stamp: Any) -> NDArray[np.float64]:
        """Look up the pose of `source_frame` in `target_frame`.

        Args:
            target_frame: Say the camera's optical frame.
            source_frame: Say the LiDAR's frame.
            stamp: builtin_interfaces/Time.

        Returns:
            (4, 4); takes points of the source frame to the target frame.

        Raises:
            RefusedMessageError: TF doesn't know it, or isn't installed. The message says what to do.
        """
        # tf2 refuses names with a leading slash.
        target_frame, source_frame = frame_name(target_frame), frame_name(source_frame)
        if source_frame == target_frame:
            return np.eye(4)
        wanted = f"expected a transform from {source_frame!r} to {target_frame!r}"
        if self._buffer is None:
            raise RefusedMessageError(
                _REASON, f"{wanted}, but tf2_ros is not installed; set the parameter sparse_extrinsics"
            )
        try:
            time = Time.from_msg(stamp)
            found = self._buffer.lookup_transform(target_frame, source_frame, time).transform
        except tf2_ros.TransformException as error:
            raise RefusedMessageError(_REASON, f"{wanted}: {error}") from error
        shift, turn = found.translation, found.rotation
        return pose_from_numbers((shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w))


def pose_from_numbers(numbers: Sequence[float]) -> NDArray[np.float64]:
    """Make a (4, 4) pose of its translation and quaternion.

    Args:
        numbers: x, y, z in metres, then the quaternion x, y, z, w of any length but zero.

    Raises:
        InvalidInputError: There aren't seven finite numbers, or the quaternion is zero.
    """
    values = np.asarray(numbers, dtype=np.float64)
    length = float(np.linalg.norm(values[3:])) if values.shape == (7,) else 0.0
    if not np.isfinite(values).all() or length < 1e-6:
        raise InvalidInputError(
            f"expected a pose as x y z qx qy qz qw with a quaternion that isn't zero, got {list(numbers)}"
        )
    x, y, z, w = values[3:] / length
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = values[:3]
    return pose
