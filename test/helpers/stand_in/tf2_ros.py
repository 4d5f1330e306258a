"""Stands for tf2_ros where that is not installed, as it is not on PyPI: the calls that this package makes.

A tree of frames, interpolation between stamps, no extrapolation, ten seconds of memory, the exceptions and
their words are tf2's. The one difference: a transform goes over DDS as geometry_msgs/TransformStamped, one a
message, as tf2_msgs is not on PyPI either. Where tf2_ros is installed the tests use it instead.
"""

import bisect
import math

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from scipy.spatial.transform import Rotation, Slerp

CACHE_NS = 10 * 10**9


class TransformException(Exception):  # noqa: N818 - its name there
    pass


class LookupException(TransformException):
    pass


class ConnectivityException(TransformException):
    pass


class ExtrapolationException(TransformException):
    pass


class InvalidArgumentException(TransformException):
    pass


class _Link:
    """The pose of a frame in its parent, over time."""

    def __init__(self, parent, is_static):
        self.parent, self.is_static = parent, is_static
        self.stamps_ns, self.poses = [], []

    def insert(self, stamp_ns, pose):
        if self.is_static:
            self.stamps_ns, self.poses = [stamp_ns], [pose]
            return
        if self.stamps_ns and stamp_ns < self.stamps_ns[-1] - CACHE_NS:
            return  # TF_OLD_DATA
        place = bisect.bisect_left(self.stamps_ns, stamp_ns)
        self.stamps_ns.insert(place, stamp_ns)
        self.poses.insert(place, pose)
        while self.stamps_ns[0] < self.stamps_ns[-1] - CACHE_NS:
            del self.stamps_ns[0], self.poses[0]

    @property
    def newest_ns(self):
        return math.inf if self.is_static else (self.stamps_ns or [0])[-1]

    def at(self, stamp_ns, chain):
        if self.is_static:
            return self.poses[0]
        if not self.stamps_ns:
            raise ConnectivityException(f"no transform {chain}")
        first, last = self.stamps_ns[0], self.stamps_ns[-1]
        if not first <= stamp_ns <= last:
            where, which, there = (
                ("past", "earliest", first) if stamp_ns < first else ("future", "latest", last)
            )
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the {where}.  Requested time {stamp_ns * 1e-9:.6f}"
                f" but the {which} data is at time {there * 1e-9:.6f}, when looking up transform {chain}"
            )
        after = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if self.stamps_ns[after] == stamp_ns:
            return self.poses[after]
        share = (stamp_ns - self.stamps_ns[after - 1]) / (self.stamps_ns[after] - self.stamps_ns[after - 1])
        (move, turn), (next_move, next_turn) = self.poses[after - 1 : after + 1]
        turned = Slerp([0, 1], Rotation.concatenate([turn, next_turn]))(share)
        return (1 - share) * move + share * next_move, turned


class Buffer:
    def __init__(self):
        self._links = {}

    def set_transform(self, transform, authority):
        self._insert(transform, authority, is_static=False)

    def set_transform_static(self, transform, authority):
        self._insert(transform, authority, is_static=True)

    def _insert(self, transform, _, *, is_static):
        shift, turn = transform.transform.translation, transform.transform.rotation
        pose = np.array([shift.x, shift.y, shift.z]), Rotation.from_quat([turn.x, turn.y, turn.z, turn.w])
        child = transform.child_frame_id.lstrip("/")
        link = self._links.setdefault(child, _Link(transform.header.frame_id.lstrip("/"), is_static))
        link.insert(Time.from_msg(transform.header.stamp).nanoseconds, pose)

    def clear(self):
        for link in self._links.values():
            if not link.is_static:
                link.stamps_ns, link.poses = [], []

    def lookup_transform(self, target_frame, source_frame, time):
        self._check(target=target_frame, source=source_frame)
        return _message(*self._pose(target_frame, source_frame, time.nanoseconds))

    def lookup_transform_full(self, target_frame, target_time, source_frame, source_time, fixed_frame):
        self._check(target=target_frame, source=source_frame, fixed=fixed_frame)
        move, turn = self._pose(fixed_frame, source_frame, source_time.nanoseconds)
        up_move, up_turn = self._pose(target_frame, fixed_frame, target_time.nanoseconds)
        return _message(up_move + up_turn.apply(move), up_turn * turn)

    def _check(self, **frames):
        known = {*self._links, *(link.parent for link in self._links.values())}
        for name, frame in frames.items():
            if not frame or frame.startswith("/"):
                raise InvalidArgumentException(f'Invalid argument "{frame}" passed to lookupTransform')
            if frame not in known:
                raise LookupException(
                    f'"{frame}" passed to lookupTransform argument {name}_frame does not exist. '
                )

    def _pose(self, target, source, stamp_ns):
        """The pose (move, turn) of a frame in another, by the frame that both are below."""
        up, down = self._way_up(source), self._way_up(target)
        common = next((frame for frame in up if frame in down), None)
        chain = f"from frame [{source}] to frame [{target}]"
        if common is None:
            raise ConnectivityException(f"Tf has two or more unconnected trees, {chain}")
        ways = up[: up.index(common)], down[: down.index(common)]
        if stamp_ns == 0:  # the newest that all have
            newest = [link.newest_ns for way in ways for link in map(self._links.get, way)]
            stamp_ns = min(newest, default=0)
        poses = []
        for way in ways:
            move, turn = np.zeros(3), Rotation.identity()
            for frame in way:
                up_move, up_turn = self._links[frame].at(stamp_ns, chain)
                move, turn = up_move + up_turn.apply(move), up_turn * turn
            poses.append((move, turn))
        (move, turn), (target_move, target_turn) = poses
        return target_turn.inv().apply(move - target_move), target_turn.inv() * turn

    def _way_up(self, frame):
        way = [frame]
        while way[-1] in self._links:
            way.append(self._links[way[-1]].parent)
        return way


def _message(move, turn):
    result = TransformStamped()
    shift, rotation = result.transform.translation, result.transform.rotation
    shift.x, shift.y, shift.z = move
    rotation.x, rotation.y, rotation.z, rotation.w = turn.as_quat()
    return result


class TransformListener:
    def __init__(self, buffer, node):
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.subscriptions = [
            node.create_subscription(
                TransformStamped, "/tf", lambda message: buffer.set_transform(message, "tf"), 100
            ),
            node.create_subscription(
                TransformStamped,
                "/tf_static",
                lambda message: buffer.set_transform_static(message, "tf"),
                latched,
            ),
        ]


class TransformBroadcaster:
    def __init__(self, node):
        self._publisher = node.create_publisher(TransformStamped, "/tf", 100)

    def sendTransform(self, transform):  # noqa: N802 - its name there
        self._publisher.publish(transform)


class StaticTransformBroadcaster:
    def __init__(self, node):
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._publisher = node.create_publisher(TransformStamped, "/tf_static", latched)

    def sendTransform(self, transform):  # noqa: N802 - its name there
        self._publisher.publish(transform)
