"""The tree of frames of a recording: what tf2's buffer is to a running node, without its installation."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.ros.aligning.transforms import TransformError, pose_from_numbers
from e2e_depth_ros.ros.messages.frames import frame_name
from e2e_depth_ros.ros.messages.stamps import stamp_ns

_MEMORY_NS: Final = 10_000_000_000  # as tf2 has it
_MOST_FRAMES: Final = 1000  # above a frame: more are a circle
_NEARLY_SAME: Final = 1 - 1e-9  # cosine; between such quaternions a straight line is as good


class TransformTree:
    """Keeps transforms and finds poses, as tf2 does.

    Between two stamps translations are interpolated along a line and rotations along the great circle. There
    is no extrapolation. What is 10 s older than the newest of its frame is forgotten; static transforms stay.
    """

    def __init__(self) -> None:
        """Know no frame."""
        self._links: dict[str, _Link] = {}

    def put(self, transform: Any, *, is_static: bool) -> None:
        """Store a transform; one with numbers that make no pose is left out.

        Args:
            transform: geometry_msgs/TransformStamped, or an object with its fields.
            is_static: Whether it holds at all times.
        """
        shift, turn = transform.transform.translation, transform.transform.rotation
        numbers = np.array([shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w], dtype=np.float64)
        length = np.linalg.norm(numbers[3:])
        parent, child = frame_name(transform.header.frame_id), frame_name(transform.child_frame_id)
        if not (np.isfinite(numbers).all() and length > 0 and parent and child) or parent == child:
            return
        numbers[3:] /= length
        link = self._links.get(child)
        if link is None or link.parent != parent or link.is_static != is_static:
            link = self._links[child] = _Link(parent, is_static=is_static)
        link.put(stamp_ns(transform.header), numbers)

    def forget(self) -> None:
        """Forget what moved."""
        self._links = {child: link for child, link in self._links.items() if link.is_static}

    def pose(
        self, target: str, target_ns: int, source: str, source_ns: int, fixed_frame: str = ""
    ) -> NDArray[np.float64]:
        """Find the pose of a frame in another one; see `transforms.TransformSource`."""
        if not fixed_frame:
            return self._pose_at(target, source, target_ns)
        return self._pose_at(target, fixed_frame, target_ns) @ self._pose_at(fixed_frame, source, source_ns)

    def _pose_at(self, target: str, source: str, at_ns: int) -> NDArray[np.float64]:
        chain = f"when looking up transform from frame [{source}] to frame [{target}]"
        parents = {link.parent for link in self._links.values()}
        for frame in (target, source):
            if frame not in self._links and frame not in parents:
                raise TransformError(f"frame {frame!r} does not exist", may_come=True)
        up, down = self._way_up(source), self._way_up(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise TransformError(f"two unconnected trees, {chain}", may_come=True)
        ways = (
            [self._links[frame] for frame in up[: up.index(common)]],
            [self._links[frame] for frame in down[: down.index(common)]],
        )
        if at_ns == 0:  # the newest that all have
            newest = [link.newest_ns for way in ways for link in way if not link.is_static]
            at_ns = min(newest, default=0)
        common_from_source, common_from_target = (_chained(way, at_ns, chain) for way in ways)
        return np.asarray(np.linalg.inv(common_from_target) @ common_from_source)

    def _way_up(self, frame: str) -> list[str]:
        way = [frame]
        while way[-1] in self._links and len(way) <= _MOST_FRAMES:
            way.append(self._links[way[-1]].parent)
        return way


class _Link:
    """The pose of a frame in its parent, over time."""

    def __init__(self, parent: str, *, is_static: bool) -> None:
        self.parent = parent
        self.is_static = is_static
        self._stamps_ns: list[int] = []
        self._poses: list[NDArray[np.float64]] = []  # x y z, quaternion x y z w of length 1

    @property
    def newest_ns(self) -> int:
        return self._stamps_ns[-1]

    def put(self, at_ns: int, numbers: NDArray[np.float64]) -> None:
        if self.is_static:
            self._stamps_ns, self._poses = [at_ns], [numbers]
            return
        if self._stamps_ns and at_ns < self._stamps_ns[-1] - _MEMORY_NS:
            return
        place = bisect_left(self._stamps_ns, at_ns)
        if place < len(self._stamps_ns) and self._stamps_ns[place] == at_ns:
            self._poses[place] = numbers
            return
        self._stamps_ns.insert(place, at_ns)
        self._poses.insert(place, numbers)
        first = bisect_left(self._stamps_ns, self._stamps_ns[-1] - _MEMORY_NS)
        del self._stamps_ns[:first], self._poses[:first]

    def at(self, at_ns: int, chain: str) -> NDArray[np.float64]:
        if self.is_static:
            return self._poses[0]
        oldest, newest = self._stamps_ns[0], self._stamps_ns[-1]
        if not oldest <= at_ns <= newest:
            where, which, there = (
                ("past", "earliest", oldest) if at_ns < oldest else ("future", "latest", newest)
            )
            raise TransformError(
                f"lookup would require extrapolation into the {where}: requested time {at_ns * 1e-9:.6f}, but"
                f" the {which} data is at time {there * 1e-9:.6f}, {chain}",
                may_come=True,
            )
        after = bisect_left(self._stamps_ns, at_ns)
        if self._stamps_ns[after] == at_ns:
            return self._poses[after]
        before_ns, after_ns = self._stamps_ns[after - 1], self._stamps_ns[after]
        share = (at_ns - before_ns) / (after_ns - before_ns)
        first, second = self._poses[after - 1], self._poses[after]
        shift = (1 - share) * first[:3] + share * second[:3]
        return np.concatenate([shift, _slerp(first[3:], second[3:], share)])


def _chained(way: list[_Link], at_ns: int, chain: str) -> NDArray[np.float64]:
    """(4, 4): takes points of the lowest frame of a way to the frame above its highest."""
    pose = np.eye(4)
    for link in way:
        pose = pose_from_numbers([float(number) for number in link.at(at_ns, chain)]) @ pose
    return pose


def _slerp(first: NDArray[np.float64], second: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Interpolate between unit quaternions on the shorter way (Shoemake 1985, "slerp")."""
    cosine = float(first @ second)
    if cosine < 0:
        second, cosine = -second, -cosine
    if cosine > _NEARLY_SAME:
        return (1 - share) * first + share * second  # whoever uses it makes it of length 1
    angle = np.arccos(cosine)
    return np.asarray((np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle))
