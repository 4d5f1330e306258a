import os
import sqlite3

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.stamps import stamp_ns
from e2e_depth_ros.ros.recordings.bag_reader import BagReader
from helpers import bags

LAYOUTS = {
    "mcap": {"storage": "mcap"},
    "mcap, chunks compressed": {"storage": "mcap", "compression": "STORAGE"},
    "mcap, messages compressed": {"storage": "mcap", "compression": "MESSAGE"},
    "sqlite": {"storage": "sqlite3"},
    "sqlite, messages compressed": {"storage": "sqlite3", "compression": "MESSAGE"},
    "sqlite, file compressed": {"storage": "sqlite3", "compression": "FILE"},
    "ros 1": None,
}


@pytest.fixture(params=LAYOUTS)
def path(request, messages, tmp_path):
    layout = LAYOUTS[request.param]
    if layout is None:
        return bags.write_ros1_bag(tmp_path / "robot.bag", messages)
    return bags.write_bag(tmp_path / "robot", messages, **layout)


def test_every_layout_gives_the_messages_that_were_recorded(path, messages):
    with BagReader(path) as reader:
        assert reader.start_ns == messages[0][1]
        assert reader.end_ns == messages[-1][1]
        assert {name: topic.type_name for name, topic in reader.topics.items()} == {
            topic: bags.type_name(message) for topic, _, message in messages
        }
        read = list(reader.messages([*reader.topics]))
        assert sorted((one.topic, one.log_ns) for one in read) == sorted(m[:2] for m in messages)
        by_key = {(topic, log_ns): message for topic, log_ns, message in messages}
        for one in read:
            message, original = reader.read(one), by_key[one.topic, one.log_ns]
            if isinstance(original, list):
                found = [(t.header.frame_id, t.child_frame_id) for t in message.transforms]
                assert found == [(t.header.frame_id, t.child_frame_id) for t in original]
                assert message.transforms[0].transform.rotation.z == original[0].transform.rotation.z
            else:
                assert message == original
                assert one.stamp_ns == stamp_ns(original.header)


def test_a_single_file_of_a_bag_is_a_bag(bag):
    with BagReader(bag / "robot.mcap") as reader:
        assert reader.topics["/lidar/points"].count == 4
        first = reader.first("/lidar/points")
    assert first.header.frame_id == "lidar"


def test_reading_begins_where_it_is_told(bag):
    with BagReader(bag) as reader:
        begin_ns = bags.START_NS + 5 * bags.FRAME_NS
        found = list(reader.messages(["/right/image_raw"], begin_ns))
    assert len(found) == 5
    assert found[0].log_ns >= begin_ns


def broken(path, what, bag):
    if what == "nothing":
        return "does not exist"
    path.mkdir()
    if what == "no metadata":
        return "no metadata.yaml"
    (path / "metadata.yaml").write_bytes((bag / "metadata.yaml").read_bytes())
    if what == "no file":
        return "missing"
    whole = (bag / "robot.mcap").read_bytes()
    (path / "robot.mcap").write_bytes(whole[: len(whole) // 2])
    return r"cannot read the bag .*cut off; `mcap recover`"


@pytest.mark.parametrize("what", ["nothing", "no metadata", "no file", "half"])
def test_what_is_no_bag_is_one_line(bag, tmp_path, what):
    path = tmp_path / "other"
    words = broken(path, what, bag)
    with pytest.raises(InvalidInputError, match=words) as error:
        BagReader(path)
    assert "\n" not in str(error.value)


def test_a_bag_of_ros_1_that_was_cut_off_is_told_as_that(messages, tmp_path):
    path = bags.write_ros1_bag(tmp_path / "robot.bag", messages)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InvalidInputError, match="cut off; `rosbag reindex` makes a whole file of it"):
        BagReader(path)


@pytest.mark.parametrize("suffix", [".mcap", ".db3", ".bag"])
@pytest.mark.timeout(20)
def test_a_named_pipe_is_no_bag(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with pytest.raises(InvalidInputError, match=r"expected a file, but .* is a named pipe"):
        BagReader(tmp_path / f"pipe{suffix}")


def test_a_compressed_file_is_read_by_its_folder(messages, tmp_path):
    path = bags.write_bag(tmp_path / "robot", messages, compression="FILE")
    (file,) = path.glob("*.mcap.*")
    with BagReader(path) as reader:
        assert len([*reader.messages(["/right/image_raw"])]) == 10
    with pytest.raises(InvalidInputError, match=r"expected the folder of .*robot.mcap.zstd"):
        BagReader(file)


def test_several_files_are_one_bag(messages, tmp_path):
    path = bags.write_split_bag(tmp_path / "robot", [messages[:40], messages[40:]])
    assert len([*path.glob("*.mcap")]) == 2
    with BagReader(path) as reader:
        read = [*reader.messages([*reader.topics])]
        assert sorted((one.topic, one.log_ns) for one in read) == sorted(m[:2] for m in messages)
    (path / "metadata.yaml").unlink()
    with pytest.raises(InvalidInputError, match=r"no metadata.yaml: ros2 bag reindex .* named alone"):
        BagReader(path)


def test_what_is_no_message_of_ours_is_in_the_way_of_nothing(messages, tmp_path):
    """A type of one's own, one that nothing tells of, and a topic without messages."""
    extra = {"/odd": "my_msgs/msg/Odd", "/unknown": "my_msgs/msg/Unknown", "/front/image_raw": bags.IMAGE}
    path = bags.write_bag(tmp_path / "robot", messages, extra=extra)
    with BagReader(path) as reader:
        assert {reader.topics[name].type_name for name in extra} == {*extra.values()}
        assert len([*reader.messages(["/right/image_raw"])]) == 10
        with pytest.raises(InvalidInputError, match="expected messages on /front/image_raw"):
            reader.first("/front/image_raw")


def test_a_broken_message_of_ros_1_is_one_of_many(messages, tmp_path):
    clouds = [number for number, (topic, *_) in enumerate(messages) if topic == "/lidar/points"]
    path = bags.write_ros1_bag(tmp_path / "robot.bag", messages, broken=clouds[1:2])
    with BagReader(path) as reader:
        found = list(reader.messages(["/lidar/points"]))
        assert len(found) == len(clouds)
        assert len(list(reader.whole(found))) == len(clouds) - 1
        with pytest.raises(
            InvalidInputError, match="cannot read a sensor_msgs/msg/PointCloud2 of /lidar/points"
        ):
            reader.read(found[1])


def test_a_broken_message_is_told_by_its_topic(messages, tmp_path):
    path = bags.write_bag(tmp_path / "robot", messages, storage="sqlite3")
    with sqlite3.connect(path / "robot.db3") as database:
        database.execute("UPDATE messages SET data = x'0001000012'")
    with BagReader(path) as reader, pytest.raises(InvalidInputError, match="/lidar/points"):
        reader.first("/lidar/points")
