"""What `e2e-depth bag` writes is what the node publishes on the same messages, over DDS."""

import os

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile

from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output
from e2e_depth_ros.ros.recordings.bag_reader import BagReader
from e2e_depth_ros.ros.recordings.conversion import Conversion, convert_bag
from e2e_depth_ros.ros.recordings.input_topics import choose_topics
from e2e_depth_ros.ros.recordings.parameter_file import parameters_from
from helpers import bags
from helpers.robot import NodeProcess, until
from helpers.tf import import_tf2_ros, python_path

import_tf2_ros()

FRAMES = 7
OUTPUTS = tuple(output for output in Output if output is not Output.NORMALS)
PARAMETERS = {"image_transport": "compressed", "fixed_frame": "odom", "num_threads": 1}

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def messages(model_folder):
    estimator = Estimator.load(model_folder, num_threads=1)

    def depth_of(rgb):
        return bags.SHIFT_M + bags.SCALE * estimator.estimate(rgb, tasks=[Task.DEPTH]).depth.values

    return bags.robot_messages(FRAMES, depth_of)


@pytest.fixture(scope="module")
def node(robot, model_folder, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    with pytest.MonkeyPatch.context() as patch:
        paths = os.pathsep.join(filter(None, (python_path(), os.environ.get("PYTHONPATH"))))
        patch.setenv("PYTHONPATH", paths)
        parameters = {"model": model_folder, **PARAMETERS, "input_reliability": "reliable"}
        process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    assert process.stop() == 0, process.output
    assert "Traceback" not in process.output


@pytest.fixture(scope="module")
def published(node, robot, messages):  # noqa: ARG001 - the node must run
    """{output: its messages}: each image is sent when the one before it was answered."""
    static = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    tf = {
        "/tf": robot.node.create_publisher(TransformStamped, "/tf", 100),
        "/tf_static": robot.node.create_publisher(TransformStamped, "/tf_static", static),
    }
    names = {
        "/left/image_raw/compressed": "image_raw/compressed",
        "/left/camera_info": "camera_info",
        "/lidar/points": "sparse_points",
    }
    robot.listen(*OUTPUTS)
    wired = (*tf.values(), *(robot.publishers[name] for name in names.values()))
    assert until(lambda: all(one.get_subscription_count() for one in wired), 60, robot.spin)
    robot.spin(1.0)
    waiting = []  # images, each until all that was recorded with it is sent
    for topic, log_ns, message in messages:
        while waiting and log_ns - waiting[0][0] > 32_000_000:
            answer(robot, waiting.pop(0)[1])
        if topic in tf:
            for one in message:
                tf[topic].publish(one)
        elif topic.endswith("compressed"):
            waiting.append((log_ns, message))
        elif topic in names:
            robot.publishers[names[topic]].publish(message)
        robot.spin(0.005)
    for _, image in waiting:
        answer(robot, image)
    return robot.received


def answer(robot, image):
    answers = len(robot.received.get(Output.COLOR, []))  # the last of the outputs
    robot.spin(0.05)
    robot.publishers["image_raw/compressed"].publish(image)
    heard = until(lambda: len(robot.received.get(Output.COLOR, [])) > answers, 60, robot.spin)
    assert heard, robot.statuses


@pytest.fixture(scope="module")
def written(messages, model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags")
    bag = bags.write_bag(folder / "robot", messages)
    assignments = [f"model:={model_folder}", *(f"{name}:={value}" for name, value in PARAMETERS.items())]
    parameters = parameters_from(None, assignments)
    with BagReader(bag) as reader:
        topics = choose_topics(reader, {"image": "/left/image_raw/compressed"})
        conversion = Conversion(topics, parameters, OUTPUTS, folder / "depth")
        report = convert_bag(reader, conversion, lambda: Estimator.load(model_folder, num_threads=1))
    assert not report.refusals
    return bags.read_bag(folder / "depth")


def test_a_bag_holds_what_the_node_publishes(published, written):
    for output in OUTPUTS:
        theirs, ours = published[output], [message for _, message in written[f"/{output.value}"]]
        assert len(ours) == len(theirs), output
        assert len(ours) == FRAMES or output in METRIC_OUTPUTS
        for one, other in zip(theirs, ours, strict=True):
            if output is Output.STATUS:
                values = {entry.key: entry.value for entry in one.values}
                assert {entry.key: entry.value for entry in other.values} == values
                assert other.message == one.message
                continue
            assert (other.header.stamp.sec, other.header.stamp.nanosec, other.header.frame_id) == (
                one.header.stamp.sec,
                one.header.stamp.nanosec,
                one.header.frame_id,
            )
            if output is Output.DEPTH_INFO:
                np.testing.assert_array_equal(other.k, one.k)
            else:
                np.testing.assert_allclose(bags.arrays_of(other), bags.arrays_of(one), rtol=1e-6, atol=1e-6)


def test_it_is_metric_by_the_points_that_tf_places(written):
    """Or the test above would compare silence."""
    states = [
        {entry.key: entry.value for entry in message.values} for _, message in written["/alignment/status"]
    ]
    assert {values["source"] for values in states} == {"sparse_points"}
    assert len(written["/depth/image_rect"]) == FRAMES
    assert np.isfinite(bags.arrays_of(written["/depth/image_rect"][-1][1])).mean() > 0.9
