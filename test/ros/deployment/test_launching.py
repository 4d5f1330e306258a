"""What launch files check before they start anything; no launch is needed."""

import sys
import types

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.deployment.launching import (
    LaunchArguments,
    camera_namespaces,
    require_executable,
    require_model,
)


def arguments(**values):
    return LaunchArguments({"device": "", "image_transport": "", "use_sim_time": "", **values})


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), (" TRUE ", True), ("1", True), ("False", False), ("0", False)]
)
def test_truth_has_the_words_that_launch_has(word, value):
    assert arguments(mask=word).is_true("mask") is value


@pytest.mark.parametrize("word", ["yes", "on", "no", "off", "maybe", "", "2", "t", "true false", "True\n#"])
def test_any_other_word_is_refused(word):
    with pytest.raises(InvalidInputError, match=r"mask:=.*expected one of true, 1, false, 0"):
        arguments(mask=word).is_true("mask")


@pytest.mark.parametrize("name", ["depth", "_d1", "Depth_2"])
def test_names_of_nodes(name):
    assert arguments(name=name).node_name("name") == name


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a/b", "a b", "ä", "{x}", "depth\n"])
def test_what_is_no_name_of_a_node(name):
    with pytest.raises(InvalidInputError, match="name:="):
        arguments(name=name).node_name("name")


@pytest.mark.parametrize("text", ["", "/", "front", "/front", "/robot/front", "robot/front"])
def test_namespaces(text):
    assert arguments(namespace=text).namespace("namespace") == text


@pytest.mark.parametrize("text", ["bad-ns", "/a//b", "/a/", "a/1b", "~", " ", "//a"])
def test_what_is_no_namespace(text):
    with pytest.raises(InvalidInputError, match="namespace:="):
        arguments(namespace=text).namespace("namespace")


def test_parameters_are_given_only_where_they_are_wanted():
    assert arguments().node_parameters() == {}
    given = arguments(device="cuda:1", image_transport="Compressed", use_sim_time="1").node_parameters()
    assert given == {"device": "cuda:1", "image_transport": "compressed", "use_sim_time": True}
    assert arguments(use_sim_time="false").node_parameters() == {"use_sim_time": False}
    for bad in ({"use_sim_time": "sim"}, {"image_transport": "theora"}):
        with pytest.raises(InvalidInputError, match="expected one of"):
            arguments(**bad).node_parameters()


@pytest.mark.parametrize(("text", "value"), [("5", 5.0), ("0.5", 0.5), ("1e2", 100.0)])
def test_numbers(text, value):
    assert arguments(rate=text).number("rate", 0.1) == value


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "", "fast"])
def test_what_is_no_number(text):
    with pytest.raises(InvalidInputError, match="rate:="):
        arguments(rate=text).number("rate", 0.1)


@pytest.mark.parametrize("text", ["102", "-1", "1.5", "", "one"])
def test_what_is_no_domain(text):
    assert arguments(domain_id="101").domain("domain_id") == 101
    with pytest.raises(InvalidInputError, match="domain_id:="):
        arguments(domain_id=text).domain("domain_id")


def test_a_file_must_be_there(tmp_path):
    file = tmp_path / "parameters.yaml"
    file.touch()
    assert arguments(params_file=str(file)).file("params_file") == str(file)
    for missing in (tmp_path / "nowhere", tmp_path, ""):
        with pytest.raises(InvalidInputError, match=r"params_file:=.*no such file"):
            arguments(params_file=str(missing)).file("params_file")


def test_cameras_are_namespaces():
    assert camera_namespaces("left right", "") == ["left", "right"]
    assert camera_namespaces("left,  right", "/robot") == ["/robot/left", "/robot/right"]
    assert camera_namespaces("front", "/") == ["/front"]
    for bad in ("", " , ", "left left", "1st", "a/b"):
        with pytest.raises(InvalidInputError, match="cameras:="):
            camera_namespaces(bad, "")
    with pytest.raises(InvalidInputError, match="namespace:="):
        camera_namespaces("left", "/a//b")


PARAMETERS = "{node}:\n  ros__parameters:\n    model: {model}\n"


@pytest.mark.parametrize("node", ["/**", "mask", "/front/mask", "front:\n  mask"])
def test_a_mask_node_needs_a_model(tmp_path, node):
    file = tmp_path / "mask.yaml"
    text = PARAMETERS if "\n" not in node else PARAMETERS.replace("  ", "    ")
    file.write_text(text.format(node=node, model='""'), encoding="utf-8")
    require_model(str(file), "/some/folder")
    with pytest.raises(InvalidInputError, match="mask:=true needs a checkpoint"):
        require_model(str(file), "")
    file.write_text(text.format(node=node, model="/some/folder"), encoding="utf-8")
    require_model(str(file), "")


@pytest.mark.parametrize(
    "content", [b"", b"just words", b"a: [1", b"\xff\xfe\x00", b"- 1\n- 2\n", b"[" * 5000]
)
def test_a_file_that_names_no_model_is_refused(tmp_path, content):
    file = tmp_path / "mask.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"mask:=true needs|no file of parameters") as refusal:
        require_model(str(file), "")
    assert "\n" not in str(refusal.value)


@pytest.fixture
def index(monkeypatch, tmp_path):
    """An ament index that knows only rviz2."""

    def get_package_prefix(package):
        if package != "rviz2":
            raise KeyError(package)
        return str(tmp_path)

    packages = types.ModuleType("ament_index_python.packages")
    packages.get_package_prefix = get_package_prefix
    monkeypatch.setitem(sys.modules, "ament_index_python", types.ModuleType("ament_index_python"))
    monkeypatch.setitem(sys.modules, "ament_index_python.packages", packages)
    return tmp_path


def test_what_is_missing_is_told_with_the_way_to_get_it(index, monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    with pytest.raises(InvalidInputError, match="rviz:=true needs rviz2, expected at "):
        require_executable("rviz2", "rviz2", "rviz:=true")
    executable = index / "lib" / "rviz2" / "rviz2"
    executable.parent.mkdir(parents=True)
    executable.touch(mode=0o755)
    require_executable("rviz2", "rviz2", "rviz:=true")
    with pytest.raises(InvalidInputError, match=r"package tf2_ros.*sudo apt install ros-jazzy-tf2-ros"):
        require_executable("tf2_ros", "static_transform_publisher", "demo.launch.py")
