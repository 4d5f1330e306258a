"""Measurements that wait for their transform: in their turn, for a while, within bounds."""

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.ros.aligning.transforms import TransformError
from e2e_depth_ros.ros.aligning.waiting import Measurement, WaitingMeasurements

SECOND_NS = 10**9
SMALL = DepthMap(np.zeros((2, 2), np.float32), np.ones((2, 2), bool), DepthKind.AFFINE_INVARIANT)
LATE = TransformError("TF is late", may_come=True)


class Tf:
    """Knows the place of everything up to a time."""

    def __init__(self):
        self.until = -1

    def measurement(self, number, memory=0):
        def place():
            if number > self.until:
                raise LATE
            return number

        return Measurement("sparse_points", place, memory, LATE)


@pytest.fixture
def tf():
    return Tf()


@pytest.fixture
def waiting():
    return WaitingMeasurements()


def found(waiting, now_s, timeout_s=1.0):
    placed, refusals = waiting.take_placed(round(now_s * SECOND_NS), timeout_s)
    return [one.found for one in placed], [str(refusal) for refusal in refusals]


def test_they_come_one_by_one_the_oldest_first_each_with_its_frame(tf, waiting):
    for number in range(3):
        image = np.full((4, 6, 3), number, np.uint8)
        assert waiting.add(number * SECOND_NS, SMALL, tf.measurement(number), image) == []
    assert waiting.status.startswith("3 ")
    assert waiting.status.endswith("sparse_points: TF is late")
    assert found(waiting, 0.5) == ([], [])
    tf.until = 1
    (placed,), _ = waiting.take_placed(SECOND_NS, 9.0)
    assert (placed.found, placed.frame_ns, placed.relative, placed.image.max()) == (0, 0, SMALL, 0)
    assert found(waiting, 2.0, 9.0) == ([1], [])
    assert found(waiting, 3.0, 9.0) == ([], [])
    tf.until = 2
    assert found(waiting, 3.0, 9.0) == ([2], [])
    assert waiting.status == ""


def test_one_that_nobody_can_place_does_not_keep_others_waiting(tf, waiting):
    waiting.add(0, SMALL, tf.measurement(99))
    waiting.add(1, SMALL, tf.measurement(0))
    tf.until = 0
    assert found(waiting, 0.1) == ([0], [])


def test_it_waits_no_longer_than_it_may_and_is_tried_once_more_then(tf, waiting):
    waiting.add(0, SMALL, tf.measurement(0))
    assert found(waiting, 1.0) == ([], [])
    assert found(waiting, 1.1) == (
        [],
        ["sparse_points: transform: TF is late (waited 1.10 s; transform_timeout is 1 s)"],
    )
    assert found(waiting, 1.2) == ([], [])
    waiting.add(0, SMALL, tf.measurement(0))
    tf.until = 0
    assert found(waiting, 5.0) == ([0], [])  # the camera is slow


def test_what_will_never_be_known_or_is_no_measurement_is_refused_at_once(waiting):
    def never():
        raise TransformError("no frame_id", may_come=False)

    def spoilt():
        raise InvalidInputError("no points")

    for place in (never, spoilt):
        waiting.add(0, SMALL, Measurement("sparse_points", place, 0, LATE))
    _, refusals = found(waiting, 0.0)
    assert [refusal.split(" (")[0] for refusal in refusals] == [
        "sparse_points: transform: no frame_id",
        "sparse_points: content: no points",
    ]
    assert waiting.status == ""


def test_of_too_many_every_second_goes_and_is_counted(tf, waiting):
    refusals = [waiting.add(number, SMALL, tf.measurement(number)) for number in range(40)]
    counted = [refusal for refused in refusals for refusal in refused]
    assert {refusal.reason for refusal in counted} == {"sparse_points: waiting"}
    assert "expected at most 16 that wait for TF, got 17" in str(counted[0])
    tf.until = 40
    kept = []
    while True:
        numbers, _ = found(waiting, 0.0)
        if not numbers:
            break
        assert len(numbers) <= 2
        kept += numbers
    assert kept[0] == 0
    assert len(kept) + len(counted) == 40
    assert 8 <= len(kept) <= 16
    assert kept == sorted(kept)
    assert max(np.diff(kept)) <= 8


def test_memory_is_bounded_whatever_waits(tf, waiting):
    for number in range(40):
        waiting.add(number, SMALL, tf.measurement(number, memory=50_000_000))
        assert waiting._memory < 130_000_000
    great = DepthMap(np.zeros((4000, 5000), np.float32), np.ones((4000, 5000), bool), SMALL.kind)
    waiting.clear()
    for number in range(4):
        waiting.add(number, great, tf.measurement(number))
        assert waiting._memory < 130_000_000
    assert "1 wait" in waiting.status  # one always does
    waiting.clear()
    for number in range(4):
        waiting.add(number, SMALL, tf.measurement(number), np.zeros((4000, 5000, 3), np.uint8))
        assert waiting._memory < 130_000_000
