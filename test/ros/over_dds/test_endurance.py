"""The node through many lifecycles, and stopped at any moment.

A few moments and cycles run always; E2E_DEPTH_STRESS=1 runs 200 cycles and 40 moments.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess

STRESS = bool(os.environ.get("E2E_DEPTH_STRESS"))
CYCLES = 200 if STRESS else 6
SETTLED = CYCLES // 3  # allocators and caches have grown by then
MOMENTS = 40 if STRESS else 3
START_CPU_S = 9.0  # what a start takes, nearly all of it importing torch

pytestmark = [pytest.mark.timeout(4 * 3600 if STRESS else 900), pytest.mark.stress]


def seconds_of_cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_of(pid, key):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{key}:"))


def catches(pid, number):
    return bool(int(status_of(pid, "SigCgt"), 16) >> (number - 1) & 1)


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_lifecycles_leave_no_thread_and_no_memory(robot, model_folder, tmp_path):
    process = NodeProcess(tmp_path / "log", {"model": model_folder})
    try:
        process.wait_until_ready()
        pid = process.popen.pid
        threads, memory_mb = [], []
        for _ in range(CYCLES):
            robot.listen(Output.RELATIVE, Output.NORMALS)
            assert robot.stream_until(lambda: len(robot.received) == 2, timeout_s=60)
            threads.append(int(status_of(pid, "Threads")))
            memory_mb.append(int(status_of(pid, "VmRSS")) / 1024)
            for transition in (
                Transition.TRANSITION_DEACTIVATE,
                Transition.TRANSITION_CLEANUP,
                Transition.TRANSITION_CONFIGURE,
                Transition.TRANSITION_ACTIVATE,
            ):
                request = ChangeState.Request(transition=Transition(id=transition))
                assert robot.call(ChangeState, "/depth/change_state", request, timeout_s=120).success
        print(f"threads {threads[0]} -> {threads[-1]}")
        print(f"memory {memory_mb[SETTLED]:.1f} -> {memory_mb[-1]:.1f} MB")
        assert max(threads[SETTLED:]) <= max(threads[: SETTLED + 1])
        growth_kb = 1024 * (memory_mb[-1] - memory_mb[SETTLED]) / (CYCLES - SETTLED)
        assert growth_kb < (100 if STRESS else 2000), f"{growth_kb:.0f} kB a cycle: {memory_mb}"
        assert not children_of(pid)
    finally:
        assert process.stop() == 0, process.output
    assert "Traceback" not in process.output


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_signal_at_any_moment_ends_the_node_cleanly(model_folder, tmp_path, moment):
    """Moments are counted in CPU time, so that a loaded machine doesn't shift them all to the start."""
    draw = random.Random(moment)
    number = (signal.SIGTERM, signal.SIGINT)[moment % 2]
    cpu_s = 0.0 if moment == 0 else draw.uniform(0.2, START_CPU_S + 2 if STRESS else 3.0)
    process = NodeProcess(tmp_path / "log", {"model": model_folder})
    pid = process.popen.pid
    while not catches(pid, number) or not catches(pid, signal.SIGINT):
        time.sleep(0.002)
    end = time.monotonic() + 120  # once started, it takes hardly any CPU time
    while seconds_of_cpu(pid) < cpu_s and time.monotonic() < end and "ready" not in process.output:
        time.sleep(0.002)
    if "ready" in process.output:
        time.sleep(draw.uniform(0, 1))
    start = time.monotonic()
    assert process.stop(number, timeout_s=60) == 0, f"after {cpu_s:.2f} s: {process.output}"
    print(
        f"{signal.Signals(number).name} after {cpu_s:.2f} s of CPU: ended in {time.monotonic() - start:.2f} s"
    )
    assert "Traceback" not in process.output, process.output


def test_bad_parameter_ends_the_start_with_one_line(tmp_path):
    process = NodeProcess(tmp_path / "log", {"min_depth": "-1.5"})
    assert process.popen.wait(timeout=120) == 2
    lines = process.output.strip().splitlines()
    assert len(lines) == 1
    for word in ("min_depth", "-1.5", "0"):
        assert word in lines[0]


def test_missing_model_ends_the_start_with_one_line(tmp_path):
    process = NodeProcess(tmp_path / "log", {"model": tmp_path / "nowhere"})
    assert process.popen.wait(timeout=300) == 1
    loading, *errors = process.output.strip().splitlines()
    assert f"loading {tmp_path / 'nowhere'} ..." in loading
    assert len(errors) == 1
    assert "cannot configure: " in errors[0]
    assert str(tmp_path / "nowhere") in errors[0]
