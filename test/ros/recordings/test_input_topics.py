import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.recordings.bag_reader import BagReader
from e2e_depth_ros.ros.recordings.input_topics import (
    InputTopics,
    choose_cameras,
    choose_topics,
    frames_of_several,
    transform_topics,
)
from helpers import bags


@pytest.fixture
def chosen(messages, tmp_path):
    """Choose in a bag of the topics that are named, and of some more."""

    def choose(*names, extra=(), given=None):
        kept = [one for one in messages if any(one[0].startswith(name) for name in names)]
        path = bags.write_bag(tmp_path / "some", [*kept, *extra])
        with BagReader(path) as reader:
            return choose_topics(reader, given or {}).roles

    return choose


def image(topic, encoding="32FC1", frame_id="left_optical"):
    dtype = {"32FC1": np.float32, "16UC1": np.uint16, "mono8": np.uint8}[encoding]
    values = np.ones(bags.SIZE, dtype)
    return topic, bags.START_NS, message_from_array(values, encoding, bags.header(bags.START_NS, frame_id))


def test_what_is_alone_of_its_type_is_taken(chosen):
    assert chosen("/left", "/lidar") == {
        "/left/image_raw/compressed": "image",
        "/left/camera_info": "camera_info",
        "/lidar/points": "sparse_points",
    }


def test_two_cameras_are_told_apart_by_who_asks(chosen):
    with pytest.raises(
        InvalidInputError, match=r"one or more .*: /left/image_raw/compressed, /right/image_raw"
    ):
        chosen("/")


def test_the_calibration_is_that_beside_the_image(chosen):
    roles = chosen("/", given={"image": "right/image_raw"})
    assert roles["/right/image_raw"] == "image"
    assert roles["/right/camera_info"] == "camera_info"


def test_without_one_beside_it_the_frame_tells(chosen, messages):
    moved = [("/info/a", *one[1:]) for one in messages if one[0] == "/left/camera_info"]
    roles = chosen("/left/image", "/right/camera_info", extra=moved)
    assert roles["/info/a"] == "camera_info"


def test_depth_is_never_taken_for_an_image_and_serves_where_it_is_registered(chosen):
    extra = [
        image("/left/depth"),
        image("/other/depth", frame_id="other"),
        image("/left/raw_depth16", "mono8"),
    ]
    roles = chosen("/left/image", "/left/camera", extra=extra[:2])
    assert roles["/left/depth"] == "sparse_depth"
    assert "/other/depth" not in roles


def compressed(topic, packed):
    from sensor_msgs.msg import CompressedImage

    message = CompressedImage(header=bags.header(bags.START_NS, "left_optical"), format=packed, data=b"x")
    return topic, bags.START_NS, message


def test_depth_in_a_png_is_depth_as_well(chosen):
    """Of a camera's aligned depth often this is all that is recorded."""
    extra = [compressed("/depth/image_raw/compressed", "16UC1; png compressed ")]
    roles = chosen("/left/image", "/left/camera", extra=extra)
    assert roles["/left/image_raw/compressed"] == "image"
    assert roles["/depth/image_raw/compressed"] == "sparse_depth"


def test_depth_that_a_jpeg_spoilt_is_neither_depth_nor_an_image(chosen):
    extra = [compressed("/depth/image_raw/compressed", "16UC1; jpeg compressed ")]
    roles = chosen("/left/image", "/left/camera", extra=extra)
    assert set(roles.values()) == {"image", "camera_info"}


def test_frames_of_ros_1_begin_with_a_slash_or_not(chosen):
    roles = chosen("/left/image", extra=[image("/left/depth", frame_id="/left_optical")])
    assert roles["/left/depth"] == "sparse_depth"


def test_what_is_given_goes_first_and_none_is_none(chosen):
    roles = chosen("/left", "/lidar", given={"sparse_points": "none", "camera_info": "none"})
    assert roles == {"/left/image_raw/compressed": "image"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": "/nowhere"}, "on /nowhere as image in .*some; it has /left/image_raw/compressed"),
        ({"image": "/"}, "on '/' as image"),
        (
            {"image": "/left/image_raw/compressed", "sparse_depth": "/left/image_raw/compressed"},
            "of its own for each input, got /left/image_raw/compressed as image and sparse_depth",
        ),
        ({"image": "/lidar/points"}, "expected sensor_msgs/msg/Image or .* got sensor_msgs/msg/PointCloud2"),
        ({"image": "none"}, "expected an image topic"),
    ],
)
def test_a_wrong_topic_is_told(chosen, given, words):
    with pytest.raises(InvalidInputError, match=words):
        chosen("/left", "/lidar", given=given)


def test_depth_that_is_named_as_the_image_is_told(chosen):
    with pytest.raises(InvalidInputError, match=r"expected colour images on /depth in .*, got 32FC1"):
        chosen("/left", extra=[image("/depth")], given={"image": "/depth"})


def test_no_image_at_all_is_told(chosen):
    with pytest.raises(InvalidInputError, match=r"expected colour images in .*, found none"):
        chosen("/lidar", extra=[image("/depth")])


def test_transforms_are_moving_or_static(bag):
    with BagReader(bag) as reader:
        assert transform_topics(reader) == (["/tf"], ["/tf_static"])


@pytest.fixture
def cameras(messages, tmp_path):
    """Choose cameras in a bag of all topics and of some more."""

    def choose(given, namespaces=(), extra=(), dropped=()):
        kept = [one for one in messages if one[0] not in dropped]
        path = bags.write_bag(tmp_path / str(len([*tmp_path.iterdir()])), [*kept, *extra])
        with BagReader(path) as reader:
            return {name: one.roles for name, one in choose_cameras(reader, given, namespaces).items()}

    return choose


BOTH = {"image": ["/left/image_raw/compressed", "right/image_raw"]}


def test_each_camera_gets_what_is_its_own_and_what_all_share(cameras):
    assert cameras(BOTH) == {
        "/left": {
            "/left/image_raw/compressed": "image",
            "/left/camera_info": "camera_info",
            "/lidar/points": "sparse_points",
        },
        "/right": {
            "/right/image_raw": "image",
            "/right/camera_info": "camera_info",
            "/lidar/points": "sparse_points",
        },
    }


def test_one_camera_is_in_the_root(cameras):
    assert [*cameras({"image": ["/right/image_raw"]})] == [""]
    assert [*cameras({"image": ["/right/image_raw"]}, ["robot/right/"])] == ["/robot/right"]


def test_topics_are_given_for_all_cameras_or_for_each(cameras):
    infos = {"camera_info": ["/right/camera_info", "none"], "sparse_points": ["none"]}
    found = cameras({**BOTH, **infos}, ["a", "b"])
    assert found == {
        "/a": {"/left/image_raw/compressed": "image", "/right/camera_info": "camera_info"},
        "/b": {"/right/image_raw": "image"},
    }


def test_a_sensor_in_the_namespace_of_a_camera_is_its_own(cameras, messages):
    cloud = next(one for one in messages if one[0] == "/lidar/points")
    extra = [(f"/{side}/depth/points", *cloud[1:]) for side in ("left", "right")]
    found = cameras(BOTH, extra=extra)
    assert found["/left"]["/left/depth/points"] == "sparse_points"
    assert found["/right"]["/right/depth/points"] == "sparse_points"


def test_cameras_of_one_frame_are_told_apart_by_their_namespaces(cameras):
    extra = [image("/left/depth"), image("/right/depth")]
    found = cameras({"image": ["/left/image_raw/compressed"]}, extra=extra, dropped=["/lidar/points"])
    assert found[""]["/left/depth"] == "sparse_depth"


def test_cameras_in_one_frame_are_told(bag):
    with BagReader(bag) as reader:
        left, right = (InputTopics(topic) for topic in ("/left/image_raw/compressed", "/right/image_raw"))
        assert frames_of_several(reader, {"/a": left, "/b": right}) == []
        assert frames_of_several(reader, {"/a": left, "/b": right, "/c": left}) == ["left_optical"]


def test_cameras_of_one_namespace_are_named_as_their_images(cameras, messages):
    sides = {f"/{side}/image_raw": f"/stereo/{side}" for side in ("right", "left")}
    extra = [(sides[one[0]], *one[1:]) for one in messages if one[0] == "/right/image_raw"]
    extra += [("/stereo/left", *one[1:]) for one in extra]
    assert [*cameras({"image": [*sides.values()]}, extra=extra)] == ["/stereo/right", "/stereo/left"]


@pytest.mark.parametrize(
    ("given", "namespaces", "words"),
    [
        ({**BOTH, "sparse_points": ["/lidar/points"] * 3}, (), "as many of --sparse-points as of --image, 2"),
        (BOTH, ["left"], "as many of --namespace as of --image, 2, got 1: left"),
        (BOTH, ["left", "/left"], "expected different cameras and namespaces"),
        ({"image": ["/right/image_raw", "right/image_raw"]}, (), "expected different cameras"),
        (
            {"camera_info": ["/left/camera_info", "none"]},
            (),
            "as many of --camera-info as of --image, 1, got 2",
        ),
    ],
)
def test_cameras_that_are_not_told_apart_are_refused(cameras, given, namespaces, words):
    with pytest.raises(InvalidInputError, match=words):
        cameras(given, namespaces)
