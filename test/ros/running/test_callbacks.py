"""Errors outside of the worker: in callbacks, and where a message can't even be taken."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import String
from std_srvs.srv import SetBool

from helpers.robot import ROOT, START_S, NodeProcess, until

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]

# A message of 200 MB waits, and there is memory for two copies of it; rclpy makes three.
STARVED = """
import re, resource, time
from array import array
from pathlib import Path
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from e2e_depth_ros.ros.running.callbacks import resume_callbacks

rclpy.init()
node = rclpy.create_node("starved")
group, came = MutuallyExclusiveCallbackGroup(), []
for topic in ("image", "other"):
    def hear(message):
        came.append(len(message.data))
    node.create_subscription(Image, topic, hear, 1, callback_group=group)
publishers = {topic: node.create_publisher(Image, topic, 1) for topic in ("image", "other")}
executor = SingleThreadedExecutor()
executor.add_node(node)
def spin_until(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
spin_until(lambda: all(publisher.get_subscription_count() for publisher in publishers.values()))
publishers["image"].publish(Image(data=array("B", bytes(200_000_000))))
size = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))
resource.setrlimit(resource.RLIMIT_AS, (size + 500_000_000, resource.RLIM_INFINITY))
try:
    spin_until(lambda: came)
    print("taken", came)
except (MemoryError, RuntimeError):
    print("no memory")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
resume_callbacks(node)
for topic, publisher in publishers.items():
    came.clear()
    def send_and_look():
        publisher.publish(Image(data=array("B", bytes(7))))
        return 7 in came
    spin_until(send_and_look)
    print(topic, 7 in came)
"""

# The depth node with one more topic: its callback raises whatever it is told to.
FAULTY = """
from std_msgs.msg import String
from e2e_depth_ros.ros.nodes.node_process import run_node

def find_class():
    from e2e_depth_ros.ros.nodes.depth_node import DepthNode

    class Faulty(DepthNode):
        def __init__(self):
            super().__init__()
            self.create_subscription(String, "faults", self._raise, 1)

        def _raise(self, message):
            raise eval(message.data)

    return Faulty

run_node("depth_node", find_class)
"""


def test_a_message_that_cannot_be_taken_stops_no_callback():
    result = subprocess.run(
        [sys.executable, "-c", STARVED],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["no memory", "image True", "other True"], result.stderr


@pytest.fixture(scope="module")
def faulty(robot, tmp_path_factory):
    log = tmp_path_factory.mktemp("faulty") / "log"
    process = NodeProcess(log, {"autostart": "false"}, program=("-c", FAULTY))
    publisher = robot.node.create_publisher(String, "faults", 1)
    assert until(publisher.get_subscription_count, START_S, robot.spin), process.output
    yield process, publisher
    process.stop()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("MemoryError()", "MemoryError"),
        ("SystemExit(3)", "SystemExit: 3"),
        ("KeyboardInterrupt()", "KeyboardInterrupt"),
        (r"ValueError('a \udcff lone surrogate')", r"a \udcff lone surrogate"),
        (r"ValueError('a\n[INFO] forged line')", r"a\n[INFO] forged line"),
        ("ValueError('x' * 2**20)", "xxx ... xxx"),
    ],
)
def test_an_error_in_a_callback_is_told_and_counted_and_the_node_goes_on(robot, faulty, fault, told):
    process, publisher = faulty
    before = robot.refused("internal error")
    publisher.publish(String(data=fault))
    assert until(lambda: robot.refused("internal error") > before, 30, robot.spin), process.output
    level, message, values = robot.statuses["depth: frames"]
    assert level == DiagnosticStatus.ERROR
    assert told in message
    assert told in values["last_failure"]
    assert len(message) < 2000
    assert robot.call(SetBool, "/depth/set_enabled", SetBool.Request(data=True)).success
    assert process.popen.poll() is None


def test_errors_in_callbacks_are_logged_one_line_each_and_the_end_is_clean(faulty):
    """The last of the tests that share the process."""
    process, _ = faulty
    assert process.stop() == 0
    failed = [line for line in process.output.splitlines() if "a callback failed: " in line]
    assert len(failed) >= 4  # one for each kind in a while
    assert "Traceback" not in process.output
    assert "\n[INFO] forged" not in process.output
