"""What belongs to an image reaches it, in the order of a recording; the network is the tiny one."""

import copy
import tracemalloc

import numpy as np
import pytest

from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.messages.images import depth_from_message
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from e2e_depth_ros.ros.recordings.bag_reader import BagReader, Recorded
from e2e_depth_ros.ros.recordings.input_topics import choose_cameras, choose_topics
from e2e_depth_ros.ros.recordings.playback import Playback, PlayedFrame
from helpers import bags

WANTED = {Output.DEPTH, Output.STATUS, Output.DEPTH_INFO}


@pytest.fixture
def play(estimator):
    def play(path, parameters=None, wanted=WANTED, **how):
        with BagReader(path) as reader:
            topics = choose_topics(reader, {"image": "/left/image_raw/compressed"})
            playback = Playback(
                reader, {"": topics}, lambda: estimator, parameters or Parameters(fixed_frame="odom")
            )
            return list(playback.play(wanted, **how))

    return play


def ages(frames):
    return [round(frame.result.alignment.age_s, 3) for frame in frames]


def test_each_cloud_serves_the_image_that_it_is_nearest_to(play, bag, depth_of):
    frames = play(bag)
    assert len(frames) == 10
    assert ages(frames) == [0.0, 0.033, 0.067] * 3 + [0.0]
    for index in (3, 6, 9):  # from the second cloud on the shift is known
        depth = depth_from_message(frames[index].result.messages[Output.DEPTH])
        np.testing.assert_allclose(depth, depth_of(bags.frame_picture(index)), rtol=0.02)
    assert all(Output.DEPTH_INFO in frame.result.messages for frame in frames)


def test_fast_sensors_do_not_push_out_what_is_waited_for(play, messages, tmp_path):
    """A LiDAR of 480 Hz: between two looks more clouds come than the node keeps."""
    fast = []
    for topic, log_ns, message in messages:
        fast.append((topic, log_ns, message))
        if topic == "/lidar/points":
            for step in range(1, 16):
                later = type(message)(
                    header=bags.header(0, "lidar"),
                    **{
                        name: getattr(message, name)
                        for name in (
                            "height",
                            "width",
                            "fields",
                            "is_bigendian",
                            "point_step",
                            "row_step",
                            "data",
                        )
                    },
                )
                sec, nanosec = divmod(log_ns - 28_000_000 + step * 2_000_000, 10**9)
                later.header.stamp.sec, later.header.stamp.nanosec = sec, nanosec
                fast.append((topic, log_ns + step * 2_000_000, later))
    frames = play(bags.write_bag(tmp_path / "fast", sorted(fast, key=lambda one: one[1])))
    assert ages(frames)[::3] == [0.0] * 4


def test_frames_without_stamps_grow_old_by_the_recording_s_clock(play, messages, tmp_path):
    unstamped = copy.deepcopy([one for one in messages if one[0] != "/lidar/points"])
    clouds = copy.deepcopy([one for one in messages if one[0] == "/lidar/points"])
    for _, _, message in [*unstamped, clouds[0]]:
        if hasattr(message, "header"):
            message.header.stamp.sec = message.header.stamp.nanosec = 0
    frames = play(bags.write_bag(tmp_path / "unstamped", [*unstamped, clouds[0]]))
    first, *later = [age for age in ages(frames) if np.isfinite(age)]
    assert first == 0
    assert later == pytest.approx([0.033 * step for step in range(1, len(later) + 1)], abs=0.01)
    assert len(later) > 5


def test_what_no_image_comes_for_is_let_go(play, messages, tmp_path):
    """A camera that dies leaves the LiDAR alone, for an hour maybe."""
    left, cloud = ([one for one in messages if one[0].startswith(name)] for name in ("/left", "/lidar"))
    _, log_ns, points = cloud[-1]
    points = type(points)(
        header=points.header,
        height=1,
        width=50_000,
        fields=points.fields,
        point_step=20,
        row_step=1_000_000,
        data=bytes(1_000_000),
    )
    late = [("/lidar/points", log_ns + index * 100_000_000, points) for index in range(1, 120)]
    path = bags.write_bag(tmp_path / "dead", [*left, *late], compression="STORAGE")
    tracemalloc.start()
    try:
        assert len(play(path, Parameters())) == 10
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000  # all of the clouds are 119 MB, those of 2 s are 20


def test_cameras_share_a_network_that_remembers_no_image(bag, estimator):
    loaded = []

    def load():
        loaded.append(estimator)
        return estimator

    with BagReader(bag) as reader:
        cameras = choose_cameras(reader, {"image": ["/left/image_raw/compressed", "/right/image_raw"]})
        Playback(reader, cameras, load, Parameters())
        assert len(loaded) == 1
        Playback(reader, cameras, load, Parameters(latent_carry=0.5))
        assert len(loaded) == 3


def test_a_broken_image_is_refused_and_the_rest_goes_on(play, messages, tmp_path):
    count = 0
    spoilt = []
    for topic, log_ns, message in messages:
        if topic == "/left/image_raw/compressed":
            count += 1
            if count == 4:
                message = type(message)(header=message.header, format="png", data=b"nothing")  # noqa: PLW2901
        spoilt.append((topic, log_ns, message))
    frames = play(bags.write_bag(tmp_path / "spoilt", spoilt))
    assert [frame.result is None for frame in frames] == [False] * 3 + [True] + [False] * 6
    assert frames[3].refusals[0].reason == "image: compressed data"


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1\0\0\5"])
@pytest.mark.parametrize("topic", ["/left/image_raw/compressed", "/left/camera_info", "/lidar/points", "/tf"])
def test_a_message_that_is_cut_short_is_refused_and_the_rest_goes_on(play, messages, tmp_path, topic, data):
    path = bags.write_bag(tmp_path / "spoilt", messages, storage="sqlite3")
    bags.spoil(path, topic, data, which=1)
    frames = play(path)
    is_image = topic.startswith("/left/image")
    assert [frame.result is None for frame in frames] == [index == 1 and is_image for index in range(10)]
    refusals = [refusal for frame in frames for refusal in frame.refusals]
    assert f"{topic}: content" in {refusal.reason for refusal in refusals}


def test_what_is_copied_comes_in_the_order_of_the_recording(play, bag):
    played = play(bag, copied=["/right/camera_info", "/left/camera_info"])
    times = [one.log_ns for one in played]
    assert times == sorted(times)
    assert sum(isinstance(one, Recorded) for one in played) == 20
    assert sum(isinstance(one, PlayedFrame) for one in played) == 10


def test_a_run_goes_on_as_if_it_had_not_been_cut_off(play, bag):
    """The recording is shorter than what is worked on again: the numbers are the same."""
    whole = play(bag, copied=["/left/camera_info"])
    half_ns = [one.log_ns for one in whole if isinstance(one, PlayedFrame)][4]
    rest = play(bag, copied=["/left/camera_info"], from_ns=half_ns)
    expected = [one for one in whole if one.log_ns > half_ns]
    assert [one.log_ns for one in rest] == [one.log_ns for one in expected]
    for ours, theirs in zip(rest, expected, strict=True):
        if isinstance(theirs, PlayedFrame):
            depth = ours.result.messages[Output.DEPTH], theirs.result.messages[Output.DEPTH]
            np.testing.assert_array_equal(*map(depth_from_message, depth))
