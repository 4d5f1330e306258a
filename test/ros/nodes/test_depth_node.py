"""The node in a process of its own, over DDS. The tests share one process, as its start takes seconds."""

import signal
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from sensor_msgs.msg import CompressedImage, PointField
from std_srvs.srv import SetBool, Trigger

from e2e_depth_ros.ros.messages.camera_info import camera_from_message
from e2e_depth_ros.ros.messages.clouds import allocate_cloud, points_from_message
from e2e_depth_ros.ros.messages.images import depth_from_message, message_from_array
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output
from helpers.robot import NodeProcess, picture, set_parameter, until

SIZE = (48, 64)
SCALE, SHIFT_M = 3.0, 1.0

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]


@pytest.fixture(scope="module")
def process(model_folder, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    # The depth of a random network is all edges, which would be missing in its points.
    parameters = {"model": model_folder, "remove_edges": "false"}
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    process.stop()


@pytest.fixture
def camera(process, robot):
    """A robot whose node is alive, enabled and without alignment."""
    assert process.popen.poll() is None, process.output
    robot.call(SetBool, "/depth/set_enabled", SetBool.Request(data=True))
    robot.call(Trigger, "/depth/reset_alignment")
    return robot


@pytest.fixture(scope="module")
def relative(process, robot):  # noqa: ARG001 - it must run
    """The node's relative depth of the picture that every frame shows."""
    robot.listen(Output.RELATIVE)
    assert robot.stream_until(lambda: Output.RELATIVE in robot.received, info=False)
    return depth_from_message(robot.received[Output.RELATIVE][-1]).copy()


@pytest.fixture(scope="module")
def true_depth(relative):
    """What a perfect metric sensor would see, if the network were right: metres."""
    return SHIFT_M + SCALE * relative


def sparse_depth(true_depth, header, count=150):
    chosen = np.zeros(true_depth.size, bool)
    chosen[np.random.default_rng(0).choice(true_depth.size, count, replace=False)] = True
    values = np.where(chosen.reshape(true_depth.shape), true_depth, np.float32(0))
    return message_from_array(values, "32FC1", header)


def sparse_points(true_depth, header):
    row, column = np.mgrid[0 : true_depth.shape[0], 0 : true_depth.shape[1]]
    cloud, points = allocate_cloud(np.zeros((*true_depth.shape, 3), np.uint8), header)
    points[..., 0] = (column - 30) / 60 * true_depth
    points[..., 1] = (row - 25) / 62 * true_depth
    points[..., 2] = true_depth
    return cloud


def change_state(robot, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return robot.call(ChangeState, "/depth/change_state", request, timeout_s=90).success


def state(robot):
    return robot.call(GetState, "/depth/get_state").current_state.id


def listen_until_all(robot, outputs, **frame):
    robot.listen(*outputs)
    done = robot.stream_until(lambda: set(outputs) <= set(robot.received), **frame)
    assert done, f"expected {set(outputs) - set(robot.received)}; {robot.statuses}"


def falls_silent(robot, output, silence_s=1.5, **frame):
    """Tell whether an output stops, though frames go on."""
    robot.received.pop(output, None)  # frames that were under way may still come

    def is_silent():
        nonlocal since, count
        if len(robot.received.get(output, [])) > count:
            since, count = time.monotonic(), len(robot.received[output])
        return time.monotonic() - since > silence_s

    since, count = time.monotonic(), 0
    return robot.stream_until(is_silent, timeout_s=20, **frame)


def test_without_samples_only_relative_topics_publish_and_the_status_says_so(camera):
    camera.listen(*Output)
    free = set(Output) - METRIC_OUTPUTS
    assert camera.stream_until(lambda: all(len(camera.received.get(output, [])) >= 3 for output in free))
    assert set(camera.received) == free
    status = camera.received[Output.STATUS][-1]
    assert status.level == DiagnosticStatus.WARN
    assert status.message.startswith("lost: ")
    assert "sparse_points or sparse_depth" in status.message


def test_outputs_copy_stamp_and_frame_and_have_their_encodings(camera, true_depth):
    sent = []

    def send():
        header = camera.header()
        sent.append((header.stamp.sec, header.stamp.nanosec))
        camera.send_frame(SIZE, header=header, sparse=sparse_depth(true_depth, header))
        camera.spin(0.1)

    camera.listen(*Output)
    assert until(lambda: set(camera.received) == set(Output), 60, send), camera.statuses
    for output, messages in camera.received.items():
        if output is not Output.STATUS:
            assert messages[-1].header.frame_id == "camera"
            assert (messages[-1].header.stamp.sec, messages[-1].header.stamp.nanosec) in sent
            assert (messages[-1].height, messages[-1].width) == SIZE
    encodings = {
        Output.DEPTH: "32FC1",
        Output.RELATIVE: "32FC1",
        Output.CONFIDENCE: "32FC1",
        Output.COLOR: "bgr8",
        Output.NORMALS: "32FC3",
    }
    for output, encoding in encodings.items():
        assert camera.received[output][-1].encoding == encoding
    normals = np.frombuffer(camera.received[Output.NORMALS][-1].data, np.float32).reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-4)
    info = camera_from_message(camera.received[Output.DEPTH_INFO][-1])
    assert (info.size, info.fx, info.fy, info.cx, info.cy) == (SIZE, 60, 62, 30, 25)


@pytest.mark.parametrize("sensor", [sparse_depth, sparse_points])
def test_metric_samples_make_depth_metric(camera, true_depth, sensor):
    def send():
        header = camera.header()
        camera.send_frame(SIZE, header=header, sparse=sensor(true_depth, header))
        camera.spin(0.1)

    wanted = {Output.DEPTH, Output.POINTS, Output.STATUS}
    camera.listen(*wanted)
    assert until(lambda: wanted <= set(camera.received), 60, send), camera.statuses
    assert until(lambda: b"fresh" in camera.received[Output.STATUS][-1].message.encode(), 30, send)
    camera.received.clear()
    assert until(lambda: wanted <= set(camera.received), 30, send)
    depth_m = depth_from_message(camera.received[Output.DEPTH][-1])
    assert np.median(np.abs(depth_m - true_depth) / true_depth) < 0.02
    points = points_from_message(camera.received[Output.POINTS][-1]).reshape(*SIZE, 3)
    np.testing.assert_array_equal(points[..., 2], depth_m)
    np.testing.assert_allclose(points[7, 51, 0], (51 - 30) / 60 * depth_m[7, 51], rtol=1e-5)
    np.testing.assert_allclose(points[7, 51, 1], (7 - 25) / 62 * depth_m[7, 51], rtol=1e-5)
    packed = np.frombuffer(camera.received[Output.POINTS][-1].data, np.uint8).reshape(*SIZE, 16)
    np.testing.assert_array_equal(packed[..., 14:11:-1], picture(SIZE))
    values = {entry.key: entry.value for entry in camera.received[Output.STATUS][-1].values}
    assert values["source"] == sensor.__name__
    assert float(values["scale"]) == pytest.approx(SCALE, rel=0.05)
    assert float(values["shift_m"]) == pytest.approx(SHIFT_M, rel=0.05)


def test_points_of_another_frame_need_a_pose(camera, true_depth):
    def send():
        header = camera.header()
        cloud = sparse_points(true_depth, header)
        # x forward, y left, z up, 10 cm behind the camera
        optical = points_from_message(cloud)
        body = np.stack([optical[:, 2] + 0.1, -optical[:, 0], -optical[:, 1]], axis=-1)
        header_of_cloud = type(header)(stamp=header.stamp, frame_id="lidar")
        moved, points = allocate_cloud(np.zeros((*true_depth.shape, 3), np.uint8), header_of_cloud)
        points[...] = body.reshape(points.shape)
        camera.send_frame(SIZE, header=header, sparse=moved)
        camera.spin(0.1)

    camera.listen(Output.DEPTH, Output.STATUS)
    assert camera.call(Trigger, "/depth/reset_alignment").success
    assert falls_silent(camera, Output.DEPTH)  # what other samples made metric may be under way still
    camera.received.clear()
    reason = "sparse_points: transform"
    assert until(lambda: camera.refused(reason), 30, send)
    assert until(lambda: Output.STATUS in camera.received, 30, send)
    assert "'lidar' to 'camera'" in camera.received[Output.STATUS][-1].message
    assert Output.DEPTH not in camera.received
    try:
        assert set_parameter(camera, "sparse_extrinsics", [0.0, 0.0, -0.1, 0.5, -0.5, 0.5, 0.5]).successful
        assert until(lambda: Output.DEPTH in camera.received, 30, send), camera.statuses
        depth_m = depth_from_message(camera.received[Output.DEPTH][-1])
        assert np.median(np.abs(depth_m - true_depth) / true_depth) < 0.02
    finally:
        assert set_parameter(camera, "sparse_extrinsics", [0.0] * 7).successful


def test_reset_forgets_the_scale(camera, true_depth):
    camera.listen(Output.DEPTH, Output.STATUS)

    def send():
        header = camera.header()
        camera.send_frame(SIZE, header=header, sparse=sparse_depth(true_depth, header))
        camera.spin(0.1)

    assert until(lambda: Output.DEPTH in camera.received, 30, send)
    reply = camera.call(Trigger, "/depth/reset_alignment")
    assert (reply.success, reply.message) == (True, "alignment starts anew")
    assert falls_silent(camera, Output.DEPTH)
    camera.received.clear()
    assert camera.stream_until(lambda: Output.STATUS in camera.received)
    assert camera.received[Output.STATUS][-1].message.startswith("lost: no alignment yet")


def test_nothing_is_computed_that_no_one_subscribes_to(camera):
    def count(key):
        return int(camera.frames().get(key, 0))

    listen_until_all(camera, [Output.RELATIVE])
    camera.listen()
    camera.stream_until(lambda: False, timeout_s=2.5)  # the discovery, and a report
    before = {key: count(key) for key in ("images_without_subscriber", "images_processed", "images_received")}
    assert camera.stream_until(
        lambda: count("images_without_subscriber") >= before["images_without_subscriber"] + 5
    )
    assert count("images_processed") == before["images_processed"]
    assert count("images_received") > before["images_received"]


def test_only_what_is_subscribed_is_computed(camera):
    def stages():
        return {key.removeprefix("stage_ms/") for key in camera.frames() if key.startswith("stage_ms/")}

    expected = {
        "read",
        "rectify",
        "preprocess",
        "encode",
        "denoise",
        "decode",
        "postprocess",
        "normals/image",
    }
    camera.listen(Output.NORMALS)
    assert camera.stream_until(lambda: stages() == expected), stages()
    assert Output.NORMALS in camera.received


def test_disabled_node_rests_until_enabled(camera):
    listen_until_all(camera, [Output.RELATIVE])
    reply = camera.call(SetBool, "/depth/set_enabled", SetBool.Request(data=False))
    assert reply.success
    assert "disabled" in reply.message
    assert falls_silent(camera, Output.RELATIVE)
    camera.call(SetBool, "/depth/set_enabled", SetBool.Request(data=True))
    listen_until_all(camera, [Output.RELATIVE])


def test_size_may_change_at_run_time(camera):
    def arrived(output, size):
        return any((seen.height, seen.width) == size for seen in camera.received.get(output, []))

    for size in ((40, 72), SIZE, (97, 31)):
        camera.listen(Output.RELATIVE, Output.DEPTH_INFO)
        assert camera.stream_until(lambda size=size: arrived(Output.RELATIVE, size), size=size)
        assert camera.stream_until(lambda size=size: arrived(Output.DEPTH_INFO, size), size=size)


def test_distorted_image_is_rectified(camera):
    listen_until_all(camera, [Output.DEPTH_INFO, Output.RELATIVE], distortion=(-0.4, 0.1, 0.0, 0.0, 0.0))
    camera.stream_until(lambda: False, timeout_s=0.5, distortion=(-0.4, 0.1, 0.0, 0.0, 0.0))
    assert not camera_from_message(camera.received[Output.DEPTH_INFO][-1]).is_distorted
    camera.listen(Output.RELATIVE, Output.COLOR)
    assert camera.stream_until(lambda: Output.COLOR in camera.received, distortion=(0.4, 0.1, 0.0, 0.0, 0.0))
    color = np.frombuffer(camera.received[Output.COLOR][-1].data, np.uint8).reshape(*SIZE, 3)
    assert not color[0, 0].any()  # a pincushion's corner shows nothing of the raw image


def test_parameters_change_live(camera):
    assert set_parameter(camera, "relative_range", "image").successful
    try:
        camera.listen(Output.RELATIVE)
        assert camera.stream_until(lambda: len(camera.received.get(Output.RELATIVE, [])) >= 3)
        values = depth_from_message(camera.received[Output.RELATIVE][-1])
        assert values.min() == 0
        assert values.max() == pytest.approx(1, abs=1e-6)  # a quotient of float32 rounds
    finally:
        assert set_parameter(camera, "relative_range", "network").successful


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_depth", 1e9, ["max_depth", "1000000000", "10000"]),
        ("min_depth", 90.0, ["min_depth", "90", "max_depth 80"]),
        ("rectify", "perhaps", ["rectify", "perhaps", "auto, always, never"]),
        ("min_depth", "near", ["min_depth", "expected double", "'near'"]),
        ("model", "other", ["model", "unconfigured"]),
        ("sparse_extrinsics", [1.0, 2.0], ["sparse_extrinsics", "length 7", "[1.0, 2.0]"]),
    ],
)
def test_bad_parameter_is_refused_in_words(camera, name, value, words):
    result = set_parameter(camera, name, value)
    assert not result.successful
    for word in words:
        assert word in result.reason


def truncated(image):
    image.data = image.data[:100]


def wrong_step(image):
    image.step = 7


def unknown_encoding(image):
    image.encoding = "rgb7"


def zero_size(image):
    image.height = image.width = 0


def huge_dimensions(image):
    image.height = image.width = 2**31


def stale_stamp(image):
    image.header.stamp.sec -= 100


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (truncated, "image: data length"),
        (wrong_step, "image: step"),
        (unknown_encoding, "image: encoding"),
        (zero_size, "image: size"),
        (huge_dimensions, "image: size"),
        (stale_stamp, "image: stale stamp"),
    ],
)
def test_malformed_image_is_counted_and_the_node_goes_on(camera, spoil, reason):
    before = camera.refused(reason)
    listen_until_all(camera, [Output.RELATIVE])

    def send():
        image = message_from_array(picture(SIZE), "rgb8", camera.header())
        spoil(image)
        camera.publishers["image_raw"].publish(image)
        camera.spin(0.2)
        camera.send_frame(SIZE)
        camera.spin(0.2)

    assert until(lambda: camera.refused(reason) > before, 30, send), camera.statuses
    assert any(reason in status[1] for status in camera.statuses.values())
    listen_until_all(camera, [Output.RELATIVE])


@pytest.mark.parametrize("kind", ["zero K", "NaN K", "another size"])
def test_unusable_calibration_is_counted_and_relative_depth_goes_on(camera, kind):
    from e2e_depth_ros.core.camera import Camera
    from e2e_depth_ros.ros.messages.camera_info import message_from_camera

    reason = "camera_info: size" if kind == "another size" else "camera_info: calibration"
    before = camera.refused(reason)

    def send():
        header = camera.header()
        size = (SIZE[0], SIZE[1] + 1) if kind == "another size" else SIZE
        info = message_from_camera(Camera(size, np.array([[60.0, 0, 30], [0, 62, 25], [0, 0, 1]])), header)
        if kind != "another size":
            info.k = np.full(9, 0.0 if kind == "zero K" else np.nan)
        camera.publishers["camera_info"].publish(info)
        camera.send_frame(SIZE, header=header, info=False)
        camera.spin(0.2)

    camera.listen(Output.RELATIVE, Output.DEPTH_INFO)
    assert until(lambda: camera.refused(reason) > before, 30, send), camera.statuses
    camera.received.clear()
    assert until(lambda: Output.RELATIVE in camera.received, 30, send)
    listen_until_all(camera, [Output.RELATIVE, Output.DEPTH_INFO])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda cloud: setattr(cloud.fields[2], "datatype", PointField.INT16), "cloud: field type"),
        (lambda cloud: setattr(cloud, "data", cloud.data[:50]), "cloud: data length"),
    ],
    ids=["field type", "truncated"],
)
def test_malformed_cloud_is_counted_and_named_by_the_status(camera, true_depth, spoil, reason):
    before = camera.refused(reason)

    def send():
        header = camera.header()
        cloud = sparse_points(true_depth, header)
        spoil(cloud)
        camera.send_frame(SIZE, header=header, sparse=cloud)
        camera.spin(0.2)

    camera.listen(Output.STATUS, Output.DEPTH)
    assert until(lambda: camera.refused(reason) > before, 30, send), camera.statuses
    assert reason in camera.received[Output.STATUS][-1].message
    assert Output.DEPTH not in camera.received


def test_lifecycle_and_compressed_images(camera, process):
    listen_until_all(camera, [Output.RELATIVE])
    assert change_state(camera, Transition.TRANSITION_DEACTIVATE)
    assert falls_silent(camera, Output.RELATIVE)
    assert change_state(camera, Transition.TRANSITION_CLEANUP)
    assert state(camera) == State.PRIMARY_STATE_UNCONFIGURED

    # A model that isn't there: one line, and the node stays unconfigured.
    model = process.popen.args[process.popen.args.index("-p") + 1].removeprefix("model:=")
    assert set_parameter(camera, "model", "/nowhere").successful
    assert not change_state(camera, Transition.TRANSITION_CONFIGURE)
    assert state(camera) == State.PRIMARY_STATE_UNCONFIGURED
    assert process.output.strip().splitlines()[-1].count("cannot configure: ") == 1
    assert "/nowhere" in process.output

    assert set_parameter(camera, "model", model).successful
    assert set_parameter(camera, "image_transport", "compressed").successful
    assert change_state(camera, Transition.TRANSITION_CONFIGURE)
    assert change_state(camera, Transition.TRANSITION_ACTIVATE)
    camera.listen(Output.RELATIVE)
    before = camera.refused("image: compressed data")

    def send(data):
        message = CompressedImage(header=camera.header(), format="jpeg", data=data)
        camera.publishers["image_raw/compressed"].publish(message)
        camera.spin(0.2)

    jpeg = cv2.imencode(".jpg", picture(SIZE)[..., ::-1])[1].tobytes()
    assert until(lambda: Output.RELATIVE in camera.received, 30, lambda: send(jpeg))
    assert (camera.received[Output.RELATIVE][-1].height, camera.received[Output.RELATIVE][-1].width) == SIZE
    assert until(lambda: camera.refused("image: compressed data") > before, 30, lambda: send(b""))
    camera.received.clear()
    assert until(lambda: Output.RELATIVE in camera.received, 30, lambda: send(jpeg))


def test_sigterm_while_working_ends_cleanly(camera, process):
    """The last of the tests that share the process."""
    camera.listen(Output.RELATIVE)
    start = time.monotonic()
    assert process.stop(signal.SIGTERM) == 0, process.output
    assert time.monotonic() - start < 20
    assert "Traceback" not in process.output
