"""A long recording takes no more memory than a short one."""

import resource
import sys

import numpy as np
import pytest

from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.model.estimator import Estimate
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from e2e_depth_ros.ros.recordings.bag_reader import BagReader
from e2e_depth_ros.ros.recordings.conversion import Conversion, convert_bag
from e2e_depth_ros.ros.recordings.input_topics import choose_topics
from helpers import bags

ROW, COLUMN = np.mgrid[0 : bags.SIZE[0], 0 : bags.SIZE[1]].astype(np.float32)
RELATIVE = (0.1 + 0.8 * (0.7 * ROW / bags.SIZE[0] + 0.3 * COLUMN / bags.SIZE[1])).astype(np.float32)
MAPS = 60_000_000  # bytes: fewer than the messages of 1000 frames have, by far
OUTPUTS = (Output.DEPTH, Output.POINTS, Output.STATUS)


class RampEstimator:
    """Says the same of each image, at once: the test is about what surrounds the network."""

    tasks = frozenset([Task.DEPTH])

    def estimate(self, _, *, tasks):
        assert tasks == {Task.DEPTH}
        return Estimate(DepthMap(RELATIVE, np.ones(bags.SIZE, bool), DepthKind.AFFINE_INVARIANT), None, {})

    def forget_last_frame(self):
        raise AssertionError


def convert(path, output, on_frame=lambda _: None):
    with BagReader(path) as reader:
        topics = choose_topics(reader, {"image": "/left/image_raw/compressed"})
        conversion = Conversion(topics, Parameters(correction=False), OUTPUTS, output)
        return convert_bag(reader, conversion, RampEstimator, on_frame=on_frame)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
def test_a_thousand_images_take_no_more_memory_than_a_hundred(tmp_path):
    path = bags.write_bag(tmp_path / "robot", bags.robot_messages(1000, lambda _: 1 + 3 * RELATIVE))
    peaks = []

    def measure(_):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    report = convert(path, tmp_path / "out", measure)
    assert report.frames == 1000
    assert report.messages["depth/image_rect"] == 1000
    assert report.states["fresh"] > 990
    assert not report.refusals
    print(f"growth from 100 to 1000 images: {(peaks[-1] - peaks[100]) * 1e-6:.1f} MB")
    assert peaks[-1] - peaks[100] < MAPS / 6
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "metadata.yaml",
        *(f"out_{index}.mcap" for index in range(4)),
    ]
    with BagReader(tmp_path / "out") as reader:
        assert reader.topics["/points"].count == 1000


def test_a_run_that_is_cut_off_goes_on_and_ends_with_the_same_bag(tmp_path, monkeypatch):
    monkeypatch.setattr("e2e_depth_ros.ros.recordings.conversion._FRAMES_OF_A_PART", 4)
    path = bags.write_bag(tmp_path / "robot", bags.robot_messages(14, lambda _: 1 + 3 * RELATIVE))
    seen = []

    def pull_the_plug(frame):
        seen.append(frame)
        if len(seen) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(path, tmp_path / "out", pull_the_plug)
    assert not (tmp_path / "out" / "metadata.yaml").exists()
    assert convert(path, tmp_path / "out").frames == 6  # two parts of four were whole
    assert convert(path, tmp_path / "out").was_done
    convert(path, tmp_path / "whole")
    ours, theirs = bags.read_bag(tmp_path / "out"), bags.read_bag(tmp_path / "whole")
    assert [len(ours[f"/{output.value}"]) for output in OUTPUTS] == [14] * 3
    for topic, messages in theirs.items():
        assert [log_ns for log_ns, _ in ours[topic]] == [log_ns for log_ns, _ in messages]
        for (_, one), (_, other) in zip(ours[topic], messages, strict=True):
            if topic != "/alignment/status":
                np.testing.assert_array_equal(bags.arrays_of(one), bags.arrays_of(other))
