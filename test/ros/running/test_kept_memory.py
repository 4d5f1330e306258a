"""What a frame frees serves the next one: its pages are not faulted in again."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys, threading
import numpy as np
from e2e_depth_ros.ros.running.kept_memory import keep_memory

if sys.argv[1] == "kept":
    keep_memory()

def frame():
    arrays = [np.ones((480, 640, channels), np.float32) for channels in (1, 2, 3, 4)]
    return sum(array.nbytes for array in arrays)

def work():
    for _ in range(3):
        frame()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        frame()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)

thread = threading.Thread(target=work)  # as the node's worker
thread.start()
thread.join()
"""


def faults(how: str) -> int:
    """Page faults of a frame."""
    run = subprocess.run(
        [sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_a_frame_faults_no_pages_in_again() -> None:
    assert faults("kept") < 50
    assert faults("handed back") > 500
