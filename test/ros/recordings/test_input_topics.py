import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.recordings.bag_reader import BagReader
from e2e_depth_ros.ros.recordings.input_topics import choose_topics, transform_topics
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
    with pytest.raises(InvalidInputError, match=r"--image.*/left/image_raw/compressed, /right/image_raw"):
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


def test_what_is_given_goes_first_and_none_is_none(chosen):
    roles = chosen("/left", "/lidar", given={"sparse_points": "none", "camera_info": "none"})
    assert roles == {"/left/image_raw/compressed": "image"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": "/nowhere"}, "on /nowhere as image; the bag has /left/image_raw/compressed"),
        ({"image": "/lidar/points"}, "expected sensor_msgs/msg/Image or .* got sensor_msgs/msg/PointCloud2"),
        ({"image": "none"}, "expected an image topic"),
    ],
)
def test_a_wrong_topic_is_told(chosen, given, words):
    with pytest.raises(InvalidInputError, match=words):
        chosen("/left", "/lidar", given=given)


def test_no_image_at_all_is_told(chosen):
    with pytest.raises(InvalidInputError, match=r"expected colour images in .*, found none"):
        chosen("/lidar", extra=[image("/depth")])


def test_transforms_are_moving_or_static(bag):
    with BagReader(bag) as reader:
        assert transform_topics(reader) == (["/tf"], ["/tf_static"])
