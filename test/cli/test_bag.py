"""`e2e-depth bag`, from a bag to a bag, read back by other libraries."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

from mcap.reader import make_reader

from e2e_depth_ros.cli.main import main
from helpers import bags

FEW = ["--outputs", "depth/image_relative", "alignment/status"]


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    messages = bags.robot_messages(4, lambda rgb: 1 + rgb[..., 0].astype(np.float32) / 99)
    return bags.write_bag(tmp_path_factory.mktemp("bags") / "robot", messages)


@pytest.fixture
def run(bag, tiny_checkpoint, capsys):
    def run(*arguments, image="/left/image_raw/compressed"):
        model = [] if "--output" not in arguments else ["-p", f"model:={tiny_checkpoint()}"]
        code = main(["bag", str(bag), *map(str, arguments), *(["--image", image] if image else []), *model])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_without_an_output_it_shows_what_is_there(run):
    code, out, _ = run()
    assert code == 0
    for words in ("/lidar/points", "sensor_msgs/msg/PointCloud2", "/tf_static"):
        assert words in out
    assert next(line for line in out.splitlines() if "/lidar/points" in line).split()[-1] == "sparse_points"
    code, out, err = run(image=None)
    assert code == 2
    assert "/right/image_raw" in out
    assert err.count("\n") == 1
    assert "expected image to name one or more of the topics in" in err


def test_all_outputs_and_the_inputs_are_read_back_by_mcap(run, bag, tmp_path):
    out = tmp_path / "out"
    code, _, err = run("--output", out, "--copy", "--namespace", "left")
    assert code == 0, err
    assert "4 images of 0.1 s" in err
    with (out / "out_0.mcap").open("rb") as stream:
        reader = make_reader(stream)
        summary = reader.get_summary()
        topics = {
            channel.topic: summary.schemas[channel.schema_id].name for channel in summary.channels.values()
        }
        counts = {
            summary.channels[key].topic: n for key, n in summary.statistics.channel_message_counts.items()
        }
        found = [(channel.topic, message.data) for _, channel, message in reader.iter_messages()]
    assert topics["/left/depth/image_relative"] == "sensor_msgs/msg/Image"
    assert topics["/tf"] == "tf2_msgs/msg/TFMessage"
    assert counts["/left/depth/image_relative"] == counts["/left/alignment/status"] == 4
    with (bag / "robot.mcap").open("rb") as stream:
        recorded = [(c.topic, m.data) for _, c, m in make_reader(stream).iter_messages()]
    assert sorted(recorded) == sorted(one for one in found if one[0] in {topic for topic, _ in recorded})


def test_outputs_parameters_and_storage_are_the_users_choice(run, tmp_path):
    out = tmp_path / "out"
    options = ["--storage", "sqlite3", "--compress", "-p", "relative_range:=image", *FEW]
    code, _, err = run("--output", out, *options)
    assert code == 0, err
    found = bags.read_bag(out)
    assert {*found} == {"/depth/image_relative", "/alignment/status"}
    for _, message in found["/depth/image_relative"]:
        values = np.frombuffer(message.data, np.float32)
        assert (values.min(), values.max()) == pytest.approx((0, 1), abs=1e-6)
    assert (out / "out_0.db3").exists()


def test_what_is_done_is_not_done_again(run, tmp_path):
    out = tmp_path / "out"
    assert run("--output", out, *FEW)[0] == 0
    before = (out / "out_0.mcap").stat().st_mtime_ns
    code, _, err = run("--output", out, *FEW)
    assert code == 0
    assert "already" in err
    assert (out / "out_0.mcap").stat().st_mtime_ns == before
    code, _, err = run("--output", out, "--outputs", "alignment/status")
    assert code == 2
    assert "--force" in err
    assert run("--output", out, "--force", "--outputs", "alignment/status")[0] == 0
    assert {*bags.read_bag(out)} == {"/alignment/status"}


def test_the_bag_that_is_read_is_never_written(run, bag):
    for out in (bag, bag.parent):
        code, _, err = run("--output", out, "--force", *FEW)
        assert code == 2
        assert "expected an --output beside the bag" in err.splitlines()[-1]
    assert bags.read_bag(bag)


def test_why_there_are_no_metres_is_told(run, tmp_path):
    code, _, err = run("--output", tmp_path / "out", "--sparse-points", "none", *FEW)
    assert code == 0
    assert "alignment: lost 4" in err
    assert next(line for line in err.splitlines() if line.startswith("lost: ")) != "lost: "


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--outputs", "depth"], "expected outputs of depth/image_rect"),
        (["-p", "nonsense:=3"], "got nonsense"),
        (["--sparse-points", "/nowhere"], "expected messages on /nowhere"),
    ],
)
def test_wrong_input_is_one_line(run, tmp_path, arguments, words):
    code, _, err = run("--output", tmp_path / "out", *arguments)
    assert code == 2
    assert words in err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_outputs_never_mix_with_topics_of_the_bag(run, tmp_path):
    assert run("--output", tmp_path / "one", *FEW)[0] == 0
    again = ["bag", str(tmp_path / "one"), "--output", str(tmp_path / "two"), "--copy"]
    assert main([*again, "--image", "/depth/image_relative"]) == 2


def test_two_cameras_are_worked_on_in_one_run_and_told_apart(run, tmp_path):
    both = ["--image", "/left/image_raw/compressed", "/right/image_raw"]
    code, _, err = run("--output", tmp_path / "out", "--copy", *FEW, *both, image=None)
    assert code == 0, err
    rows = {
        line.split()[0]: " ".join(line.split()[3:])
        for line in err.splitlines()
        if line.startswith(("/", " /"))
    }
    assert rows["/right/camera_info"] == "camera_info of /right"
    assert rows["/tf"] == rows["/tf_static"] == "transforms"
    assert "several cameras are in the frame" not in err
    assert rows["/lidar/points"] == "sparse_points of /left, sparse_points of /right"
    assert "/left: alignment: " in err
    assert "/right: written: alignment/status 4, depth/image_relative 4" in err
    assert "8 images of 0.1 s" in err
    found = bags.read_bag(tmp_path / "out")
    for topic in (
        "/left/depth/image_relative",
        "/right/alignment/status",
        "/lidar/points",
        "/left/camera_info",
    ):
        assert topic in found
    frames = {message.header.frame_id for _, message in found["/right/depth/image_relative"]}
    assert frames == {"right_optical"}


def test_as_many_topics_as_cameras(run, tmp_path):
    both = ["--image", "/left/image_raw/compressed", "/right/image_raw"]
    code, _, err = run("--output", tmp_path / "out", *both, "--namespace", "left", image=None)
    assert code == 2
    assert "expected as many of --namespace as of --image, 2, got 1: left" in err
