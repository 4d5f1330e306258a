"""Masks over DDS: the mask node paints in a process of its own, the depth node leaves out what they cover."""

import signal
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image

from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.images import depth_from_message, mask_from_message, message_from_array
from e2e_depth_ros.ros.messages.stamps import stamp_ns
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess, set_parameter, until

SIZE = (48, 64)
PERIOD_S = 2.0

pytestmark = [pytest.mark.timeout(900), pytest.mark.in_order]


@pytest.fixture(scope="module")
def painted(robot):
    """The masks that the mask node has published; the depth node gets only those that tests pass on."""
    masks = []
    robot.node.create_subscription(Image, "painted", masks.append, 5)
    return masks


@pytest.fixture(scope="module")
def mask_node(painter_folder, painted, tmp_path_factory):  # noqa: ARG001 - it is heard from the start
    parameters = {
        "model": painter_folder,
        "processing_resolution": 64,
        "denoising_steps": 3,
        "period": PERIOD_S,
        "niceness": 0,  # on a loaded machine it would starve
        "max_unexplained": 1.0,  # a random network does as it likes
    }
    log = tmp_path_factory.mktemp("mask") / "log"
    process = NodeProcess(log, parameters, ("-r", "mask/image:=painted"), executable="mask_node")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def depth_node(model_folder, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    parameters = {
        "model": model_folder,
        "remove_masked_points": "true",
        "remove_masked_samples": "true",
        "mask_dilation": 0,
        # The depth of a random network is all edges, and anywhere.
        "remove_edges": "false",
        "min_depth": 0.0,
        "max_depth": 1000.0,
    }
    process = NodeProcess(tmp_path_factory.mktemp("depth") / "log", parameters)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def both(mask_node, depth_node):
    """Both nodes, ready; they start side by side, as that takes long."""
    for process in (mask_node, depth_node):
        process.wait_until_ready()


@pytest.fixture(scope="module")
def masks_out(robot):
    return robot.node.create_publisher(Image, "mask/image", 5)


def measured(header):
    """Depth that was measured everywhere: a slope from 2 to 4 metres."""
    depth_m = np.linspace(2, 4, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
    return message_from_array(depth_m, "32FC1", header)


def send(robot, period_s=0.1):
    header = robot.header()
    robot.send_frame(SIZE, header=header, sparse=measured(header))
    robot.spin(period_s)
    return header


def status(robot, name):
    return robot.statuses.get(name, (None, "", {}))


def quarter_masked(header, size=SIZE):
    values = np.zeros(size, np.uint8)
    values[:, : size[1] // 4] = 255
    return message_from_array(values, "mono8", header)


@pytest.mark.usefixtures("both")
def test_masks_are_of_their_images_and_keep_their_pace(robot, painted):
    sent = {}

    def step():
        sent[stamp_ns(send(robot))] = time.monotonic()

    painted.clear()
    assert until(lambda: len(painted) >= 3, 120, step), robot.statuses
    for mask in painted:
        assert (mask.encoding, mask.header.frame_id, (mask.height, mask.width)) == ("mono8", "camera", SIZE)
        assert set(np.unique(np.frombuffer(mask.data, np.uint8))) <= {0, 255}
    begun_s = [sent[stamp_ns(mask.header)] for mask in painted]
    # Each was begun with the newest image of its time; the first of these may be an image of before.
    assert begun_s[2] - begun_s[1] > PERIOD_S - 0.5
    assert until(lambda: "instruction" in status(robot, "mask: mask")[2], 10, step)
    assert status(robot, "mask: mask")[2]["instruction"].startswith("Place a red mask on the pixels of the p")
    model = status(robot, "mask: model")[2]
    assert (model["model"], model["denoising_steps"]) == ("tiny-painter", "3")
    published = "published/mask/image"
    assert until(lambda: int(status(robot, "mask: frames")[2].get(published, 0)) >= 3, 10, step)


@pytest.mark.usefixtures("both")
def test_what_is_masked_gives_no_point_and_keeps_its_depth(robot, painted, masks_out):
    """A painted mask is passed on; then a quarter is masked, which is surely neither none nor all."""
    robot.listen(Output.POINTS, Output.DEPTH, Output.STATUS)
    assert until(lambda: len(painted) >= 1, 120, lambda: send(robot)), robot.statuses
    passed_on = painted[-1]
    passed_on.header = robot.header()
    for mask in (passed_on, quarter_masked(robot.header())):
        values = mask_from_message(mask)

        def points_are_cut(values=values):
            if not {Output.POINTS, Output.DEPTH, Output.STATUS} <= set(robot.received):
                return False
            points = points_from_message(robot.received[Output.POINTS][-1]).reshape(*SIZE, 3)
            return np.array_equal(np.isnan(points[..., 2]), values)

        masks_out.publish(mask)
        assert until(points_are_cut, 60, lambda: send(robot)), robot.statuses
        assert np.isfinite(depth_from_message(robot.received[Output.DEPTH][-1])).all()

    def status_tells_of_them():  # it comes after the points
        values = {entry.key: entry.value for entry in robot.received[Output.STATUS][-1].values}
        return int(values["samples_dropped/masked"]) == SIZE[0] * SIZE[1] // 4

    assert until(status_tells_of_them, 60, lambda: send(robot)), robot.received[Output.STATUS][-1]

    def quarter_is_told():  # diagnostics come once a second: the first may still tell of the mask before
        _, words, mask_status = status(robot, "depth: mask")
        return words == "in use" and float(mask_status["masked_share"]) == 0.25

    assert until(quarter_is_told, 30, lambda: send(robot)), robot.statuses


@pytest.mark.usefixtures("both")
def test_a_mask_of_another_size_is_refused_once_and_an_old_one_ignored(robot, masks_out):
    robot.listen(Output.POINTS)
    before = robot.refused("mask: size")
    masks_out.publish(quarter_masked(robot.header(), (SIZE[0], SIZE[1] + 4)))
    assert until(lambda: robot.refused("mask: size") > before, 30, lambda: send(robot)), robot.statuses
    for _ in range(10):
        send(robot)
    assert robot.refused("mask: size") == before + 1


@pytest.mark.usefixtures("both")
def test_without_a_mask_of_its_time_a_frame_has_no_points_and_takes_no_samples(robot, depth_node, masks_out):
    """As when the mask node has died. Then one comes again."""
    robot.listen(Output.POINTS, Output.RELATIVE, Output.STATUS)
    masks_out.publish(quarter_masked(robot.header()))
    robot.received.clear()
    assert until(lambda: Output.POINTS in robot.received, 60, lambda: send(robot)), robot.statuses
    assert set_parameter(robot, "mask_max_age", 0.5).successful

    def told():
        level, words, _ = status(robot, "depth: mask")
        return level == DiagnosticStatus.ERROR and words.startswith(
            "no points and no samples: the last mask is"
        )

    assert until(told, 60, lambda: send(robot)), robot.statuses
    assert "mask_max_age is 0.5 s" in status(robot, "depth: mask")[1]
    assert status(robot, "depth: mask")[1].partition(":")[0] in depth_node.output
    robot.received.clear()
    answered = Output.RELATIVE, Output.STATUS
    assert until(
        lambda: all(len(robot.received.get(one, [])) >= 3 for one in answered), 60, lambda: send(robot)
    )
    assert Output.POINTS not in robot.received
    values = {entry.key: entry.value for entry in robot.received[Output.STATUS][-1].values}
    assert values["samples_dropped/no_mask"] == str(SIZE[0] * SIZE[1])
    assert set_parameter(robot, "mask_max_age", 10.0).successful
    masks_out.publish(quarter_masked(robot.header()))
    robot.received.clear()
    assert until(lambda: Output.POINTS in robot.received, 60, lambda: send(robot)), robot.statuses
    assert np.isnan(points_from_message(robot.received[Output.POINTS][-1])).any()


@pytest.mark.usefixtures("both")
def test_no_depth_waits_for_a_mask(robot, mask_node, painted):
    """Stopped in the midst of its work, the mask node holds nothing up: depth goes on, image by image."""
    robot.listen(Output.RELATIVE)
    assert until(lambda: Output.RELATIVE in robot.received, 60, lambda: send(robot))
    mask_node.popen.send_signal(signal.SIGSTOP)
    try:
        robot.spin(0.5)
        painted.clear()
        for _ in range(10):
            stamp = send(robot, period_s=0.01).stamp

            def is_answered(stamp=stamp):
                return any(depth.header.stamp == stamp for depth in robot.received[Output.RELATIVE])

            assert until(is_answered, 20, robot.spin), robot.statuses
        assert not painted
    finally:
        mask_node.popen.send_signal(signal.SIGCONT)
    assert until(lambda: painted, 60, lambda: send(robot)), "it paints again"


@pytest.mark.usefixtures("both")
def test_parameters_change_what_is_painted_with(robot):
    assert set_parameter(robot, "color", "blue", node="mask").successful
    assert set_parameter(robot, "object", "the door", node="mask").successful
    refused = set_parameter(robot, "color", "pink", node="mask")
    assert not refused.successful
    assert "red, purple, blue" in refused.reason
    expected = "Place a blue mask on the pixels of the door and leave everything else as it is."
    assert until(
        lambda: status(robot, "mask: mask")[2].get("instruction") == expected, 60, lambda: send(robot)
    ), robot.statuses


def test_the_mask_node_stops_at_once_though_it_paints(robot, mask_node, both):  # noqa: ARG001
    """The last of the tests that share the processes."""
    send(robot)
    start = time.monotonic()
    assert mask_node.stop(signal.SIGTERM) == 0, mask_node.output
    assert time.monotonic() - start < 20
    assert "Traceback" not in mask_node.output


@pytest.mark.parametrize(
    ("executable", "model", "words"),
    [
        (
            "depth_node",
            "painter",
            "expected a checkpoint that predicts depth or normals, got one that paints",
        ),
        ("mask_node", "depth", "expected a checkpoint that paints by instruction"),
        ("mask_node", "", "parameter model: expected a checkpoint that paints by instruction, got none"),
    ],
)
def test_a_checkpoint_of_the_other_node_is_one_line(
    executable, model, words, painter_folder, model_folder, tmp_path
):
    folders = {"painter": painter_folder, "depth": model_folder}
    parameters = {"model": folders[model]} if model else {}
    process = NodeProcess(tmp_path / "log", parameters, executable=executable)
    assert process.popen.wait(timeout=300) == 1
    lines = [line for line in process.output.splitlines() if "cannot configure: " in line]
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in process.output
