"""Frames of a recording hold what was recorded at one time, whatever the layout; read in any order."""

import os
import tracemalloc

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.recordings.bag_frames import BagFrames
from helpers import bags

LEFT = {"image": "/left/image_raw/compressed"}
LATE_NS = 9_000_000  # of the depth camera


def depth_of(index):
    depth_m = np.linspace(1, 3, bags.SIZE[0] * bags.SIZE[1], dtype=np.float32).reshape(bags.SIZE) + index
    depth_m[3, 5] = np.nan
    return depth_m


def depth_messages(count, topic="/left/depth", frame_id="left_optical", encoding="32FC1", every=1):
    found = []
    for index in range(0, count, every):
        stamp_ns = bags.START_NS + index * bags.FRAME_NS + LATE_NS
        depth_m = depth_of(index)
        if encoding == "16UC1":
            depth_m = np.rint(1000 * np.nan_to_num(depth_m)).astype(np.uint16)
        message = message_from_array(depth_m, encoding, bags.header(stamp_ns, frame_id))
        found.append((topic, stamp_ns + 60_000_000, message))
    return found


@pytest.fixture
def recorded(messages, tmp_path):
    """Write topics that are named, and some more."""

    def write(*names, extra=(), **layout):
        kept = [one for one in messages if any(one[0].startswith(name) for name in names)]
        found = sorted([*kept, *extra], key=lambda one: one[1])
        if layout.get("storage") == "ros 1":
            return bags.write_ros1_bag(tmp_path / "robot.bag", found)
        return bags.write_bag(tmp_path / "robot", found, **layout)

    return write


@pytest.mark.parametrize(
    "layout",
    [
        {"storage": "mcap"},
        {"storage": "mcap", "compression": "STORAGE"},
        {"storage": "sqlite3", "compression": "MESSAGE"},
        {"storage": "ros 1"},
    ],
    ids=lambda layout: " ".join(layout.values()),
)
def test_depth_is_of_its_image(recorded, layout):
    frames = BagFrames(recorded("/left", extra=depth_messages(10), **layout))
    assert len(frames) == 10
    assert frames.topics.sparse_depth == "/left/depth"
    for index in (7, 2, 9):
        frame = frames[index]
        np.testing.assert_array_equal(frame.read_image(), bags.frame_picture(index))
        np.testing.assert_array_equal(frame.read_depth(), depth_of(index))
        assert frame.read_points() is None
        assert (frame.read_camera().fx, frame.read_camera().fy) == (60, 62)
        assert (frame.name, frame.group, frame.sequence) == (f"robot/{index:06d}", "robot", "robot")


def test_millimetres_become_metres(recorded):
    frames = BagFrames(recorded("/left", extra=depth_messages(4, encoding="16UC1")))
    np.testing.assert_allclose(frames[3].read_depth(), depth_of(3), atol=5.1e-4)


def test_points_are_placed_by_transforms(recorded, depth_of):
    frames = BagFrames(recorded("/left", "/lidar", "/tf"))
    assert len(frames) == 4  # a cloud with every third image
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.read_image(), bags.frame_picture(3 * index))
        points, camera_from_points = frame.read_points()
        placed = points @ camera_from_points[:3, :3].T + camera_from_points[:3, 3]
        depth_m = depth_of(bags.frame_picture(3 * index))[::3, ::2].ravel()
        np.testing.assert_allclose(placed[:, 2], depth_m, atol=1e-5)
        u, v = bags.CAMERA.project(placed)
        np.testing.assert_allclose([u[1], v[-1]], [2, 45], atol=1e-3)
        assert frame.read_depth() is None


def test_depth_goes_before_points_unless_points_are_named(recorded):
    path = recorded("/left", "/lidar", "/tf", extra=depth_messages(10))
    assert BagFrames(path)[0].read_points() is None
    assert BagFrames(path, {"sparse_points": "/lidar/points"})[0].read_depth() is None
    with pytest.raises(InvalidInputError, match="got both"):
        BagFrames(path, {"sparse_points": "/lidar/points", "sparse_depth": "/left/depth"})


def test_cameras_are_told_apart(recorded):
    path = recorded("/left", "/right", extra=depth_messages(10))
    with pytest.raises(InvalidInputError, match="expected image to name"):
        BagFrames(path)
    assert BagFrames(path, LEFT)[1].name == "robot/left/image_raw/compressed/000001"


def test_images_are_as_far_apart_as_one_asks(recorded):
    frames = BagFrames(recorded("/left", extra=depth_messages(10)), every_s=0.09)
    np.testing.assert_array_equal(frames[1].read_image(), bags.frame_picture(3))
    assert len(frames) == 4


def test_each_process_reads_by_itself(recorded):
    """An open file has one position, which a child would move."""
    frames = BagFrames(recorded("/left", extra=depth_messages(10)))
    child = os.fork()
    if child == 0:
        whole = all((frames[index].read_depth() == depth_of(index)).sum() > 3000 for index in range(10))
        os._exit(0 if whole else 1)
    for index in reversed(range(10)):
        np.testing.assert_array_equal(frames[index].read_depth(), depth_of(index))
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("topics", "extra", "words"),
    [
        (["/left"], [], "expected registered depth or a cloud for /left/image_raw/compressed"),
        (["/left", "/lidar"], [], "within 0.02 s in .*found none: frame 'left_optical' does not exist"),
        (["/left"], depth_messages(10, frame_id="depth_optical"), "expected registered depth"),
        (["/left/image", "/lidar", "/tf"], [], "expected a CameraInfo for the points"),
        (["/left"], depth_messages(1)[:1] + depth_messages(1, "/left/other"), "found none that is alone"),
    ],
    ids=["nothing", "no transforms", "another frame", "no calibration", "two depths"],
)
def test_what_does_not_fit_is_told(recorded, topics, extra, words):
    with pytest.raises(InvalidInputError, match=words) as error:
        BagFrames(recorded(*topics, extra=extra))
    assert "\n" not in str(error.value)


def test_depth_of_another_size_is_told(recorded):
    half = message_from_array(
        np.ones((24, 32), np.float32), "32FC1", bags.header(bags.START_NS, "left_optical")
    )
    with pytest.raises(
        InvalidInputError, match=r"its image's size \(48, 64\) on /left/depth.*got \(24, 32\)"
    ):
        BagFrames(recorded("/left", extra=[("/left/depth", bags.START_NS + 5, half)]))


@pytest.mark.parametrize("frame_id", ["/left_optical", ""])
def test_frames_that_the_node_takes_for_one_are_one(recorded, frame_id):
    path = recorded("/left", extra=depth_messages(10, frame_id=frame_id))
    assert len(BagFrames(path, {"sparse_depth": "/left/depth"})) == 10


def test_without_stamps_the_time_of_the_recording_tells_what_belongs_together(tmp_path):
    views = [(bags.frame_picture(index), depth_of(index)) for index in range(5)]
    recorded = bags.rgbd_messages(views, bags.CAMERA)
    for _, _, message in recorded:
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    frames = BagFrames(bags.write_bag(tmp_path / "unstamped", recorded))
    assert len(frames) == 5
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.read_image(), bags.frame_picture(index))
        np.testing.assert_array_equal(frame.read_depth(), depth_of(index))


def test_a_broken_first_image_says_nothing_about_the_others(messages, tmp_path):
    from sensor_msgs.msg import CompressedImage

    kept = [list(one) for one in messages if one[0].startswith("/left")]
    images = [one for one in kept if one[0] == LEFT["image"]]
    whole = images[0][2]
    images[0][2] = CompressedImage(header=whole.header, format=whole.format, data=bytes(whole.data)[:900])
    frames = BagFrames(bags.write_bag(tmp_path / "robot", [*kept, *depth_messages(10)]))
    assert len(frames) == 10
    assert frames.camera.size == bags.SIZE
    np.testing.assert_array_equal(frames[1].read_image(), bags.frame_picture(1))
    broken = rf"cannot read {LEFT['image']}, recorded at {images[0][1]} ns in .*robot: image: .*PNG"
    with pytest.raises(InvalidInputError, match=broken):
        frames[0].read_image()


@pytest.mark.parametrize("topic", ["/left/camera_info", "/tf", "/lidar/points", "/left/image_raw/compressed"])
def test_a_message_that_is_cut_short_says_nothing_about_the_others(messages, tmp_path, topic):
    path = bags.write_bag(tmp_path / "robot", messages, storage="sqlite3")
    whole = len(BagFrames(path, LEFT))
    bags.spoil(path, topic, b"")
    assert len(BagFrames(path, LEFT)) >= whole - 1


def test_what_ros_1_has_broken_is_told_and_in_the_way_of_no_other_camera(messages, tmp_path):
    def broken(topic, which):
        numbers = [number for number, one in enumerate(messages) if one[0] == topic][which]
        (tmp_path / "robot.bag").unlink(missing_ok=True)
        return bags.write_ros1_bag(tmp_path / "robot.bag", messages, broken=numbers)

    whole = len(BagFrames(broken("/right/image_raw", slice(None)), LEFT))
    assert whole > 0
    frames = BagFrames(broken(LEFT["image"], slice(1)), LEFT)
    assert len(frames) == whole - 1
    assert frames.why.endswith(f"; 1 of {LEFT['image']} can't be read")
    with pytest.raises(InvalidInputError, match="found none: frame 'left_optical' does not exist"):
        BagFrames(broken("/tf_static", slice(None)), LEFT)
    with pytest.raises(
        InvalidInputError, match=r"found none: nothing was measured; \d+ of /lidar/points can't"
    ):
        BagFrames(broken("/lidar/points", slice(None)), LEFT)


def test_images_that_are_all_broken_are_told(recorded):
    grey = [
        (topic, at, message_from_array(np.ones(bags.SIZE, np.uint8), "mono8", message.header))
        for topic, at, message in depth_messages(3)
    ]
    words = "among 3 images: cannot read /left/depth, recorded at .* in .*robot: depth: encoding.*'mono8'"
    with pytest.raises(InvalidInputError, match=words):
        BagFrames(recorded("/left", extra=grey), {**LEFT, "sparse_depth": "/left/depth"})


def test_images_that_nothing_was_measured_for_are_counted(recorded):
    frames = BagFrames(recorded("/left", extra=depth_messages(10, every=3)))
    assert (len(frames), frames.left_out) == (4, 6)
    assert frames.why == ": the nearest measurement is 0.0423 s away"  # of image 8: depth 9 is 9 ms late


@pytest.mark.parametrize(("folder", "name"), [("drive.2024", "drive.2024"), ("drive", "drive")])
def test_a_recording_is_named_as_its_folder_or_file(tmp_path, folder, name):
    views = [(bags.frame_picture(0), depth_of(0))]
    path = bags.write_bag(tmp_path / folder, bags.rgbd_messages(views, bags.CAMERA))
    assert BagFrames(path).name == name
    (file,) = path.glob("*.mcap")
    assert BagFrames(file).name == name


def test_memory_holds_a_list_and_no_images(tmp_path):
    views = [(bags.frame_picture(index), depth_of(index)) for index in range(400)]
    path = bags.write_bag(tmp_path / "long", bags.rgbd_messages(views, bags.CAMERA))
    stored = sum(rgb.nbytes + depth_m.nbytes for rgb, depth_m in views)
    del views
    tracemalloc.start()
    try:
        frames = BagFrames(path)
        for frame in frames:
            frame.read_image()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(frames) == 400
    assert held < 2_000_000
    assert peak < 0.6 * stored
