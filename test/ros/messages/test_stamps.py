from types import SimpleNamespace

import pytest

from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.messages.stamps import StampedBuffer, StampOrder, stamp_ns


def message(nanoseconds):
    sec, nanosec = divmod(nanoseconds, 1_000_000_000)
    return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec)))


def passes(order, nanoseconds):
    try:
        order.check(nanoseconds)
    except RefusedMessageError:
        return False
    return True


def test_stamp_is_in_nanoseconds():
    assert stamp_ns(message(12_000_000_345).header) == 12_000_000_345


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([10, 20, 30], [True, True, True]),
        ([10, 20, 20, 30], [True, True, False, True]),
        ([100, 5, 110, 120], [True, False, True, True]),  # one straggler
        ([100, 5, 6, 7], [True, False, True, True]),  # the bag starts again
        ([100, 6, 5, 7], [True, False, False, True]),
        ([10, 900, 20, 30], [True, True, False, True]),  # one from the future
        ([0, 0, 10, 0, 20], [True, True, True, True, True]),
        ([10, 10, 10], [True, False, False]),
    ],
)
def test_stamp_order(stamps, expected):
    order = StampOrder()
    assert [passes(order, stamp) for stamp in stamps] == expected


def test_refusal_tells_both_stamps():
    order = StampOrder()
    order.check(2_500_000_000)
    with pytest.raises(RefusedMessageError, match=r"newer than 2.500000 s, got 1.250000 s") as refusal:
        order.check(1_250_000_000)
    assert refusal.value.reason == "image: stale stamp"


def test_closest_message_is_taken_once_with_all_before_it():
    buffer = StampedBuffer("sparse_points")
    messages = {stamp: message(stamp) for stamp in (100, 200, 300)}
    for item in messages.values():
        buffer.put(item)
    assert buffer.take_closest(210, 50) is messages[200]
    assert buffer.take_closest(210, 50) is None  # 300 waits for its frame
    assert buffer.take_closest(290, 50) is messages[300]
    assert buffer.take_closest(290, 50) is None


def test_too_old_measurement_is_refused_once():
    buffer = StampedBuffer("sparse_points")
    buffer.put(message(1_000_000_000))
    with pytest.raises(RefusedMessageError, match=r"within 0.100 s .* got one 0.500 s older") as refusal:
        buffer.take_closest(1_500_000_000, 100_000_000)
    assert refusal.value.reason == "sparse_points: stale stamp"
    assert buffer.take_closest(1_500_000_000, 100_000_000) is None


def test_clock_that_runs_ahead_is_told():
    buffer = StampedBuffer("sparse_points", capacity=2)
    buffer.put(message(5_000_000_000))
    assert buffer.take_closest(1_000_000_000, 10) is None
    buffer.put(message(5_100_000_000))
    with pytest.raises(RefusedMessageError, match=r"4.000 s newer"):
        buffer.take_closest(1_000_000_000, 10)


def test_message_from_the_far_future_is_forgotten_in_time():
    """It must not keep later measurements from being used."""
    buffer = StampedBuffer("sparse_points", capacity=4)
    buffer.put(message(10**15))
    newer = message(1000)
    buffer.put(newer)
    assert buffer.take_closest(1010, 50) is newer


def test_closest_message_outlives_a_slow_frame():
    buffer = StampedBuffer("sparse_points", capacity=4)
    for stamp in (100, 200, 300):
        buffer.put(message(stamp))
    buffer.keep_closest(210)
    for stamp in range(400, 3000, 100):
        buffer.put(message(stamp))
    assert stamp_ns(buffer.take_closest(210, 50).header) == 200
    # The newest ones were kept beside it, for the frames to come.
    assert stamp_ns(buffer.take_closest(2890, 50).header) == 2900


def test_message_that_comes_while_its_frame_is_in_work_is_kept():
    buffer = StampedBuffer("sparse_points", capacity=3)
    buffer.put(message(100))
    buffer.keep_closest(1000)
    for stamp in (990, 1100, 1200, 1300, 1400):
        buffer.put(message(stamp))
    assert stamp_ns(buffer.take_closest(1000, 50).header) == 990
