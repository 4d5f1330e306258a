"""What the node says of its inputs, its parameters and its alignment, to whoever asks over DDS.

The tests share one process. Its inputs have names of their own, so that each test decides who publishes them.
"""

import time

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan, PointCloud2, PointField
from std_srvs.srv import Trigger

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.clouds import allocate_cloud
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import ROOT, NodeProcess, picture, set_parameter, until

SIZE = (48, 64)
CAMERA = Camera(SIZE, np.array([[60.0, 0, 30], [0, 62, 25], [0, 0, 1]]))
TOPICS = {
    "image_raw": ("/told/image", Image),
    "camera_info": ("/told/camera_info", CameraInfo),
    "sparse_points": ("/told/points", PointCloud2),
    "sparse_depth": ("/told/depth", Image),
}

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]


@pytest.fixture(scope="module")
def process(model_folder, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    remaps = [part for name, (topic, _) in TOPICS.items() for part in ("-r", f"{name}:={topic}")]
    # As a user types them: YAML takes off for a boolean, 1 for an integer.
    typed = {
        "model": model_folder,
        "device": "cpu",
        "rectify": "on",
        "min_depth": 1,
        "input_reliability": "reliable",
    }
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log", typed, remaps)
    process.wait_until_ready()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in process.output


class Sensors:
    """What publishes the node's inputs during one test."""

    def __init__(self, robot, process):
        self.robot, self.process = robot, process
        self.publishers = {}

    def plug_in(self, *names):
        for name in names:
            self.publishers[name] = self.robot.node.create_publisher(TOPICS[name][1], TOPICS[name][0], 5)

    def send(self, info=None, cloud=None, depth=None, image=None):
        header = self.robot.header()
        if "camera_info" in self.publishers:
            message = message_from_camera(CAMERA, header)
            for field, value in (info or {}).items():
                setattr(message, field, value)
            self.publishers["camera_info"].publish(message)
        if cloud is not None:
            cloud.header = header
            self.publishers["sparse_points"].publish(cloud)
        if depth is not None:
            depth.header = header
            self.publishers["sparse_depth"].publish(depth)
        message = message_from_array(picture(SIZE), "rgb8", header)
        for field, value in (image or {}).items():
            setattr(message, field, value)
        self.publishers["image_raw"].publish(message)

    def until(self, condition, timeout_s=60, **frame):
        """Send frames until the condition holds."""

        def step():
            if frame or "image_raw" in self.publishers:
                self.send(**frame)
            self.robot.spin(0.1)

        assert until(condition, timeout_s, step), f"{self.robot.statuses}\n{self.process.output}"

    def status_says(self, *words):
        """Whether the last alignment/status says so."""
        seen = self.robot.received.get(Output.STATUS, [])
        return bool(seen) and all(word in seen[-1].message for word in words)

    def diagnostics_say(self, name, *words):
        level, message, _ = self.robot.statuses.get(f"depth: {name}", (None, "", {}))
        return level == DiagnosticStatus.WARN and all(word in message for word in words)


@pytest.fixture
def sensors(robot, process):
    assert process.popen.poll() is None, process.output
    robot.call(Trigger, "/depth/reset_alignment")
    robot.listen(Output.STATUS)
    sensors = Sensors(robot, process)
    yield sensors
    for publisher in sensors.publishers.values():
        robot.node.destroy_publisher(publisher)


@pytest.fixture
def stranger():
    """A node in a participant of its own: Fast DDS keeps a topic to one type in each."""
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("stranger", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def cloud(points_m=None):
    """Points of a wall 4 m ahead, unless others are given: (N, 3), metres."""
    if points_m is None:
        row, column = (grid.ravel() for grid in np.mgrid[4:44:4, 4:60:4])
        x, y = CAMERA.normalized_from_pixels(column, row)
        points_m = np.stack([4 * x, 4 * y, np.full(x.shape, 4.0)], axis=-1)
    message, points = allocate_cloud(np.zeros((1, len(points_m), 3), np.uint8), None)
    for axis in range(3):
        points[..., axis] = points_m[:, axis]
    return message


def test_loading_is_told_before_it_takes_its_time(process, model_folder):
    loading, *rest = [line for line in process.output.splitlines() if "[depth]" in line]
    assert f"loading {model_folder} on cpu ..." in loading
    assert any("ready: " in line for line in rest)


def test_no_publisher_then_one_of_another_type_then_of_an_incompatible_qos(sensors, stranger):
    topic = TOPICS["image_raw"][0]
    sensors.until(lambda: sensors.diagnostics_say("frames", f"no image on {topic}: it has no publisher"))
    wrong = stranger.create_publisher(CompressedImage, topic, 1)
    words = "/stranger publishes sensor_msgs/msg/CompressedImage, expected sensor_msgs/msg/Image"
    sensors.until(lambda: sensors.diagnostics_say("frames", words))
    assert sensors.diagnostics_say("graph", words)
    assert "QoS" not in sensors.robot.statuses["depth: frames"][1]
    stranger.destroy_publisher(wrong)
    qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    weak = stranger.create_publisher(Image, topic, qos)
    sensors.until(
        lambda: sensors.diagnostics_say("frames", "/stranger publishes best effort, but reliable is asked")
    )
    stranger.destroy_publisher(weak)
    sensors.until(lambda: sensors.diagnostics_say("frames", "it has no publisher"))
    sensors.until(lambda: f"no image on {topic}: it has no publisher" in sensors.process.output)


def test_a_pause_is_told_with_its_length_and_nothing_is_suspected(sensors):
    sensors.plug_in("image_raw")
    sensors.until(lambda: sensors.status_says("lost"))
    sent_s = time.monotonic()
    assert until(
        lambda: sensors.diagnostics_say("frames", "last image ", " s ago on /told/image"),
        60,
        sensors.robot.spin,
    )
    seconds = float(sensors.robot.statuses["depth: frames"][1].split()[2])
    assert 2 <= seconds <= time.monotonic() - sent_s + 1
    assert sensors.robot.statuses["depth: frames"][1].endswith("on /told/image")
    sensors.until(lambda: sensors.robot.statuses["depth: frames"][0] == DiagnosticStatus.OK)


def test_a_camera_info_of_another_type_is_named(sensors, stranger):
    """Before any other has come: the last one would serve."""
    sensors.plug_in("image_raw", "sparse_points")
    stranger.create_publisher(Image, TOPICS["camera_info"][0], 1)
    words = "/stranger publishes sensor_msgs/msg/Image, expected sensor_msgs/msg/CameraInfo"
    sensors.until(lambda: sensors.status_says("camera_info", words), cloud=cloud())


def test_a_lidar_of_another_type_is_named_by_the_alignment(sensors, stranger):
    sensors.plug_in("image_raw", "camera_info")
    sensors.until(
        lambda: sensors.status_says("no samples from sparse_points or sparse_depth: neither has a publ")
    )
    stranger.create_publisher(LaserScan, TOPICS["sparse_points"][0], 1)
    words = (
        "no samples from sparse_points or sparse_depth",
        "/stranger publishes sensor_msgs/msg/LaserScan, expected sensor_msgs/msg/PointCloud2",
    )
    sensors.until(lambda: sensors.status_says(*words))
    assert sensors.diagnostics_say("graph", words[1])
    assert words[1] in sensors.robot.statuses["depth: graph"][2]["sparse_points"]


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"distortion_model": "none_such", "d": [0.1] * 5}, "none_such"),
        ({"k": [0.0] * 9}, "focal lengths"),
        ({"width": 65}, "(48, 65)"),
    ],
    ids=["unknown lens", "zero K", "another size"],
)
def test_why_a_camera_info_is_of_no_use_is_told(sensors, info, words):
    sensors.plug_in("image_raw", "camera_info", "sparse_points")
    sensors.until(
        lambda: sensors.status_says("can't be rectified: ", "camera_info: ", words),
        info=info,
        cloud=cloud(),
    )


def test_a_camera_info_of_another_frame_is_told(sensors):
    sensors.plug_in("image_raw", "camera_info", "sparse_points")
    sensors.until(
        lambda: sensors.status_says("can't be rectified: ", "'camera'", "'other'"),
        info={"header": _other_header(sensors.robot)},
        cloud=cloud(),
    )


def _other_header(robot):
    header = robot.header()
    header.frame_id = "other"
    return header


@pytest.mark.parametrize(
    ("points_m", "words"),
    [
        (np.empty((0, 3)), "0 points"),
        (np.full((400, 3), -3.0), "400 points, all behind the camera: is the frame optical?"),
        (np.tile([0.0, 0.0, 4000.0], (308, 1)), "all 308 samples beyond sparse_max_depth: millimetres?"),
        (np.tile([90.0, 0.0, 4.0], (7, 1)), "7 points, all outside the image"),
        (np.full((9, 3), np.nan), "9 points, all NaN, infinite or 0"),
    ],
    ids=["empty", "behind", "millimetres", "outside", "NaN"],
)
def test_a_cloud_of_no_use_is_told(sensors, points_m, words):
    sensors.plug_in("image_raw", "camera_info", "sparse_points")
    sensors.until(lambda: sensors.status_says("lost", f"sparse_points: {words}"), cloud=cloud(points_m))
    assert sensors.robot.received[Output.STATUS][-1].level == DiagnosticStatus.WARN
    sensors.until(lambda: words in sensors.robot.statuses["depth: alignment"][1], cloud=cloud(points_m))


def test_of_two_faults_in_each_frame_both_are_logged(sensors):
    sensors.plug_in("image_raw", "camera_info", "sparse_points", "sparse_depth")
    bad = cloud()
    bad.data = bad.data[:50]
    faulty = {"cloud": bad, "depth": message_from_array(picture(SIZE), "rgb8", None)}
    faults = "cloud: data length", "depth: encoding"

    def is_logged():
        lines = [line for line in sensors.process.output.splitlines() if "refused" in line]
        return all(any(fault in line for line in lines) for fault in faults)

    sensors.until(is_logged, **faulty)
    sensors.until(lambda: all(map(sensors.robot.refused, faults)), **faulty)
    sensors.until(lambda: sensors.status_says(*faults), **faulty)
    sensors.until(lambda: sensors.diagnostics_say("frames", *faults), **faulty)


def test_what_strangers_write_floods_and_forges_nothing(sensors):
    sensors.plug_in("image_raw", "camera_info", "sparse_points")
    forged = "x\n[INFO] [1.0] [depth]: all is well\x1b[2J"
    sensors.until(lambda: sensors.robot.refused("image: encoding"), image={"encoding": "A" * 2_000_000})
    bad = cloud()
    bad.fields = [PointField(name=forged, offset=0, datatype=7, count=1)] * 50
    sensors.until(lambda: sensors.robot.refused("cloud: fields"), cloud=bad)
    before = sensors.robot.refused("camera_info: frame")
    assert until(
        lambda: sensors.robot.refused("camera_info: frame") > before,
        60,
        lambda: (sensors.send(image={"header": _named(sensors, forged)}), sensors.robot.spin(0.1)),
    )
    texts = [
        text for _, message, values in sensors.robot.statuses.values() for text in (message, *values.values())
    ]
    assert max(map(len, texts)) <= 1000
    assert all(text.isprintable() for text in texts)
    lines = sensors.process.output.splitlines()
    assert max(map(len, lines)) < 1200
    assert any(r"x\n[INFO] [1.0] [depth]: all is well\x1b[2J" in line for line in lines)
    assert not any(line.startswith("[INFO] [1.0]") for line in lines)
    assert "\x1b" not in sensors.process.output


def _named(sensors, frame_id):
    header = sensors.robot.header()
    header.frame_id = frame_id
    return header


def test_states_and_silent_metric_topics_are_logged(sensors):
    sensors.plug_in("image_raw", "camera_info", "sparse_points")
    sensors.robot.listen(Output.STATUS, Output.DEPTH)
    words = "depth/image_rect has subscribers, but nothing gives metres: no alignment yet: "
    sensors.until(lambda: words in sensors.process.output)
    sensors.until(lambda: "alignment: lost -> " in sensors.process.output, cloud=cloud())


def test_a_second_node_of_the_name_is_told_and_its_end_too(sensors, stranger):
    namesake = rclpy.create_node("depth", context=stranger.context)
    sensors.until(lambda: sensors.diagnostics_say("graph", "2 nodes are named /depth"))
    assert "2 nodes are named /depth" in sensors.process.output
    namesake.destroy_node()
    sensors.until(lambda: not sensors.diagnostics_say("graph", "named"))


def test_what_was_typed_has_its_declared_type(sensors):
    request = GetParameters.Request(names=["rectify", "min_depth"])
    rectify, min_depth = sensors.robot.call(GetParameters, "/depth/get_parameters", request).values
    assert (rectify.type, rectify.string_value) == (ParameterType.PARAMETER_STRING, "always")
    assert (min_depth.type, min_depth.double_value) == (ParameterType.PARAMETER_DOUBLE, 1.0)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rectify", False, None),
        ("rectify", "on", None),
        ("rectify", "auto", None),
        ("min_depth", 2, None),
        ("min_depth", 0.5, None),
        ("sparse_extrinsics", [0, 0, 1, 0, 0, 0, 1], None),
        ("sparse_extrinsics", "[0, 0, 0.1, 0, 0, 0, 1]", None),
        ("sparse_extrinsics", [0.0] * 7, None),
        ("input_reliability", "reliable", None),
        ("ground_frame", False, "Quote it"),
        ("input_reliability", "best_effort", "changes only while unconfigured"),
        ("qos_overrides./told/image.subscription.depth", 7, "changes only at start"),
        ("min_deth", 1.0, "min_deth"),
    ],
)
def test_setting_a_parameter_as_ros2_param_set_does(sensors, name, value, words):
    result = set_parameter(sensors.robot, name, value)
    assert result.successful == (words is None), result.reason
    assert words is None or words in result.reason


def test_the_parameter_file_can_be_loaded_into_the_running_node(sensors, model_folder):
    values = yaml.safe_load((ROOT / "config" / "depth.yaml").read_text(encoding="utf-8"))["/**"][
        "ros__parameters"
    ]
    values |= {"model": str(model_folder), "device": "cpu", "input_reliability": "reliable"}
    kinds = {bool: "bool", float: "double", str: "string", int: "integer", list: "double_array"}
    parameters = []
    for name, value in values.items():
        kind = kinds[type(value)]
        kind_id = getattr(ParameterType, f"PARAMETER_{kind.upper()}")
        parameters.append(
            Parameter(name=name, value=ParameterValue(type=kind_id, **{f"{kind}_value": value}))
        )
    request = SetParameters.Request(parameters=parameters)
    results = sensors.robot.call(SetParameters, "/depth/set_parameters", request).results
    assert [
        (name, result.reason) for name, result in zip(values, results, strict=True) if not result.successful
    ] == []
    request = SetParametersAtomically.Request(parameters=parameters)
    assert sensors.robot.call(
        SetParametersAtomically, "/depth/set_parameters_atomically", request
    ).result.successful
    parameters[-1].name = "no_such"
    result = sensors.robot.call(SetParametersAtomically, "/depth/set_parameters_atomically", request).result
    assert (result.successful, "no_such" in result.reason) == (False, True)
