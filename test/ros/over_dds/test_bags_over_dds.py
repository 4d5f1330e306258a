"""What `e2e-depth bag` writes of two cameras is what a node for each publishes on the same messages."""

import os

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output
from e2e_depth_ros.ros.recordings.bag_reader import BagReader
from e2e_depth_ros.ros.recordings.conversion import Conversion, convert_bag
from e2e_depth_ros.ros.recordings.input_topics import choose_cameras
from e2e_depth_ros.ros.recordings.parameter_file import parameters_from
from helpers import bags
from helpers.robot import NodeProcess, until
from helpers.tf import import_tf2_ros, python_path

import_tf2_ros()

FRAMES = 7
OUTPUTS = tuple(output for output in Output if output is not Output.NORMALS)
PARAMETERS = {"fixed_frame": "odom", "num_threads": 1}
IMAGES = {"/left": "/left/image_raw/compressed", "/right": "/right/image_raw"}
TYPES = {
    IMAGES["/left"]: CompressedImage,
    IMAGES["/right"]: Image,
    "/left/camera_info": CameraInfo,
    "/right/camera_info": CameraInfo,
    "/lidar/points": PointCloud2,
}
AFTER_NS = 32_000_000  # after an image all is recorded that belongs to it

pytestmark = [pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def messages(model_folder):
    estimator = Estimator.load(model_folder, num_threads=1)

    def depth_of(rgb):
        return bags.SHIFT_M + bags.SCALE * estimator.estimate(rgb, tasks=[Task.DEPTH]).depth.values

    return bags.robot_messages(FRAMES, depth_of)


@pytest.fixture(scope="module")
def nodes(robot, model_folder, tmp_path_factory):  # noqa: ARG001 - the robot hears them from the start
    """A node for each camera, as cameras.launch.py starts them."""
    processes = []
    with pytest.MonkeyPatch.context() as patch:
        paths = os.pathsep.join(filter(None, (python_path(), os.environ.get("PYTHONPATH"))))
        patch.setenv("PYTHONPATH", paths)
        for namespace, topic in IMAGES.items():
            parameters = {"model": model_folder, **PARAMETERS, "input_reliability": "reliable"}
            if topic.endswith("compressed"):
                parameters["image_transport"] = "compressed"
            names = ("-r", f"__ns:={namespace}", "-r", "sparse_points:=/lidar/points")
            log = tmp_path_factory.mktemp("node") / "log"
            processes.append(NodeProcess(log, parameters, names))
    for process in processes:
        process.wait_until_ready()
    yield processes
    for process in processes:
        assert process.stop() == 0, process.output
        assert "Traceback" not in process.output


@pytest.fixture(scope="module")
def published(nodes, robot, messages):  # noqa: ARG001 - the nodes must run
    """{topic: its messages}: each image is sent when the one before it was answered."""
    heard = {f"{namespace}/{output.value}": [] for namespace in IMAGES for output in OUTPUTS}
    for namespace in IMAGES:
        for output in OUTPUTS:
            topic = f"{namespace}/{output.value}"
            robot.node.create_subscription(output.message_type, topic, heard[topic].append, 5)
    static = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publishers = {
        "/tf": robot.node.create_publisher(TransformStamped, "/tf", 100),
        "/tf_static": robot.node.create_publisher(TransformStamped, "/tf_static", static),
        **{topic: robot.node.create_publisher(kind, topic, 5) for topic, kind in TYPES.items()},
    }

    def answer(topic, image):
        """Send an image, and wait for the last of its outputs."""
        answers = heard[f"{topic[: topic.index('/', 1)]}/{Output.COLOR.value}"]
        before = len(answers)
        robot.spin(0.05)
        publishers[topic].publish(image)
        assert until(lambda: len(answers) > before, 60, robot.spin), robot.statuses

    listeners = {name: 2 if name.startswith(("/tf", "/lidar")) else 1 for name in publishers}
    assert until(
        lambda: all(publishers[name].get_subscription_count() == n for name, n in listeners.items()),
        60,
        robot.spin,
    )
    robot.spin(1.0)
    waiting = []  # images, each until all that was recorded with it is sent
    for topic, log_ns, message in messages:
        while waiting and log_ns - waiting[0][0] > AFTER_NS:
            answer(*waiting.pop(0)[1:])
        if topic in IMAGES.values():
            waiting.append((log_ns, topic, message))
        else:
            for one in message if isinstance(message, list) else [message]:
                publishers[topic].publish(one)
        robot.spin(0.005)
    for _, topic, image in waiting:
        answer(topic, image)
    return heard


@pytest.fixture(scope="module")
def written(messages, model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags")
    bag = bags.write_bag(folder / "robot", messages)
    assignments = [f"model:={model_folder}", *(f"{name}:={value}" for name, value in PARAMETERS.items())]
    parameters = parameters_from(None, assignments)
    with BagReader(bag) as reader:
        cameras = choose_cameras(reader, {"image": [*IMAGES.values()]})
        conversion = Conversion(cameras, parameters, OUTPUTS, folder / "depth")
        report = convert_bag(reader, conversion, lambda: Estimator.load(model_folder, num_threads=1))
    assert not any(camera.refusals for camera in report.cameras.values())
    return bags.read_bag(folder / "depth")


@pytest.mark.parametrize("namespace", IMAGES)
def test_a_bag_holds_what_the_nodes_publish(published, written, namespace):
    for output in OUTPUTS:
        topic = f"{namespace}/{output.value}"
        theirs, ours = published[topic], [message for _, message in written[topic]]
        assert len(ours) == len(theirs), topic
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


@pytest.mark.parametrize("namespace", IMAGES)
def test_it_is_metric_by_the_points_that_tf_places(written, namespace):
    """Or the test above would compare silence."""
    messages = written[f"{namespace}/alignment/status"]
    states = [{entry.key: entry.value for entry in message.values} for _, message in messages]
    assert {values["source"] for values in states} == {"sparse_points"}
    metric = written[f"{namespace}/depth/image_rect"]
    assert len(metric) == FRAMES
    assert np.isfinite(bags.arrays_of(metric[-1][1])).mean() > 0.9
