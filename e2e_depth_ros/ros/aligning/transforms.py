"""Where a sensor sits as seen from the camera: from TF, from a recording, or from a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.frames import frame_name
from e2e_depth_ros.ros.messages.stamps import stamp_ns

try:
    import tf2_ros
    from rclpy.time import Time
except ImportError:  # ROS 2 from PyPI has no TF
    tf2_ros = None


class TransformError(InvalidInputError):
    """A transform is not known.

    Attributes:
        may_come: Whether it may be known in a moment: TF is often later than the measurement.
    """

    def __init__(self, message: str, *, may_come: bool) -> None:
        """Describe it.

        Args:
            message: What was expected, and why it isn't there.
            may_come: Whether it may be known in a moment.
        """
        super().__init__(message)
        self.may_come = may_come


class TransformSource(Protocol):
    """What knows transforms where no node listens to TF."""

    def pose(
        self, target: str, target_ns: int, source: str, source_ns: int, fixed_frame: str = ""
    ) -> NDArray[np.float64]:
        """Find the pose of a frame in another one.

        Args:
            target: Name of the frame in which the pose is asked for.
            target_ns: When; 0 for the newest that is known.
            source: Name of the frame whose pose it is.
            source_ns: When; counts with a fixed frame.
            fixed_frame: Name of one that stands still between the two stamps; empty for none.

        Returns:
            (4, 4); takes points of the source's frame to the target's.

        Raises:
            TransformError: It is not known, or not yet.
        """

    def forget(self) -> None:
        """Forget what moved."""


class Transforms:
    """Finds the pose of a frame in another: through TF, where `tf2_ros` is installed, or another source."""

    def __init__(self, node: Any = None, *, source: TransformSource | None = None) -> None:
        """Start to listen to TF.

        Args:
            node: The rclpy node that listens; None for a process without one.
            source: What is asked in place of TF. With neither no transform is known.
        """
        self._source = source
        self._buffer: Any = None
        self._listener: Any = None
        if node is not None and tf2_ros is not None:
            self._buffer = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._buffer, node)

    def pose(self, target: Any, source: Any, *, fixed_frame: str = "") -> NDArray[np.float64]:
        """Look up where something was measured, as seen from elsewhere. It never waits.

        Args:
            target: std_msgs/Header of the image: its frame_id, and when.
            source: std_msgs/Header of the measurement: its frame_id, and when.
            fixed_frame: A frame that stands still between the two stamps, whatever moves in it. Without one
                the pose is that at the stamp of `target`: what moved between the stamps is not known.

        Returns:
            (4, 4); takes points of the source's frame to the target's.

        Raises:
            TransformError: TF doesn't know it, or not yet, or isn't installed. The message says what to do.
        """
        # tf2 refuses names with a leading slash.
        to, of, fixed = map(frame_name, (target.frame_id, source.frame_id, fixed_frame))
        apart = bool(fixed) and target.stamp != source.stamp
        if to == of and not apart:
            return np.eye(4)
        wanted = f"expected a transform from {of!r} to {to!r}"
        if apart:
            wanted += f" over {fixed!r}"
        if not (to and of):
            raise TransformError(f"{wanted}, but a frame_id is empty", may_come=False)
        if self._source is not None:
            try:
                at_ns, then_ns = stamp_ns(target), stamp_ns(source)
                return self._source.pose(to, at_ns, of, then_ns, fixed if apart else "")
            except TransformError as error:
                raise TransformError(f"{wanted}: {error}", may_come=error.may_come) from error
        if self._buffer is None:
            hint = "no motion can be taken out" if apart else "set the parameter sparse_extrinsics"
            raise TransformError(f"{wanted}, but tf2_ros is not installed; {hint}", may_come=False)
        try:
            at = Time.from_msg(target.stamp)
            if apart:
                found = self._buffer.lookup_transform_full(to, at, of, Time.from_msg(source.stamp), fixed)
            else:
                found = self._buffer.lookup_transform(to, of, at)
        except tf2_ros.InvalidArgumentException as error:
            raise TransformError(f"{wanted}: {error}", may_come=False) from error
        except tf2_ros.TransformException as error:
            raise TransformError(f"{wanted}: {error}", may_come=True) from error
        shift, turn = found.transform.translation, found.transform.rotation
        return pose_from_numbers((shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w))

    def forget(self) -> None:
        """Forget what moved, as time went back: TF takes no transform that is older than those it has."""
        if self._source is not None:
            self._source.forget()
        if self._buffer is not None:
            self._buffer.clear()


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
