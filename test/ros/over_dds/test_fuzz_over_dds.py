"""Messages as nobody should send them, over DDS: the node refuses and counts each, goes on, and publishes.

What is refused is known beforehand: this process reads each message with the same code. With
E2E_DEPTH_STRESS=1 it sends 5,000 of each kind instead of a few dozen.
"""

from collections import Counter

import cv2
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from hypothesis import strategies as st
from lifecycle_msgs.msg import Transition
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_size import check_image_size
from e2e_depth_ros.ros.inputs.frame_view import ViewFinder
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.images import depth_from_message, message_from_array, rgb_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.messages.stamps import stamp_ns
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.fuzzing import EXAMPLES, fuzz, mutated, spoiled
from helpers.robot import NodeProcess, picture, until

from ..messages.test_fuzz_camera_info import MUTATIONS as CAMERA_MUTATIONS
from ..messages.test_fuzz_camera_info import camera_info
from ..messages.test_fuzz_camera_info import mutate as mutate_camera
from ..messages.test_fuzz_clouds import MUTATIONS as CLOUD_MUTATIONS
from ..messages.test_fuzz_clouds import cloud
from ..messages.test_fuzz_clouds import mutate as mutate_cloud
from ..messages.test_fuzz_images import COMPRESSED, COMPRESSED_FIELDS, DEPTHS, IMAGE_FIELDS, IMAGES
from .test_layouts_over_dds import change, reconfigure

SIZE = (48, 64)
IS_STRESS = EXAMPLES > 1000
SENT = 5000 if IS_STRESS else 40  # of each kind
MOST_LATE = 0.1  # of what comes beside an image: when its frame is done already
GAP_S = 0.004
DEPTH_ENCODINGS = {"16UC1", "mono16", "32FC1"}

pytestmark = [pytest.mark.timeout(4 * 3600 if IS_STRESS else 600), pytest.mark.stress, pytest.mark.in_order]


@pytest.fixture(scope="module")
def node(model_folder, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    parameters = {
        "model": model_folder,
        "processing_resolution": "32",
        # Nothing is to be lost on the way.
        "input_reliability": "reliable",
        "input_queue_size": 100,
        "sparse_extrinsics": "[0.0, 0.0, 0.0, 0.5, -0.5, 0.5, 0.5]",
    }
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    assert process.stop() == 0


class Stranger:
    """Sends frames with one message in them that may be broken, and keeps the account."""

    def __init__(self, node, robot, prefix, read):
        """Begin.

        Args:
            node: The process.
            robot: Whoever sends.
            prefix: How the reasons begin for which the node refuses such a message.
            read: Reads it as the node does.
        """
        self.node, self.robot, self.prefix, self.read = node, robot, prefix, read
        self.sent, self.expected = 0, Counter()
        self.image_topic = "image_raw"
        robot.listen(Output.RELATIVE, Output.STATUS)
        assert self.publishes(), node.output  # the node may not know all publishers when the first is sent
        for _ in range(2):  # the first report may have been on its way
            robot.statuses.clear()
            assert until(robot.frames, 60, robot.spin), node.output
        self.before = self.counts()

    def counts(self):
        """What the node has refused, by reason, and what it has dropped, by its last report."""
        values = self.robot.frames()
        counts = Counter(
            {key.partition("/")[2]: int(value) for key, value in values.items() if key.startswith("refused/")}
        )
        counts["dropped"] = int(values["images_dropped"])
        return counts

    def frame(self, image=None, **companions):
        """Publish a frame, and before it what belongs to it; return its stamp."""
        header = self.robot.header()
        for topic, message in {"camera_info": framed(camera_info, "camera")(), **companions}.items():
            message.header = Header(stamp=header.stamp, frame_id=message.header.frame_id)
            self.robot.publishers[topic].publish(message)
        self.robot.spin(GAP_S)
        message = good_image(self.image_topic) if image is None else image
        message.header = header
        self.robot.publishers[self.image_topic].publish(message)
        return stamp_ns(header)

    def is_answered(self, frame_ns, timeout_s=30):
        def has_come():
            answers = self.robot.received.get(Output.RELATIVE, [])
            return any(stamp_ns(answer.header) == frame_ns for answer in answers[-5:])

        return until(has_come, timeout_s, lambda: self.robot.spin(0.001))

    def publishes(self):
        """Tell whether the node answers one of some frames: after one from the future it asks for two."""
        return any(self.is_answered(self.frame(), timeout_s=3) for _ in range(20))

    def is_refused(self, message):
        """Note what is to come of a message."""
        self.sent += 1
        try:
            self.read(message)
        except RefusedMessageError as refusal:
            self.expected[refusal.reason] += 1
            return True
        return False

    def check(self, late=0.0):
        """The node has counted what it refused, but for so large a part, and publishes."""
        assert self.is_answered(self.frame()), self.node.output
        assert self.node.popen.poll() is None
        expected = sum(self.expected.values())

        def account():
            got = self.counts() - self.before
            refused = sum(count for reason, count in got.items() if reason.startswith(self.prefix))
            # A refused image answers nothing, so the next may come before its turn: that is counted too.
            return got, refused, late * self.sent + got["dropped"]

        def is_balanced():
            _, refused, missed = account()
            return abs(refused - expected) <= missed

        assert until(is_balanced, 20, self.robot.spin), (account(), self.expected)
        got, refused, missed = account()
        told = f"{self.sent} sent, {expected} to be refused, {refused} were, {got['dropped']} dropped"
        print(f"{self.prefix} {told}: {dict(self.expected)}")
        assert self.sent >= SENT, told
        assert got["internal error"] == 0, self.node.output
        for reason, count in self.expected.items():
            assert abs(got[reason] - count) <= missed, (reason, told)
        assert expected > 0, told
        assert expected < self.sent, told


def image_to_look_at(message):
    """Read an image as the node does, which looks at none that is too small or a strip."""
    rgb = rgb_from_message(message)
    try:
        check_image_size(rgb.shape)
    except InvalidInputError as error:
        raise RefusedMessageError("image: size", str(error)) from error


def good_image(topic):
    if topic.endswith("compressed"):
        return CompressedImage(format="jpeg", data=cv2.imencode(".jpg", picture(SIZE))[1].tobytes())
    return message_from_array(picture(SIZE), "rgb8", Header())


def send_images(stranger, messages, topic):
    stranger.image_topic = topic

    @fuzz(messages, examples=SENT)
    def send(message):
        is_refused = stranger.is_refused(message)
        frame_ns = stranger.frame(message)
        if is_refused:
            stranger.robot.spin(GAP_S)  # nothing tells that the node is done with it
        else:
            assert stranger.is_answered(frame_ns), stranger.node.output

    send()
    stranger.check()


def send_companions(stranger, messages, topic):
    @fuzz(messages, examples=SENT)
    def send(message):
        stranger.is_refused(message)
        assert stranger.is_answered(stranger.frame(**{topic: message})), stranger.node.output

    send()
    stranger.check(late=MOST_LATE)


@st.composite
def changed(draw, make, mutations, mutate):
    message = make()
    for what, value in draw(st.lists(mutations, max_size=4)):
        mutate(message, what, value)
    return message


def camera_of_a_frame(message):
    header = Header(frame_id=message.header.frame_id)
    refusal = ViewFinder().view(picture(SIZE), header, message, rectify=True).refusal
    if refusal is not None:
        raise refusal


def framed(make, frame_id):
    def made():
        message = make()
        message.header.frame_id = frame_id
        return message

    return made


def test_images(node, robot):
    stranger = Stranger(node, robot, "image: ", image_to_look_at)
    send_images(stranger, mutated(IMAGES, IMAGE_FIELDS), "image_raw")


def test_calibrations(node, robot):
    stranger = Stranger(node, robot, "camera_info: ", camera_of_a_frame)
    messages = changed(framed(camera_info, "camera"), CAMERA_MUTATIONS, mutate_camera)
    send_companions(stranger, messages, "camera_info")


def test_clouds(node, robot):
    stranger = Stranger(node, robot, "cloud: ", points_from_message)
    messages = changed(framed(cloud, "lidar"), CLOUD_MUTATIONS, mutate_cloud)
    send_companions(stranger, messages, "sparse_points")


def test_depth(node, robot):
    stranger = Stranger(node, robot, "depth: ", depth_from_message)
    depths = [message for message in IMAGES if message.encoding in DEPTH_ENCODINGS]
    send_companions(stranger, mutated(depths, IMAGE_FIELDS), "sparse_depth")


GOOD = {
    "image_raw": IMAGES[0],
    "camera_info": camera_info(),
    "sparse_points": cloud(),
    "sparse_depth": IMAGES[-1],
}


@pytest.mark.parametrize("topic", GOOD)
def test_malformed_bytes(node, robot, topic):
    """Not even messages: what DDS carries is what a stranger packed, and says to be of the type.

    But for the header of four bytes: Fast CDR believes its options how much padding ends the payload, and
    reads beyond the payload, or crashes, where that is shorter. No node can prevent that; SROS2 does.
    """
    stranger = Stranger(node, robot, "", None)
    sent = []
    packed = serialize_message(GOOD[topic])

    @fuzz(spoiled(packed[4:]).map(lambda payload: packed[:4] + payload), examples=SENT)
    def send(data):
        robot.publishers[topic].publish(data)
        sent.append(data)
        robot.spin(0.001)
        if len(sent) % 20 == 0:
            assert stranger.publishes(), node.output

    send()
    assert len(sent) >= SENT
    assert stranger.publishes(), node.output
    assert node.popen.poll() is None
    print(f"{topic}: {len(sent)} malformed")


@pytest.fixture(scope="module")
def compressed_node(node, robot):
    transports = {"image_transport": "compressed", "sparse_depth_transport": "compressedDepth"}
    assert reconfigure(robot, **transports), node.output
    assert change(robot, Transition.TRANSITION_ACTIVATE)
    return node


class CompressedStranger(Stranger):
    def frame(self, image=None, **companions):
        self.image_topic = "image_raw/compressed"
        return super().frame(image, **companions)


def test_compressed_images(compressed_node, robot):
    stranger = CompressedStranger(compressed_node, robot, "image: ", image_to_look_at)
    send_images(stranger, mutated(COMPRESSED, COMPRESSED_FIELDS), "image_raw/compressed")


def test_compressed_depth(compressed_node, robot):
    topic = "sparse_depth/compressedDepth"
    robot.publishers[topic] = robot.node.create_publisher(CompressedImage, topic, 5)
    assert until(lambda: robot.node.count_subscribers(topic) == 1, 30, robot.spin)
    stranger = CompressedStranger(compressed_node, robot, "depth: ", depth_from_message)
    send_companions(stranger, mutated(DEPTHS + COMPRESSED, COMPRESSED_FIELDS), topic)
