"""QoS overrides on a real node: read at each configuration, refused when bad."""

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.qos import QoSHistoryPolicy, QoSReliabilityPolicy

from e2e_depth_ros.ros.declarations.declaration import BadParameterError
from e2e_depth_ros.ros.nodes.depth_node import DepthNode

NAME = "qos_overrides./cam/image.subscription."


@pytest.fixture
def make():
    context = Context()
    rclpy.init(context=context)
    nodes = []

    def made(*assignments):
        arguments = [part for assignment in assignments for part in ("-p", NAME + assignment)]
        nodes.append(DepthNode(context=context, cli_args=["--ros-args", *arguments]))
        return nodes[-1]

    yield made
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def profile(node, reliability="best_effort", queue_size=3):
    return node._qos_overrides.subscription("/cam/image", reliability=reliability, queue_size=queue_size)


def test_without_overrides_the_parameters_count_each_time_anew(make):
    node = make()
    found = profile(node)
    assert (found.reliability, found.depth) == (QoSReliabilityPolicy.BEST_EFFORT, 3)
    assert found.history == QoSHistoryPolicy.KEEP_LAST
    found = profile(node, "reliable", 7)
    assert (found.reliability, found.depth) == (QoSReliabilityPolicy.RELIABLE, 7)
    assert node.get_parameter(NAME + "reliability").value == "reliable"
    assert node.get_parameter(NAME + "depth").value == 7


def test_overrides_count_whatever_the_parameters_say(make):
    node = make("reliability:=reliable", "depth:=9", "history:=keep_all")
    for _ in range(2):
        found = profile(node)
        assert (found.reliability, found.depth) == (QoSReliabilityPolicy.RELIABLE, 9)
        assert found.history == QoSHistoryPolicy.KEEP_ALL


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("reliability:=bogus", "reliability: expected reliable, best_effort, system_default, got 'bogus'"),
        ("reliability:=on", "reliability: expected reliable, best_effort, system_default, got True"),
        ("history:=1", "history: expected keep_last, keep_all, system_default, got 1"),
        ("depth:=many", "depth: expected an integer of 0 .. 2147483647, got 'many'"),
        ("depth:=-5", "got -5"),
        ("depth:=1.5", "got 1.5"),
        ("depth:=99999999999", "got 99999999999"),
    ],
)
def test_bad_overrides_are_refused(make, assignment, words):
    with pytest.raises(BadParameterError) as refusal:
        profile(make(assignment))
    assert str(refusal.value).startswith(f"parameter {NAME}")
    assert words in str(refusal.value)


def test_an_override_does_not_change_while_it_is_in_use(make):
    node = make()
    profile(node)
    result = node.set_parameters_atomically([Parameter(NAME + "depth", value=5)])
    assert (result.successful, result.reason) == (False, f"parameter {NAME}depth: changes only at start")
    assert node.set_parameters_atomically([Parameter(NAME + "depth", value=3)]).successful
