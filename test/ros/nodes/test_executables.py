"""What is wrong with the command line or a parameter file is told in one line, before anything is loaded."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from helpers.robot import NodeProcess

pytestmark = pytest.mark.timeout(300)

FILES = {
    "syntax": "/**:\n  ros__parameters:\n    a: [1\n",
    "no value": "/**:\n  ros__parameters:\n    ground_frame:\n",
    "types mixed": "/**:\n  ros__parameters:\n    sparse_extrinsics: [0, 0.5]\n",
    "no ros__parameters": "/**:\n  min_depth: 1\n",
    "deep": "/**:\n  ros__parameters:\n    a: " + "[" * 5000 + "\n",
    "bytes": "\x00\x01\ufffd",
    "bad value": "/**:\n  ros__parameters:\n    min_depth: near\n",
    "forged": '/**:\n  ros__parameters:\n    min_depth: "x\\n[INFO] all is well"\n',
}


def assert_one_line(process, *words):
    assert process.popen.wait(timeout=120) == 2, process.output
    lines = process.output.strip().splitlines()
    assert len(lines) == 1, process.output
    assert lines[0].startswith("depth_node: ")
    assert lines[0].isprintable()
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_bad_parameter_file(tmp_path, content):
    file = tmp_path / "parameters.yaml"
    file.write_text(content, encoding="utf-8")
    assert_one_line(NodeProcess(tmp_path / "log", arguments=["--params-file", file]), "param")


def test_parameter_file_that_is_none(tmp_path):
    missing = tmp_path / "nowhere.yaml"
    assert_one_line(NodeProcess(tmp_path / "log", arguments=["--params-file", missing]), str(missing))
    assert_one_line(NodeProcess(tmp_path / "log", arguments=["--params-file", tmp_path]), str(tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [
        ["-r", "image_raw:=bad name"],
        ["-r", "image_raw:=/a//b"],
        ["-r", "image_raw"],
        ["-r"],
        ["-r", "__ns:=/bad/ns/"],
        ["-r", "__node:=1a"],
        ["-p", "model:="],
        ["-p", "model"],
        ["-p"],
        ["--unknown"],
        ["--log-level", "loud"],
        ["-e", "relative"],
        ["-p", "use_sim_time:=maybe"],
        ["-p", "ground_frame:=no"],
    ],
    ids=" ".join,
)
def test_bad_arguments(tmp_path, arguments):
    assert_one_line(NodeProcess(tmp_path / "log", arguments=arguments))


def test_bad_qos_override(model_folder, tmp_path):
    """It shows once the node subscribes."""
    parameters = {"model": model_folder, "qos_overrides./image_raw.subscription.reliability": "bogus"}
    process = NodeProcess(tmp_path / "log", parameters)
    assert process.popen.wait(timeout=300) == 2
    errors = [line for line in process.output.splitlines() if not line.startswith("[INFO]")]
    assert len(errors) == 1, process.output
    for word in ("qos_overrides./image_raw.subscription.reliability", "best_effort", "'bogus'"):
        assert word in errors[0]


def test_what_ros_would_pass_over_is_refused(tmp_path):
    process = NodeProcess(tmp_path / "log", arguments=["--", "-p", "engine"])
    assert_one_line(process, "expected arguments after --ros-args", "got -p engine")


def test_a_parameter_as_launch_files_have_it_is_refused(tmp_path):
    process = NodeProcess(
        tmp_path / "log", arguments=["--", "model:=/does/not/exist", "--ros-args", "-p", "engine:=onnx"]
    )
    assert_one_line(process, "expected --ros-args -p NAME:=VALUE", "got model:=/does/not/exist without")


@pytest.mark.parametrize("words", [[], ["image_node", "--help"]])
def test_an_unknown_executable_is_told(words):
    command = [sys.executable, "-m", "e2e_depth_ros.ros.nodes.executables", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr == f"expected depth_node or mask_node, got {' '.join(words) or 'nothing'}\n"


@pytest.mark.parametrize("word", ["-h", "--help"])
@pytest.mark.parametrize("name", ["depth_node", "mask_node"])
def test_help_is_told_and_no_node_started(name, word):
    command = [sys.executable, "-m", "e2e_depth_ros.ros.nodes.executables", name, word]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith(f"usage: {name} [--ros-args ")
    assert not result.stderr
