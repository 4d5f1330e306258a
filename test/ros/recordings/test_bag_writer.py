import pytest
import yaml

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.recordings.bag_reader import BagReader
from e2e_depth_ros.ros.recordings.bag_writer import BagWriter, remove_bag
from helpers import bags

RUN = {"bag": "some", "parameters": {"model": "embedded"}}


@pytest.fixture
def recorded(bag):
    with BagReader(bag) as reader:
        topics = {name: reader.topics[name] for name in ("/tf_static", "/left/camera_info")}
        return topics, list(reader.messages([*topics]))


def filled(path, recorded, *, parts=3, finish=True, **options):
    """Write the messages in parts; the last is left open unless it is finished."""
    topics, messages = recorded
    writer = BagWriter(path, RUN, **options)
    writer.begin(topics)
    done_ns = writer.done_ns or 0
    size = -(-len(messages) // parts)
    for index, message in enumerate(messages):
        if message.log_ns > done_ns:
            writer.write(*message)
            if (index + 1) % size == 0:
                writer.end_part(message.log_ns)
    if finish:
        writer.end_part(messages[-1].log_ns)
        writer.finish()
    return writer


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compress", [False, True])
def test_parts_become_one_bag(recorded, tmp_path, storage, compress):
    path = tmp_path / "out"
    filled(path, recorded, storage=storage, compress=compress)
    topics, messages = recorded
    with BagReader(path) as reader:
        assert {name: topic.count for name, topic in reader.topics.items()} == {
            name: topic.count for name, topic in topics.items()
        }
        assert reader.topics["/tf_static"].definition == topics["/tf_static"].definition
        assert sorted(reader.messages([*topics])) == sorted(messages)
        assert (reader.start_ns, reader.end_ns) == (messages[0].log_ns, messages[-1].log_ns)
    information = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    suffix = {"mcap": "mcap", "sqlite3": "db3"}[storage]
    assert information["relative_file_paths"] == [f"out_{index}.{suffix}" for index in range(3)]
    assert sorted(one.name for one in path.iterdir()) == [
        "metadata.yaml",
        *information["relative_file_paths"],
    ]


def test_a_run_that_was_cut_off_goes_on_behind_its_last_whole_part(recorded, tmp_path):
    path = tmp_path / "out"
    topics, messages = recorded
    writer = BagWriter(path, RUN)
    writer.begin(topics)
    for message in messages[:5]:
        writer.write(*message)
    writer.end_part(messages[4].log_ns)
    writer.write(*messages[5])
    writer.abort()
    again = filled(path, recorded)
    assert again.is_done
    with BagReader(path) as reader:
        assert sorted(reader.messages([*topics])) == sorted(messages)


def test_a_crash_while_parts_are_joined_loses_nothing(recorded, tmp_path):
    path = tmp_path / "out"
    filled(path, recorded, finish=False)
    (path / ".parts" / "out_0" / "out_0.mcap").replace(path / "out_0.mcap")
    filled(path, recorded)
    with BagReader(path) as reader:
        assert sorted(reader.messages([*recorded[0]])) == sorted(recorded[1])


def test_what_is_done_is_done(recorded, tmp_path):
    filled(tmp_path / "out", recorded)
    assert BagWriter(tmp_path / "out", RUN).is_done


@pytest.mark.parametrize("finish", [True, False])
def test_what_another_run_wrote_is_not_touched(recorded, tmp_path, finish):
    path = tmp_path / "out"
    filled(path, recorded, finish=finish)
    with pytest.raises(InvalidInputError, match=r"another.*--force"):
        BagWriter(path, {**RUN, "bag": "other"})
    with pytest.raises(InvalidInputError, match=r"another.*--force"):
        BagWriter(path, RUN, compress=True)
    remove_bag(path)
    assert not BagWriter(path, RUN, compress=True).is_done


def test_what_is_no_bag_is_never_removed(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(InvalidInputError, match="not replaced"):
        remove_bag(tmp_path / "photos")
    with pytest.raises(InvalidInputError, match="holds something"):
        BagWriter(tmp_path / "photos", RUN)
    assert (tmp_path / "photos" / "holiday.jpg").exists()
    remove_bag(tmp_path / "nothing")


def test_what_a_robot_recorded_is_never_removed(bag):
    with pytest.raises(InvalidInputError, match="e2e-depth did not write"):
        remove_bag(bag)
    with pytest.raises(InvalidInputError, match=r"expected a new folder.*did not write"):
        BagWriter(bag, RUN)
    assert (bag / "metadata.yaml").exists()


def test_ros1_types_become_those_of_ros2(messages, tmp_path):
    with BagReader(bags.write_ros1_bag(tmp_path / "robot.bag", messages)) as reader:
        filled(tmp_path / "out", (dict(reader.topics), list(reader.messages([*reader.topics]))))
    found = bags.read_bag(tmp_path / "out")
    assert {topic: len(of) for topic, of in found.items()} == {
        topic: sum(one[0] == topic for one in messages) for topic, *_ in messages
    }
    assert found["/tf_static"][0][1].transforms[1].child_frame_id == "lidar"
