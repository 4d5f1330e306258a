"""The parameters on a real rclpy node, as its services set them; the model is never loaded."""

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from rcl_interfaces.msg import ParameterType
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.parameter import Parameter

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.nodes.depth_node import DepthNode
from helpers.robot import ROOT


@pytest.fixture
def node(context):
    node = DepthNode(context=context)
    yield node
    node.destroy_node()


@pytest.fixture
def configured(node):
    node._model = {"model": "some"}  # loading one takes seconds; only that there is one matters here
    return node


def set_together(node, **values):
    return node.set_parameters_atomically([Parameter(name, value=value) for name, value in values.items()])


def given(context, *assignments):
    """A node whose command line sets parameters."""
    arguments = [part for assignment in assignments for part in ("-p", assignment)]
    return DepthNode(context=context, cli_args=["--ros-args", *arguments])


@pytest.mark.parametrize(
    ("assignment", "value", "kind"),
    [
        ("rectify:=off", "never", "STRING"),
        ("rectify:=on", "always", "STRING"),
        ("rectify:='off'", "never", "STRING"),
        ("rectify:=never", "never", "STRING"),
        ("revision:=20241", "20241", "STRING"),
        ("revision:='0x10'", "0x10", "STRING"),
        ("ground_frame:='no'", "no", "STRING"),
        ("min_depth:=1", 1.0, "DOUBLE"),
        ("max_samples:=1e3", 1000, "INTEGER"),
        ("sparse_extrinsics:=[0,0,1,0,0,0,1]", [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], "DOUBLE_ARRAY"),
        ("sparse_extrinsics:=0 0 -0.1 0 0 0 1", [0.0, 0.0, -0.1, 0.0, 0.0, 0.0, 1.0], "DOUBLE_ARRAY"),
    ],
)
def test_a_command_line_needs_no_care_for_types(context, assignment, value, kind):
    node = given(context, assignment)
    parameter = node.get_parameter(assignment.partition(":=")[0])
    assert (parameter.value, parameter.type_.name) == (value, kind)
    descriptor = node.describe_parameter(parameter.name)
    assert descriptor.type == getattr(ParameterType, f"PARAMETER_{kind}")
    assert not descriptor.dynamic_typing
    node.destroy_node()


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("ground_frame:=no", "parameter ground_frame: expected string, got False"),
        ("model:=1e3", "parameter model: expected string, got 1000.0"),
        ("min_depth:=near", "parameter min_depth: expected double, got 'near'"),
        ("min_depth:=-1", "parameter min_depth: expected double of at least 0, got -1.0"),
        ("sparse_extrinsics:=[]", "parameter sparse_extrinsics: expected double_array, got None"),
        ("autostart:=1", "parameter autostart: expected bool, got 1"),
        ("min_depth:=90", "parameter min_depth: expected below max_depth 80, got 90"),
    ],
)
def test_a_bad_value_at_the_start_is_refused_in_one_voice(context, assignment, words):
    with pytest.raises(InvalidInputError, match="parameter") as refusal:
        given(context, assignment)
    assert words in str(refusal.value)


def test_a_misspelt_name_at_the_start_is_told(context, capfd):
    override = "qos_overrides./image_raw.subscription.depth:=2"
    given(context, "max_dept:=5", "use_sim_time:=false", override, "correction:=true").destroy_node()
    assert "expected parameters of this node, passed over max_dept\n" in capfd.readouterr().err


def test_every_value_of_the_parameter_file_may_be_set_again_at_any_time(configured):
    values = yaml.safe_load((ROOT / "config" / "depth.yaml").read_text(encoding="utf-8"))
    values = values["/**"]["ros__parameters"]
    for name, value in values.items():
        assert set_together(configured, **{name: value}).successful, name
    assert set_together(configured, **values).successful
    assert set_together(configured, model="embedded", min_depth=2, autostart=True).successful
    assert configured.parameters.min_depth == configured.get_parameter("min_depth").value == 2.0


def test_changes_have_their_time(configured):
    result = set_together(configured, model="other")
    assert (result.successful, "only while unconfigured" in result.reason) == (False, True)
    result = set_together(configured, autostart=False)
    assert (result.successful, "read-only" in result.reason) == (False, True)
    assert (configured.parameters.model, configured.parameters.autostart) == ("embedded", True)
    configured._model = {}
    assert set_together(configured, model="other").successful


@pytest.mark.parametrize(
    "bad",
    [{"max_depth": "far"}, {"max_depth": -1}, {"rectify": "maybe"}, {"max_depth": 0.01}, {"model": "other"}],
)
def test_all_are_set_or_none(configured, bad):
    before = configured.parameters
    result = set_together(configured, min_depth=1.0, **bad)
    assert not result.successful
    assert next(iter(bad)) in result.reason
    assert configured.parameters == before
    assert configured.get_parameter("min_depth").value == before.min_depth


def test_what_depends_on_each_other_is_set_together(node):
    assert not set_together(node, min_depth=100).successful
    assert set_together(
        node, min_depth=100, max_depth=200, sparse_extrinsics=[1, 0, 0, 0, 0, 0, 1]
    ).successful
    assert (node.parameters.min_depth, node.parameters.max_depth) == (100, 200)
    assert node.get_parameter("sparse_extrinsics").value == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def test_of_a_name_given_twice_the_last_counts(node):
    twice = [Parameter("min_depth", value=5.0), Parameter("min_depth", value=node.parameters.min_depth)]
    assert node.set_parameters_atomically(twice).successful
    assert node.parameters.min_depth == node.get_parameter("min_depth").value == 0.1
    assert node.set_parameters_atomically(twice[::-1]).successful
    assert node.parameters.min_depth == node.get_parameter("min_depth").value == 5.0


def test_an_undeclared_name_is_named(node):
    with pytest.raises(ParameterNotDeclaredException, match="min_deth"):
        set_together(node, max_depth=5.0, min_deth=1.0)
    assert node.parameters.max_depth == 80
    with pytest.raises(ParameterNotDeclaredException, match="min_deth"):
        node.set_parameters([Parameter("min_deth", value=1.0)])


def test_a_parameter_cannot_be_deleted(node):
    result = node.set_parameters([Parameter("min_depth")])[0]
    assert not result.successful
    assert "min_depth" in result.reason
    assert node.get_parameter("min_depth").value == 0.1


def test_parameters_of_ros_itself_stay_as_they_are(node):
    assert set_together(node, use_sim_time=True, min_depth=1).successful
    assert node.get_parameter("use_sim_time").value is True
    assert not set_together(node, use_sim_time=1).successful


def test_the_reason_of_a_refusal_is_one_short_line(node):
    result = set_together(node, rectify="x\n" * 1_000_000)
    assert not result.successful
    assert len(result.reason) <= 1000
    assert result.reason.isprintable()
