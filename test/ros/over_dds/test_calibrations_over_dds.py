"""The camera_info that drivers and people send, over DDS: used, or refused with the reason."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.messages.stamps import stamp_ns
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess, picture, until

SIZE = (48, 64)
K = [60.0, 0.0, 30.0, 0.0, 62.0, 25.0, 0.0, 0.0, 1.0]
SKEWED = [60.0, 0.3, 30.0, 0.0, 62.0, 25.0, 0.0, 0.0, 1.0]
SENSORS = [122.0, 0.0, 61.0, 0.0, 126.0, 49.0, 0.0, 0.0, 1.0]
LENS = [-0.3, 0.08, 0.0, 0.0, 0.01]

USABLE = {
    "plumb_bob": {},
    "Orbbec's eight coefficients": {"d": [*LENS, 0.0, 0.0, 0.0]},
    "a rational model": {"distortion_model": "rational_polynomial", "d": [*LENS, 0.1, 0.02, 0.0]},
    "a rational model cut short": {"distortion_model": "rational_polynomial", "d": LENS},
    "a fisheye with a skew": {"distortion_model": "equidistant", "d": [0.02, -0.01, 0.0, 0.0], "k": SKEWED},
    "kalibr's name": {"distortion_model": "radtan", "d": LENS[:4]},
    "no name": {"distortion_model": ""},
    "any name without distortion": {"distortion_model": "inverse_brown_conrady", "d": [0.0] * 5},
    "a frame with a slash": {"header": Header(frame_id="/camera")},
    "no frame": {"header": Header()},
    "the binned image's own size and K": {"binning_x": 2, "binning_y": 2},
    "the sensor's size and K": {"height": 96, "width": 128, "k": SENSORS, "binning_x": 2, "binning_y": 2},
    "the region's own size and K": {"roi": RegionOfInterest(x_offset=70, y_offset=50, width=64, height=48)},
}
UNUSABLE = {
    "another frame": ({"header": Header(frame_id="other")}, "frame: expected the image's frame_id 'camera'"),
    "another size": ({"width": 65}, "size: expected the image's size (48, 64) (H, W), got (48, 65)"),
    "D beyond all bounds": (
        {"d": [1e308, 0.0, 0.0, 0.0, 0.0]},
        "calibration: expected distortion coefficients",
    ),
    "a D so small that its root is not": (
        {"d": [-9e8, 0.0, 0.0, 0.0, 1e-320]},
        "calibration: expected one that",
    ),
    "an unknown model": ({"distortion_model": "whatever"}, "calibration: expected a distortion model of"),
    "no calibration": ({"k": [0.0] * 9}, "the camera is not calibrated"),
    "K left at the identity": ({"k": np.eye(3).ravel()}, "fx = 1, cx = 0"),
    "K of a size 1e300": ({"k": [1e300, *K[1:]]}, "calibration: expected focal lengths"),
    "a mirror as R": (
        {"r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0]},
        "calibration: expected a rotation",
    ),
    "K of the sensor beside the size of the image": ({"k": SENSORS, "binning_x": 2, "binning_y": 2}, "doubt"),
}

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]


@pytest.fixture(scope="module")
def process(model_folder, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    parameters = {"model": model_folder, "fixed_scale": 3.0, "fixed_shift": 1.0, "remove_edges": "false"}
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    process.stop()


def send(robot, **changes):
    """Publish a frame with a CameraInfo of these fields; None as `changes` for no CameraInfo."""
    header = robot.header()
    values = {"height": 48, "width": 64, "distortion_model": "plumb_bob", "d": LENS, "k": K, "header": header}
    info = CameraInfo(**{**values, **changes})
    info.header = Header(stamp=header.stamp, frame_id=info.header.frame_id)
    robot.publishers["camera_info"].publish(info)
    robot.publishers["image_raw"].publish(message_from_array(picture(SIZE), "rgb8", header))
    robot.spin(0.1)
    return stamp_ns(header)


def test_before_any_calibration_nothing_is_metric(process, robot):
    """This one comes first: later the node has had one."""
    robot.listen(Output.RELATIVE, Output.DEPTH, Output.STATUS)

    def is_told():
        statuses = [status.message for status in robot.received.get(Output.STATUS, [])]
        frames = robot.received.get(Output.RELATIVE, [])
        return (
            len(frames) >= 3
            and any("camera_info: missing" in status for status in statuses)
            and robot.refused("camera_info: missing")
        )

    assert robot.stream_until(is_told, info=False), process.output
    assert Output.DEPTH not in robot.received


@pytest.mark.parametrize("changes", USABLE.values(), ids=USABLE)
def test_usable_calibrations_give_depth_and_cloud(process, robot, changes):
    wanted = {Output.DEPTH, Output.POINTS, Output.DEPTH_INFO}
    robot.listen(*wanted)
    assert until(lambda: wanted <= set(robot.received), 30, lambda: send(robot, **changes)), process.output
    camera = robot.received[Output.DEPTH_INFO][-1]
    assert (camera.height, camera.width) == SIZE
    assert not any(camera.d)
    assert camera.k[1] == 0


@pytest.mark.parametrize(("changes", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_calibrations_silence_what_is_metric(process, robot, changes, words):
    """Though the one before was good, and the scale is there; and when it is good again all goes on."""
    robot.listen(Output.DEPTH, Output.RELATIVE, Output.STATUS, Output.POINTS)
    assert until(lambda: Output.DEPTH in robot.received, 30, lambda: send(robot)), process.output

    def is_told():
        return any(words in status.message for status in robot.received.get(Output.STATUS, []))

    assert until(is_told, 30, lambda: send(robot, **changes)), robot.statuses
    first_ns = send(robot, **changes)
    since = len(robot.received.get(Output.RELATIVE, []))
    assert until(
        lambda: len(robot.received.get(Output.RELATIVE, [])) >= since + 3,
        30,
        lambda: send(robot, **changes),
    ), process.output
    for output in (Output.DEPTH, Output.POINTS):
        heard = [stamp_ns(message.header) for message in robot.received.get(output, [])]
        assert max(heard, default=0) < first_ns
    status = robot.received[Output.STATUS][-1].message
    assert status.startswith("lost: the image may be distorted and can't be rectified: camera_info: ")
    assert until(lambda: words in robot.frames()["last_refusal"], 30, lambda: send(robot, **changes))
    robot.received.clear()
    assert until(lambda: Output.DEPTH in robot.received, 30, lambda: send(robot)), process.output
    assert "Traceback" not in process.output
    assert "Warning" not in process.output
