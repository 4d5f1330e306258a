"""The launch files and what they point to.

`launch` is not on PyPI. Where it is missing, stand-ins that record their arguments take its place, so that at
least every line runs; where ROS is installed, the real one loads the files.
"""

import importlib.util
import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from e2e_depth_ros.ros.mask_parameters import DECLARATIONS as MASK_DECLARATIONS
from e2e_depth_ros.ros.outputs import Output
from e2e_depth_ros.ros.parameters import DECLARATIONS

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
ARGUMENTS = {
    "depth.launch.py": {
        *("image", "camera_info", "sparse_points", "sparse_depth"),
        *("model", "device", "params_file", "namespace", "rviz"),
        *("mask", "mask_model", "mask_object", "mask_params_file"),
    },
    "demo.launch.py": {"model", "device", "rviz", "rate", "points"},
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
    spec = importlib.util.spec_from_file_location(path.name.replace(".", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recorded(monkeypatch):
    names = ("launch", "launch.actions", "launch.conditions", "launch.launch_context", "launch.substitutions")
    names += ("launch.launch_description_sources", "launch_ros", "launch_ros.actions")
    names += ("launch_ros.parameter_descriptions",)
    modules = {name: stand_in(name) for name in names}
    share = {"get_package_share_directory": lambda package: str(ROOT) if package == "e2e_depth_ros" else None}
    modules["ament_index_python"] = stand_in("ament_index_python")
    modules["ament_index_python.packages"] = stand_in("ament_index_python.packages", **share)

    def run(name):
        module = load(ROOT / "launch" / name, monkeypatch, modules)
        actions = module.generate_launch_description().args[0]
        return module, actions

    return run


def texts(given):
    """The parameters that stay text whatever YAML thinks of them."""
    assert all(value.kwargs == {"value_type": str} for value in given.values())
    return {name: value.args[0] for name, value in given.items()}


def kinds(actions):
    return [type(action).__name__ for action in actions]


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_argument_is_declared_and_described(recorded, path):
    _, actions = recorded(path.name)
    declared = [action for action in actions if type(action).__name__ == "DeclareLaunchArgument"]
    assert {action.args[0] for action in declared} == ARGUMENTS[path.name]
    assert all(action.kwargs["description"].endswith(".") for action in declared)


def test_node_gets_parameters_and_remappings(recorded):
    module, actions = recorded("depth.launch.py")
    assert kinds(actions)[-3:] == ["SetEnvironmentVariable", "OpaqueFunction", "Node"]
    values = {name: default for name, (default, _) in module.ARGUMENTS.items()}
    values |= {"image": "/cam/image_raw", "model": "some/model", "namespace": "front"}
    (node,) = module.nodes(types.SimpleNamespace(launch_configurations=values))
    assert node.kwargs["remappings"] == [
        ("image_raw", "/cam/image_raw"),
        ("camera_info", "camera_info"),
        ("sparse_points", "sparse_points"),
        ("sparse_depth", "sparse_depth"),
    ]
    parameters_file, given = node.kwargs["parameters"]
    assert texts(given) == {"model": "some/model"}
    assert Path(parameters_file) == ROOT / "config" / "depth.yaml"
    assert node.kwargs["namespace"] == "front"


def test_mask_node_is_started_only_if_asked_and_heeded_then(recorded):
    module, _ = recorded("depth.launch.py")
    values = {name: default for name, (default, _) in module.ARGUMENTS.items()}
    values |= {"image": "/cam/image_raw", "namespace": "front", "mask": "true", "mask_object": "the dog"}
    depth, mask = module.nodes(types.SimpleNamespace(launch_configurations=values))
    assert depth.kwargs["parameters"][1] == {"remove_masked_points": True, "remove_masked_samples": True}
    assert (mask.kwargs["executable"], mask.kwargs["name"]) == ("mask_node", "mask")
    assert mask.kwargs["namespace"] == "front"
    assert mask.kwargs["remappings"] == [("image_raw", "/cam/image_raw")]
    parameters_file, given = mask.kwargs["parameters"]
    assert Path(parameters_file) == ROOT / "config" / "mask.yaml"
    assert texts(given) == {"object": "the dog"}
    assert set(depth.kwargs["parameters"][1]) <= set(DECLARATIONS)
    assert set(given) <= set(MASK_DECLARATIONS)


def test_launch_sets_the_shared_memory_profile(recorded):
    _, actions = recorded("depth.launch.py")
    (variable,) = (action for action in actions if type(action).__name__ == "SetEnvironmentVariable")
    assert variable.args[0] == "FASTDDS_DEFAULT_PROFILES_FILE"
    assert Path(variable.args[1].kwargs["default_value"]) == ROOT / "config" / "fastdds_shm.xml"


def test_demo_starts_the_node_then_the_camera(recorded):
    _, actions = recorded("demo.launch.py")
    assert kinds(actions)[-4:] == ["IncludeLaunchDescription", "ExecuteProcess", "Node", "Node"]
    passed = dict(actions[-4].kwargs["launch_arguments"])
    assert set(passed) <= ARGUMENTS["depth.launch.py"]
    command = actions[-3].kwargs["cmd"]
    assert command[1:3] == ["-m", "e2e_depth_ros.cli.demo.publisher"]


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_real_launch_loads_the_files(path):
    pytest.importorskip("launch_ros", reason="launch_ros is not on PyPI: needs a ROS 2 distribution")
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        get_package_share_directory("e2e_depth_ros")
    except PackageNotFoundError:
        pytest.skip("the package is not built into a sourced workspace")
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    assert get_launch_description_from_python_launch_file(str(path)).entities


def test_shared_memory_segment_holds_several_images():
    root = ET.parse(ROOT / "config" / "fastdds_shm.xml").getroot()  # noqa: S314 - our own file
    name = {"dds": root.tag.split("}")[0].strip("{")}
    (segment,) = root.findall(".//dds:segment_size", name)
    assert int(segment.text) == 64 * 2**20
    descriptors = {entry.text for entry in root.findall(".//dds:transport_descriptor/dds:transport_id", name)}
    used = {entry.text for entry in root.findall(".//dds:userTransports/dds:transport_id", name)}
    assert used == descriptors
    assert root.find(".//dds:participant", name).get("is_default_profile") == "true"


def test_rviz_shows_topics_that_exist():
    config = yaml.safe_load((ROOT / "config" / "depth.rviz").read_text(encoding="utf-8"))
    displays = config["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert topics <= {output.value for output in Output} | {"image_raw"}
    assert {"points", "depth/image_color"} <= topics
