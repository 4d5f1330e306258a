"""Signals end a process: in order at first, now at the second, and at the third whatever it does."""

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import signal, sys, time
from e2e_depth_ros.ros.running.stop_signals import StopSignals
signals = StopSignals(lambda count: print("signal", count, signals.requested, flush=True))
if sys.argv[1] == "heeds":
    signals.heed_order()
print("ready", "rclpy" in sys.modules or "numpy" in sys.modules, flush=True)
while not (signals.requested and sys.argv[2] == "obeys"):
    time.sleep(0.01)
sys.exit(7)
"""


@pytest.fixture
def start():
    """`start("heeds" or "starts", "obeys" or "hangs")`: a process that is ready for signals."""
    processes = []

    def started(*words):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "ready False\n"  # nothing heavy is loaded
        return process

    yield started
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_asks_for_the_end(start, number):
    process = start("heeds", "obeys")
    process.send_signal(number)
    assert process.wait(20) == 7
    assert process.stdout.read() == "signal 1 True\n"


def test_before_there_is_something_to_tidy_up_it_ends_at_once(start):
    process = start("starts", "hangs")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_what_hangs_is_ended_in_seconds(start):
    process = start("heeds", "hangs")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "signal 1 True\n"
    assert process.wait(30) == 0
    assert time.monotonic() - begin > 3


def test_the_third_ends_it_at_once(start):
    process = start("heeds", "hangs")
    for count in (1, 2):
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == f"signal {count} True\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
