"""How a node's process ends: in time, with nothing left in the graph or in shared memory."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import ROOT, NodeProcess, until

pytestmark = pytest.mark.timeout(900)

# One of its frames takes minutes, with all the steps that it is told to take.
ENDLESS = {"denoising_steps": 1000, "ensemble_size": 100, "processing_resolution": 256}
WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without())
from e2e_depth_ros.ros.nodes.executables import {executable} as main
main([])
"""


def segments_of(pid):
    """The shared memory of a process: what it has mapped, without that of the robot here."""
    return mapped(pid) - mapped(os.getpid())


def mapped(pid):
    try:
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {Path(name) for name in re.findall("/dev/shm/fast(?:dds|rtps)_[0-9a-f]{16}", maps)}  # noqa: S108


def segments_until_the_end(process):
    """Watch a process that ends on its own; return all the segments that it ever had."""
    seen = set()
    while process.popen.poll() is None:
        seen |= mapped(process.popen.pid)
    return seen - mapped(os.getpid())


def is_in_graph(robot):
    """Tell by the node's publishers.

    The list of its nodes may be read after its goodbye; then the graph names it for ever
    (``rmw_dds_common::GraphCache::update_participant_entities`` takes lists of unknown participants).
    """
    return robot.node.count_publishers("/depth/transition_event") > 0


def assert_nothing_is_left(robot, segments):
    assert segments, "the process had shared memory"
    assert [path for path in segments if path.exists()] == []
    # The lease of a process that does not say goodbye runs for 20 s.
    assert until(lambda: not is_in_graph(robot), 10, robot.spin), "it said no goodbye"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_ready_node_leaves_nothing_behind(robot, model_folder, tmp_path, number):
    process = NodeProcess(tmp_path / "log", {"model": model_folder})
    process.wait_until_ready()
    assert until(lambda: is_in_graph(robot), 60, robot.spin)
    segments = segments_of(process.popen.pid)
    assert process.stop(number) == 0, process.output
    assert_nothing_is_left(robot, segments)


def test_a_node_that_loads_leaves_nothing_behind(robot, tmp_path):
    process = NodeProcess(tmp_path / "log", {"engine": "torch"})  # it takes seconds to load
    assert until(lambda: "loading" in process.output, 120, robot.spin)
    assert until(lambda: is_in_graph(robot), 60, robot.spin)
    segments = segments_of(process.popen.pid)
    assert process.stop() == 0, process.output
    assert "ready: " not in process.output, "it was loading still"
    assert "told to end before it could configure" in process.output
    assert_nothing_is_left(robot, segments)


@pytest.mark.parametrize(
    ("parameters", "code"), [({"model": "/nowhere"}, 1), ({"min_depth": -1.0}, 2)], ids=["model", "parameter"]
)
def test_a_node_that_cannot_start_leaves_nothing_behind(robot, tmp_path, parameters, code):
    process = NodeProcess(tmp_path / "log", parameters)
    segments = segments_until_the_end(process)
    assert process.popen.returncode == code, process.output
    assert_nothing_is_left(robot, segments)


def change_state(robot, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return robot.call(ChangeState, "/depth/change_state", request, timeout_s=60).success


@pytest.fixture(scope="module")
def slow_folder(tiny_checkpoint):
    return tiny_checkpoint("marigold_depth_v1_1")


def dropped(robot):
    return int(robot.frames().get("images_dropped", 0))


def begin_endless_frame(robot):
    """Return once the node works on a frame: those that come meanwhile are dropped."""
    robot.statuses.clear()  # of the last node
    robot.listen(Output.RELATIVE)
    assert robot.stream_until(lambda: dropped(robot) > 5, timeout_s=60), robot.statuses
    assert not robot.received


def test_deactivation_does_not_wait_for_a_long_frame(robot, slow_folder, tmp_path):
    """What comes of it is dropped, and the next activation begins after it has ended: here, not at all."""
    process = NodeProcess(tmp_path / "log", {"model": slow_folder, **ENDLESS})
    try:
        process.wait_until_ready()
        begin_endless_frame(robot)
        assert change_state(robot, Transition.TRANSITION_DEACTIVATE)
        assert "the image at hand takes longer than" in process.output
        assert change_state(robot, Transition.TRANSITION_ACTIVATE)
        before = dropped(robot)
        assert robot.stream_until(lambda: dropped(robot) > before + 2, timeout_s=60), robot.statuses
        assert not robot.received
        assert change_state(robot, Transition.TRANSITION_DEACTIVATE)
        assert change_state(robot, Transition.TRANSITION_CLEANUP)
        segments = segments_of(process.popen.pid)
        assert process.stop() == 0
        assert_nothing_is_left(robot, segments)
    finally:
        process.popen.kill()
        process.popen.wait()
    assert "Traceback" not in process.output


@pytest.mark.parametrize("signals", [1, 2])
def test_signals_end_a_long_frame(robot, slow_folder, tmp_path, signals):
    process = NodeProcess(tmp_path / "log", {"model": slow_folder, **ENDLESS})
    try:
        process.wait_until_ready()
        begin_endless_frame(robot)
        segments = segments_of(process.popen.pid)
        begun_s = time.monotonic()
        for _ in range(signals):
            process.popen.send_signal(signal.SIGINT)
            robot.spin(0.3)
        assert process.popen.wait(timeout=30) == 0
        print(f"{signals} signals: {time.monotonic() - begun_s:.1f} s")
        assert_nothing_is_left(robot, segments)
    finally:
        process.popen.kill()
        process.popen.wait()


def run_node(tmp_path, code=None, arguments=(), limit_bytes=None, **environment):
    """Run a node that is not to come to be; return its exit code and what it said."""
    command = (
        ["-c", code, *arguments] if code else ["-m", "e2e_depth_ros.ros.nodes.executables", "depth_node"]
    )
    result = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment},
        preexec_fn=None
        if limit_bytes is None
        else lambda: resource.setrlimit(resource.RLIMIT_AS, limit_bytes),
    )
    return result.returncode, result.stdout + result.stderr


def assert_one_line(result, *words):
    code, output = result
    assert code == 2, output
    lines = [line for line in output.splitlines() if not line.startswith("[INFO]")]
    assert len(lines) == 1, output
    for word in ("_node: ", *words):
        assert word in lines[0]


@pytest.mark.parametrize("executable", ["depth_node", "mask_node"])
@pytest.mark.parametrize("module", ["cv2", "numpy", "sensor_msgs", "diagnostic_msgs"])
def test_what_is_not_installed_is_one_line(tmp_path, executable, module):
    result = run_node(tmp_path, WITHOUT.format(executable=executable), [module])
    assert_one_line(result, f"{module} is needed here and can't be imported")


@pytest.mark.parametrize("mib", [400, 600, 700, 1600])
def test_little_memory_is_one_line(tmp_path, mib):
    """With any of these, something in C++ would abort or hang."""
    result = run_node(tmp_path, limit_bytes=(mib << 20, mib << 20))
    assert_one_line(result, "address space of at least 3072 MiB", f"{mib} MiB")


@pytest.mark.parametrize("where", ["file", "file/below", "/proc/nowhere"])
def test_no_place_for_logs_is_one_line(tmp_path, where):
    (tmp_path / "file").touch()
    folder = str(tmp_path / where)
    assert_one_line(run_node(tmp_path, ROS_LOG_DIR=folder), "log directory", folder)


def test_security_that_cannot_be_had_is_one_line(tmp_path):
    (tmp_path / "enclaves").mkdir()
    secure = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}
    assert_one_line(run_node(tmp_path, **secure), "SROS2 is on")
    assert_one_line(run_node(tmp_path, ROS_SECURITY_KEYSTORE=str(tmp_path), **secure), "SROS2 is on")


@pytest.mark.parametrize("domain", ["233", "99999", "two"])
def test_a_domain_that_is_none_is_one_line(tmp_path, domain):
    assert_one_line(run_node(tmp_path, ROS_DOMAIN_ID=domain), "ROS_DOMAIN_ID")
