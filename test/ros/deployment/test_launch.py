"""The launch files and what they point to.

`launch` is not on PyPI. Where it is missing, stand-ins that record their arguments take its place, so that at
least every line runs; where ROS is installed, test_real_launch.py runs them.
"""

import json
import runpy
import sys
import types
from pathlib import Path

import pytest
import yaml

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.declarations.depth_parameters import DECLARATIONS
from e2e_depth_ros.ros.declarations.mask_parameters import DECLARATIONS as MASK_DECLARATIONS
from e2e_depth_ros.ros.deployment.middleware import image_environment, local_environment
from e2e_depth_ros.ros.outputs.depth_outputs import Output

ROOT = Path(__file__).resolve().parents[3]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
ARGUMENTS = {
    "depth.launch.py": {
        *("image", "camera_info", "sparse_points", "sparse_depth", "image_transport"),
        *("model", "device", "engine", "dtype", "params_file", "name", "namespace", "use_sim_time"),
        *("respawn", "log_level", "enclave"),
        *("rviz", "mask", "mask_model", "mask_object", "mask_params_file", "mask_name"),
    },
    "demo.launch.py": {"model", "device", "rviz", "rate", "points", "domain_id"},
    "cameras.launch.py": {"cameras", "namespace"},
}


class Recorded:
    """Any action or substitution."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


def stand_in(name, **members):
    module = types.ModuleType(name)
    module.__getattr__ = lambda member: type(member, (Recorded,), {})
    for member, value in members.items():
        setattr(module, member, value)
    return module


def load(path, monkeypatch, modules):
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return runpy.run_path(str(path))


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """`recorded(name)`: a launch file run with stand-ins; a function that starts it, and its declarations.

    Every package is installed, but for those that are put into `recorded.missing`.
    """
    names = ("launch", "launch.actions", "launch.launch_context", "launch.launch_description_sources")
    names += ("launch_ros", "launch_ros.actions", "launch_ros.parameter_descriptions")
    modules = {name: stand_in(name) for name in names}

    def get_package_prefix(package):
        if package in run.missing:
            raise KeyError(package)
        return str(tmp_path)

    for package, executable in (
        *(("e2e_depth_ros", name) for name in ("depth_node", "mask_node", "demo_camera")),
        ("tf2_ros", "static_transform_publisher"),
        ("rviz2", "rviz2"),
    ):
        path = tmp_path / "lib" / package / executable
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    index = {
        "get_package_share_directory": lambda package: str(ROOT) if package == "e2e_depth_ros" else None,
        "get_package_prefix": get_package_prefix,
    }
    modules["ament_index_python"] = stand_in("ament_index_python")
    modules["ament_index_python.packages"] = stand_in("ament_index_python.packages", **index)

    def run(name):
        launch_file = load(ROOT / "launch" / name, monkeypatch, modules)
        *declared, last = launch_file["generate_launch_description"]().args[0]
        assert kinds([last]) == ["OpaqueFunction"], "nothing starts before everything is checked"

        def start(environment=(), **given):
            values = {action.args[0]: action.kwargs["default_value"] for action in declared} | given
            context = types.SimpleNamespace(launch_configurations=values, environment=dict(environment))
            return last.kwargs["function"](context)

        return start, declared

    run.missing = set()
    return run


def kinds(actions):
    return [type(action).__name__ for action in actions]


def refusal(actions):
    """The words with which a launch file refuses to start."""
    assert kinds(actions) == ["RegisterEventHandler", "EmitEvent"]
    (raising,) = actions[0].args[0].kwargs["entities"]
    with pytest.raises(InvalidInputError) as raised:
        raising.kwargs["function"](None)
    return str(raised.value)


def plain(parameters):
    """Parameters without the wrapping that keeps a text a text, whatever YAML thinks of it."""
    wrapped = [value for value in parameters.values() if not isinstance(value, bool)]
    assert all(value.kwargs == {"value_type": str} for value in wrapped)
    return {
        name: value.args[0] if isinstance(value, Recorded) else value for name, value in parameters.items()
    }


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_argument_is_declared_and_described(recorded, path):
    _, declared = recorded(path.name)
    assert kinds(declared) == ["DeclareLaunchArgument"] * len(declared)
    assert {action.args[0] for action in declared} == ARGUMENTS[path.name]
    assert all(action.kwargs["description"].endswith(".") for action in declared)


def test_node_gets_parameters_and_remappings(recorded):
    start, _ = recorded("depth.launch.py")
    network = {"model": "some/model", "engine": "openvino", "dtype": "bfloat16"}
    (node,) = start(image="/cam/image_raw", namespace="front", **network)
    assert node.kwargs["remappings"] == [
        ("image_raw", "/cam/image_raw"),
        ("camera_info", "camera_info"),
        ("sparse_points", "sparse_points"),
        ("sparse_depth", "sparse_depth"),
    ]
    parameters_file, given = node.kwargs["parameters"]
    assert plain(given) == network
    assert Path(parameters_file) == ROOT / "config" / "depth.yaml"
    assert (node.kwargs["name"], node.kwargs["namespace"]) == ("depth", "front")
    assert (node.kwargs["respawn"], node.kwargs["ros_arguments"]) == (False, ["--log-level", "info"])


def test_what_integrators_expect_is_passed_on(recorded):
    start, _ = recorded("depth.launch.py")
    given = {"use_sim_time": "true", "image_transport": "compressed", "respawn": "1", "device": "cpu"}
    asked = {"mask": "true", "mask_model": "m", "rviz": "true", "name": "eye", "log_level": "debug"}
    depth, mask, rviz = start(**given, **asked, mask_name="veil")
    shared = {"use_sim_time": True, "image_transport": "compressed", "device": "cpu"}
    assert shared.items() <= plain(depth.kwargs["parameters"][1]).items()
    assert shared.items() <= plain(mask.kwargs["parameters"][1]).items()
    assert [node.kwargs["respawn"] for node in (depth, mask)] == [True, True]
    assert [node.kwargs["name"] for node in (depth, mask)] == ["eye", "veil"]
    assert [node.kwargs["ros_arguments"] for node in (depth, mask)] == [["--log-level", "debug"]] * 2
    assert rviz.kwargs["parameters"] == [{"use_sim_time": True}]


def test_mask_node_is_started_only_if_asked_and_heeded_then(recorded):
    start, _ = recorded("depth.launch.py")
    given = {"mask": "true", "mask_model": "some/painter", "mask_object": "the dog"}
    depth, mask = start(image="/cam/image_raw", namespace="front", **given)
    wanted = depth.kwargs["parameters"][1]
    assert plain(wanted) == {"remove_masked_points": True, "remove_masked_samples": True}
    assert (mask.kwargs["executable"], mask.kwargs["name"]) == ("mask_node", "mask")
    assert mask.kwargs["namespace"] == "front"
    assert mask.kwargs["remappings"] == [("image_raw", "/cam/image_raw")]
    parameters_file, given = mask.kwargs["parameters"]
    assert Path(parameters_file) == ROOT / "config" / "mask.yaml"
    assert plain(given) == {"model": "some/painter", "object": "the dog"}
    assert set(wanted) <= set(DECLARATIONS)
    assert set(given) <= set(MASK_DECLARATIONS)


@pytest.mark.parametrize(
    ("given", "missing", "words"),
    [
        ({"rviz": "true"}, "rviz2", "rviz:=true needs the package rviz2"),
        ({"rviz": "maybe"}, "", "rviz:=maybe: expected one of true, 1, false, 0"),
        ({"mask": "yes"}, "", "mask:=yes: expected one of true, 1, false, 0"),
        ({"mask": "true"}, "", "mask:=true needs a checkpoint"),
        ({"params_file": "/nowhere"}, "", "no such file"),
        ({}, "e2e_depth_ros", "needs the package e2e_depth_ros"),
    ],
)
def test_what_cannot_be_started_is_refused_before_anything_is(recorded, given, missing, words):
    start, _ = recorded("depth.launch.py")
    recorded.missing = {missing}
    assert words in refusal(start(**given))


def test_nodes_get_the_shared_memory_profile_unless_the_user_has_one(recorded):
    start, _ = recorded("depth.launch.py")
    asked = {"mask": "true", "mask_model": "m", "rviz": "true"}
    for node in start(**asked):
        assert node.kwargs["additional_env"] == image_environment({}) != {}
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        for node in start({name: "/mine.xml"}, **asked):
            assert node.kwargs["additional_env"] == {}


def test_demo_sets_the_environment_then_starts_the_node_and_the_camera(recorded):
    start, _ = recorded("demo.launch.py")
    actions = start(domain_id="7", rviz="false")
    first, *variables, depth, camera, _, _ = actions
    assert kinds([first, depth]) == ["LogInfo", "IncludeLaunchDescription"]
    assert set(kinds(variables)) == {"SetEnvironmentVariable"}
    assert {action.args[0]: action.args[1] for action in variables} == {
        **local_environment(),
        "ROS_DOMAIN_ID": "7",
    }
    assert set(dict(depth.kwargs["launch_arguments"])) <= ARGUMENTS["depth.launch.py"]
    assert camera.kwargs["executable"] == "demo_camera"
    assert camera.kwargs["namespace"] == dict(depth.kwargs["launch_arguments"])["namespace"]
    assert kinds(camera.kwargs["on_exit"]) == ["Shutdown"]
    for missing in ("tf2_ros", "rviz2"):
        recorded.missing = {missing}
        assert f"needs the package {missing}" in refusal(start())


def test_each_camera_has_a_scope_of_its_own(recorded):
    start, _ = recorded("cameras.launch.py")
    groups = start(cameras="left right", namespace="/robot")
    assert kinds(groups) == ["GroupAction"] * 2
    assert all(group.kwargs["scoped"] for group in groups)
    given = [dict(group.args[0][0].kwargs["launch_arguments"]) for group in groups]
    assert given == [{"namespace": "/robot/left"}, {"namespace": "/robot/right"}]
    assert "cameras:=" in refusal(start())


def test_rviz_shows_topics_that_exist():
    config = yaml.safe_load((ROOT / "config" / "depth.rviz").read_text(encoding="utf-8"))
    displays = config["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert topics <= {output.value for output in Output} | {"image_raw"}
    assert {"points", "depth/image_color"} <= topics


def test_foxglove_shows_topics_that_exist():
    layout = json.loads((ROOT / "config" / "foxglove_layout.json").read_text(encoding="utf-8"))
    panels = layout["configById"]
    topics = set()
    for panel in panels.values():
        mode = panel.get("imageMode", {})
        topics |= {mode.get("imageTopic"), mode.get("calibrationTopic")} | {*panel.get("topics", {})}
        topics |= {panel.get("topicPath"), panel.get("topicToRender")}
    topics = {topic.lstrip("/") for topic in topics if topic}
    inputs = {"image_raw", "camera_info", "sparse_points", "diagnostics"}
    assert topics <= {output.value for output in Output} | inputs
    assert {"points", "depth/image_rect", "depth/image_color", "alignment/status"} <= topics

    def leaves(part):
        return [part] if isinstance(part, str) else leaves(part["first"]) + leaves(part["second"])

    assert sorted(leaves(layout["layout"])) == sorted(panels)
