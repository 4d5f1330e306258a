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
from e2e_depth_ros.ros.recordings.input_topics import choose_cameras
from helpers import bags

ROW, COLUMN = np.mgrid[0 : bags.SIZE[0], 0 : bags.SIZE[1]].astype(np.float32)
RELATIVE = (0.1 + 0.8 * (0.7 * ROW / bags.SIZE[0] + 0.3 * COLUMN / bags.SIZE[1])).astype(np.float32)
BOTH = ("/left/image_raw/compressed", "/right/image_raw")
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


def convert(path, output, on_frame=lambda _: None, images=("/left/image_raw/compressed",), **options):
    with BagReader(path) as reader:
        cameras = choose_cameras(reader, {"image": images})
        conversion = Conversion(cameras, Parameters(correction=False), OUTPUTS, output, **options)
        return convert_bag(reader, conversion, RampEstimator, on_frame=on_frame)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
def test_a_thousand_images_of_two_cameras_take_no_more_memory_than_a_hundred(tmp_path):
    path = bags.write_bag(tmp_path / "robot", bags.robot_messages(500, lambda _: 1 + 3 * RELATIVE))
    peaks = []

    def measure(_):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    report = convert(path, tmp_path / "out", measure, BOTH)
    assert [*report.cameras] == ["/left", "/right"]
    for camera in report.cameras.values():
        assert camera.frames == camera.messages["depth/image_rect"] == 500
        assert camera.states["fresh"] > 490
        assert not camera.refusals
    print(f"growth from 100 to 1000 images: {(peaks[-1] - peaks[100]) * 1e-6:.1f} MB")
    assert peaks[-1] - peaks[100] < MAPS / 6
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "metadata.yaml",
        *(f"out_{index}.mcap" for index in range(4)),
    ]
    with BagReader(tmp_path / "out") as reader:
        assert reader.topics["/left/points"].count == reader.topics["/right/points"].count == 500


def test_a_run_that_is_cut_off_goes_on_and_ends_with_the_same_bag(tmp_path, monkeypatch):
    monkeypatch.setattr("e2e_depth_ros.ros.recordings.conversion._FRAMES_OF_A_PART", 4)
    path = bags.write_bag(tmp_path / "robot", bags.robot_messages(14, lambda _: 1 + 3 * RELATIVE))
    seen = []

    def pull_the_plug(frame):
        seen.append(frame)
        if len(seen) == 11:
            raise KeyboardInterrupt

    two = {"images": BOTH, "copies": True}
    with pytest.raises(KeyboardInterrupt):
        convert(path, tmp_path / "out", pull_the_plug, **two)
    assert not (tmp_path / "out" / "metadata.yaml").exists()
    rest = convert(path, tmp_path / "out", **two).cameras
    assert [camera.frames for camera in rest.values()] == [10, 10]  # two parts of four images were whole
    assert convert(path, tmp_path / "out", **two).was_done
    convert(path, tmp_path / "whole", **two)
    ours, theirs = bags.read_bag(tmp_path / "out"), bags.read_bag(tmp_path / "whole")
    assert [*map(len, ours.values())] == [*map(len, theirs.values())]
    for namespace in ("/left", "/right"):
        assert [len(ours[f"{namespace}/{output.value}"]) for output in OUTPUTS] == [14] * 3
    for topic, messages in theirs.items():
        assert [log_ns for log_ns, _ in ours[topic]] == [log_ns for log_ns, _ in messages]
        for (_, one), (_, other) in zip(ours[topic], messages, strict=True):
            if topic.endswith(("depth/image_rect", "points")):
                np.testing.assert_array_equal(bags.arrays_of(one), bags.arrays_of(other))


def test_what_can_not_be_copied_is_counted(tmp_path):
    messages = list(bags.robot_messages(4, lambda _: 1 + 3 * RELATIVE))
    broken = [number for number, (topic, *_) in enumerate(messages) if topic == "/right/image_raw"][:3]
    path = bags.write_ros1_bag(tmp_path / "robot.bag", messages, broken=broken)
    assert convert(path, tmp_path / "out", copies=True).unconverted == {"/right/image_raw": 3}
    assert len(bags.read_bag(tmp_path / "out")["/right/image_raw"]) == 1


def test_two_cameras_in_one_run_are_as_one_after_the_other(tmp_path):
    path = bags.write_bag(tmp_path / "robot", bags.robot_messages(6, lambda _: 1 + 3 * RELATIVE))
    convert(path, tmp_path / "both", images=BOTH)
    both = bags.read_bag(tmp_path / "both")
    assert len(both) == 2 * len(OUTPUTS)
    for namespace, image in zip(("/left", "/right"), BOTH, strict=True):
        convert(path, tmp_path / namespace[1:], images=[image])
        alone = bags.read_bag(tmp_path / namespace[1:])
        for topic, messages in alone.items():
            for (log_ns, one), (other_ns, other) in zip(messages, both[namespace + topic], strict=True):
                assert log_ns == other_ns
                if topic != "/alignment/status":
                    np.testing.assert_array_equal(bags.arrays_of(one), bags.arrays_of(other))
