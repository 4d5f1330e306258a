from __future__ import annotations

import time

from e2e_depth_ros.model.clock import Clock


def test_a_lap_is_what_passed_since_the_last() -> None:
    clock = Clock()
    time.sleep(0.02)
    clock.lap("first")
    clock.lap("second")
    assert list(clock.durations_s) == ["first", "second"]
    assert clock.durations_s["first"] >= 0.02 > clock.durations_s["second"] >= 0
