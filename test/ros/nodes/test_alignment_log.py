"""What the log says of the alignment, by a clock that the tests turn."""

import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.ros.nodes.alignment_log import AlignmentLog
from e2e_depth_ros.ros.nodes.pipeline import Result
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output

FRESH, HELD, DEGRADED, LOST = (
    AlignmentState.FRESH,
    AlignmentState.HELD,
    AlignmentState.DEGRADED,
    AlignmentState.LOST,
)
NAN = float("nan")


class Frames:
    """Frames at 10 Hz."""

    def __init__(self):
        self.now_s = 1000.0
        self.log = AlignmentLog(clock=lambda: self.now_s)

    def see(self, state, count=1, wanted=METRIC_OUTPUTS, published=None, reason="because", uncalibrated=""):
        """Return all that is told during so many frames."""
        if published is None:
            published = wanted if state in {FRESH, HELD, DEGRADED} else ()
        alignment = None if state is None else Alignment(None, NAN, NAN, state, reason, "none")
        result = Result(dict.fromkeys(published), alignment, {}, (), 0, uncalibrated)
        told = []
        for _ in range(count):
            told += self.log.lines(result, wanted)
            self.now_s += 0.1
        return [(line.words, line.is_warning) for line in told]


def test_each_change_of_state_is_one_line():
    frames = Frames()
    assert frames.see(FRESH, 5) == [("alignment: lost -> fresh: because", False)]
    assert frames.see(HELD, 5, reason="no LiDAR") == [("alignment: fresh -> held: no LiDAR", True)]
    assert frames.see(LOST, 5, wanted=[]) == [("alignment: held -> lost: because", True)]
    frames.now_s += 30
    assert frames.see(FRESH, 5) == [("alignment: lost -> fresh: because", False)]


def test_flicker_is_throttled_and_counted_and_its_end_is_told():
    frames = Frames()
    told = []
    for _ in range(300):  # a minute
        told += frames.see(FRESH) + frames.see(DEGRADED)
    assert 5 <= len(told) <= 12
    assert any("changes)" in words for words, _ in told)
    told = frames.see(HELD, 300)
    assert len(told) == 1
    assert " -> held (" in told[0][0]
    assert frames.see(HELD, 300) == []


def test_metric_topics_without_a_source_are_told_after_a_while_and_again_later():
    frames = Frames()
    reason = "no alignment yet: no samples from sparse_points or sparse_depth"
    assert frames.see(LOST, 25, wanted=[Output.DEPTH], reason=reason) == []
    told = frames.see(LOST, 100, wanted=[Output.DEPTH], reason=reason)
    ((line, is_warning),) = told
    assert is_warning
    assert line.startswith("depth/image_rect ")
    assert line.endswith(f": {reason}")
    assert len(frames.see(LOST, 700, wanted=[Output.DEPTH], reason=reason)) == 1
    frames.see(FRESH, 5)
    told = frames.see(LOST, 50, reason=reason)
    assert told[-1][0].startswith("depth/image_rect and points and confidence/image have subscribers, but")


def test_a_source_that_comes_within_a_moment_is_no_matter():
    frames = Frames()
    assert frames.see(LOST, 20) == []
    assert frames.see(FRESH, 1) == [("alignment: lost -> fresh: because", False)]
    assert [words for words, _ in frames.see(LOST, 20)] == ["alignment: fresh -> lost: because"]


def test_who_wants_no_metres_is_told_nothing():
    frames = Frames()
    assert frames.see(LOST, 600, wanted=[Output.STATUS, Output.RELATIVE]) == []
    assert frames.see(None, 600, wanted=[Output.RELATIVE]) == []


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            {"state": HELD, "published": ()},
            (
                "depth/image_rect and points and confidence/image have subscribers, but publish_held is false"
                " and the alignment is held: because"
            ),
        ),
        (
            {"state": FRESH, "published": [Output.DEPTH, Output.CONFIDENCE], "uncalibrated": "none came yet"},
            "points has subscribers, but there is no usable camera_info: none came yet",
        ),
        (
            {"state": FRESH, "wanted": [Output.POINTS], "published": (), "uncalibrated": "none came yet"},
            "points has subscribers, but there is no usable camera_info: none came yet",
        ),
        (
            {"state": None, "wanted": [Output.DEPTH], "published": ()},
            "depth/image_rect has subscribers, but the model predicts no depth",
        ),
    ],
    ids=["not to be published", "not calibrated", "points only", "normals only"],
)
def test_why_metric_topics_are_silent(frame, words):
    told = Frames().see(count=50, **frame)
    assert told[-1] == (words, True)


def test_a_line_is_one_line():
    told = Frames().see(FRESH, reason="frame 'a\nb'" + "x" * 5000)
    assert told[0][0].isprintable()
    assert len(told[0][0]) <= 1000
