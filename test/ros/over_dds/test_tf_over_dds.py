"""Late TF and a camera_info that is sent once, over DDS: the node is a process of its own.

How late TF is counts in frames, each of which waits for the node's answer: so it is as late on any machine.
"""

import os

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.clouds import allocate_cloud
from e2e_depth_ros.ros.messages.images import depth_from_message
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess, set_parameter, until
from helpers.tf import import_tf2_ros, python_path

tf2_ros = import_tf2_ros()

SIZE = (48, 64)
SCALE, SHIFT_M = 3.0, 1.0
FRAME_NS = 33_333_333

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]


@pytest.fixture(scope="module")
def kept_info(robot):
    """camera_info is sent once, before the node starts, and kept for those who come later."""
    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = robot.node.create_publisher(CameraInfo, "camera_info", kept)
    camera = Camera(SIZE, np.array([[60.0, 0, 30], [0, 62, 25], [0, 0, 1]]))
    publisher.publish(message_from_camera(camera, Header(frame_id="camera")))
    yield publisher
    robot.node.destroy_publisher(publisher)


@pytest.fixture(scope="module")
def node(kept_info, robot, model_folder, tmp_path_factory):  # noqa: ARG001 - they come first
    with pytest.MonkeyPatch.context() as patch:
        paths = os.pathsep.join(filter(None, (python_path(), os.environ.get("PYTHONPATH"))))
        patch.setenv("PYTHONPATH", paths)
        parameters = {
            "model": model_folder,
            "remove_edges": "false",
            "qos_overrides./camera_info.subscription.reliability": "reliable",
            "qos_overrides./camera_info.subscription.depth": 3,
        }
        process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    assert process.stop() == 0, process.output
    assert "Traceback" not in process.output


class Drive:
    """A camera that moves in odom, before a picture that stays: the clouds move with it."""

    def __init__(self, robot, true_depth):
        self.robot, self.true_depth = robot, true_depth
        self.tf = tf2_ros.TransformBroadcaster(robot.node)
        self.frames = []  # headers

    @staticmethod
    def pose(stamp_ns):
        phase = (stamp_ns % 10**10) * 1e-9
        return np.array([0.3 * phase, 0.1 * np.sin(phase), 0.5]), Rotation.from_euler(
            "xyz", [0.2, phase, 0.1]
        )

    def send_tf(self, stamp_ns):
        message = TransformStamped(child_frame_id="camera")
        message.header = Header(frame_id="odom")
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        move, turn = self.pose(stamp_ns)
        shift, rotation = message.transform.translation, message.transform.rotation
        shift.x, shift.y, shift.z = move
        rotation.x, rotation.y, rotation.z, rotation.w = turn.as_quat()
        self.tf.sendTransform(message)

    def cloud(self, header, frame_id):
        row, column = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
        cloud, points = allocate_cloud(np.zeros((*SIZE, 3), np.uint8), header)
        points[..., 0] = (column - 30) / 60 * self.true_depth
        points[..., 1] = (row - 25) / 62 * self.true_depth
        points[..., 2] = self.true_depth
        move, turn = self.pose(stamp_ns(header))
        points[...] = (turn.apply(points.reshape(-1, 3)) + move).reshape(points.shape)
        cloud.header = Header(stamp=header.stamp, frame_id=frame_id)
        return cloud

    def step(self, *, period, tf_period, late, frame_id="odom"):
        """Take a frame, with a cloud at each `period`-th; then comes the TF of `late` frames ago."""
        robot, index = self.robot, len(self.frames)
        header = robot.header(FRAME_NS)
        self.frames.append(header)
        cloud = self.cloud(header, frame_id) if index % period == 0 else None
        answers = len(robot.received.get(Output.STATUS, []))
        robot.send_frame(SIZE, header=header, info=False, sparse=cloud)
        answered = until(
            lambda: len(robot.received.get(Output.STATUS, [])) > answers, 60, lambda: robot.spin(0.002)
        )
        assert answered, robot.statuses
        if tf_period and index % tf_period == 0 and index >= late:
            self.send_tf(stamp_ns(self.frames[index - late]))
            robot.spin(0.03)  # it arrives before the next frame

    def steps(self, count, **how):
        for _ in range(count):
            self.step(**how)


def stamp_ns(header):
    return header.stamp.sec * 10**9 + header.stamp.nanosec


def said(robot):
    message = robot.received[Output.STATUS][-1]
    return message.message, {entry.key: entry.value for entry in message.values}


@pytest.fixture(scope="module")
def true_depth(node, robot):  # noqa: ARG001 - it must run
    """What a perfect sensor would see, if the network were right: metres."""
    robot.listen(Output.RELATIVE)
    assert robot.stream_until(lambda: Output.RELATIVE in robot.received, info=False), robot.statuses
    return SHIFT_M + SCALE * depth_from_message(robot.received[Output.RELATIVE][-1])


@pytest.fixture
def drive(robot, true_depth):
    robot.call(Trigger, "/depth/reset_alignment")
    robot.listen(Output.STATUS, Output.DEPTH)
    assert robot.stream_until(lambda: Output.STATUS in robot.received, info=False)
    robot.spin(0.5)  # frames under way
    robot.received.clear()
    return Drive(robot, true_depth)


@pytest.mark.parametrize(
    ("tf_period", "late"),
    [(1, 2), (3, 6), (1, 0)],
    ids=["30 Hz, 50 ms late", "10 Hz, 200 ms late", "in time"],
)
@pytest.mark.parametrize("fixed_frame", ["", "odom"])
def test_late_tf_makes_every_frame_metric(drive, robot, true_depth, tf_period, late, fixed_frame):
    assert set_parameter(robot, "fixed_frame", fixed_frame).successful
    refused = robot.refused("sparse_points: transform")
    drive.steps(14, period=3, tf_period=tf_period, late=late)
    robot.received.clear()
    drive.steps(20, period=3, tf_period=tf_period, late=late)
    assert said(robot)[1]["state"] == "fresh", said(robot)
    assert said(robot)[1]["source"] == "sparse_points"
    states = {entry.value for message in robot.received[Output.STATUS] for entry in message.values[:1]}
    assert states == {"fresh"}
    images = {stamp_ns(header) for header in drive.frames[-20:]}

    def all_are_metric():
        return images <= {stamp_ns(message.header) for message in robot.received[Output.DEPTH]}

    assert until(all_are_metric, 20, robot.spin)
    for message in robot.received[Output.DEPTH]:
        depth_m = depth_from_message(message)
        assert np.median(np.abs(depth_m - true_depth) / true_depth) < 0.02
    robot.spin(1.2)  # a report
    assert robot.refused("sparse_points: transform") == refused


def test_tf_that_never_comes_is_told_refused_and_counted_and_the_node_goes_on(drive, robot):
    refused = robot.refused("sparse_points: transform")
    drive.steps(5, period=3, tf_period=0, late=0, frame_id="nowhere")
    assert "wait for TF: sparse_points: expected a transform from 'nowhere' to 'camera'" in said(robot)[0]
    drive.steps(35, period=3, tf_period=0, late=0, frame_id="nowhere")
    assert "transform_timeout is 1 s" in said(robot)[0]
    assert until(lambda: robot.refused("sparse_points: transform") > refused, 20, robot.spin)
    assert Output.DEPTH not in robot.received
    drive.steps(20, period=3, tf_period=1, late=2)
    assert said(robot)[1]["state"] == "fresh"


def change_state(robot, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return robot.call(ChangeState, "/depth/change_state", request, timeout_s=90).success


def test_a_camera_info_sent_once_before_the_start_serves_and_outlasts_the_lifecycle(node, robot, kept_info):
    """It was sent before the node came: all tests here use it."""

    def serves():
        robot.listen(Output.DEPTH_INFO)
        return robot.stream_until(lambda: Output.DEPTH_INFO in robot.received, info=False)

    def asked():
        """The QoS of the node's subscriptions by their durability."""
        offered = robot.node.get_subscriptions_info_by_topic("camera_info")
        return {
            info.qos_profile.durability: info.qos_profile for info in offered if info.node_name == "depth"
        }

    kept = DurabilityPolicy.TRANSIENT_LOCAL
    assert serves(), robot.statuses
    assert set(asked()) == {kept, DurabilityPolicy.VOLATILE}
    overridden = asked()[
        DurabilityPolicy.VOLATILE
    ]  # by the parameters; the second subscription is as it must be
    assert overridden.reliability == ReliabilityPolicy.RELIABLE
    assert "incompatible QoS" not in node.output
    robot.node.destroy_publisher(kept_info)  # so that none can send it again
    for down, up in (
        ([Transition.TRANSITION_DEACTIVATE], [Transition.TRANSITION_ACTIVATE]),
        (
            [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP],
            [Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE],
        ),
    ):
        for transition in (*down, *up):
            assert change_state(robot, transition), node.output
        assert serves(), robot.statuses
        assert kept not in asked()  # other publishers would warn of a subscription that they can't serve


def test_a_zero_quaternion_is_refused_when_it_is_set(node, robot):  # noqa: ARG001 - it must run
    result = set_parameter(robot, "sparse_extrinsics", [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert not result.successful
    assert "quaternion of length 0 in [0.1" in result.reason
