"""Whatever the machine lacks ends a command with one line and exit code 2; nothing is left half written."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from e2e_depth_ros.cli.failures import check_address_space, explain
from e2e_depth_ros.core.errors import CheckpointError

COMMAND = [sys.executable, "-m", "e2e_depth_ros.cli.main"]
WITHOUT = """
import sys
from e2e_depth_ros.cli.main import main

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
sys.exit(main(sys.argv[2:]))
"""


def run(*arguments: object, limits: dict[int, int] | None = None, **options) -> subprocess.CompletedProcess:
    def limit() -> None:
        for what, most in (limits or {}).items():
            resource.setrlimit(what, (most, most))

    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=250,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=limit,
        **{"stdout": subprocess.PIPE, **options},
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8))
    return path


NO_MEMORY = r"expected more memory than there is \(.+\)"
NO_SPACE = OSError(errno.ENOSPC, "No space left on device", "out/depth.npy")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CheckpointError("expected a,\n  got b\x1b[31m"), r"expected a,\\n  got b\\x1b\[31m"),
        (CheckpointError("x" * 10**6), r"x+ \.\.\. x+"),
        (MemoryError(), NO_MEMORY),
        (RuntimeError("std::bad_alloc"), NO_MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9"), NO_MEMORY),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), NO_MEMORY),
        (cv2.error("OpenCV: (-4:Insufficient memory) Failed to allocate"), NO_MEMORY),
        (RuntimeError("can't start new thread"), NO_MEMORY),
        (ImportError("libx.so: failed to map segment from shared object", name="cv2"), NO_MEMORY),
        (ModuleNotFoundError("No", name="cv2"), ".* cv2, found none: pip install opencv-python-headless"),
        (ModuleNotFoundError("No", name="torch.x"), ".* torch, found none: pip install torch"),
        (ImportError("libGL.so: none\nmore", name="cv2"), r".* cv2, it can't be loaded \(libGL.so: none\)"),
        (ImportError("broken"), r"expected Python packages that can be loaded \(broken\)"),
        (NO_SPACE, "out/depth.npy: No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("12 requested and 3 written"), "12 requested and 3 written"),
        (PermissionError(errno.EACCES, "Permission denied", "/out"), "/out: Permission denied"),
        (RuntimeError("shape mismatch"), None),
        (ZeroDivisionError(), None),
        (ModuleNotFoundError("No", name="e2e_depth_ros.x"), None),
    ],
    ids=range(20),
)
def test_faults_of_the_machine_are_told_and_bugs_are_not(error: Exception, line: str | None) -> None:
    explained = explain(error)
    assert (explained is None) == (line is None)
    if explained is not None:
        assert re.fullmatch(line, explained)


# It prints what went wrong while it loaded numpy, and raises an ImportError of its own in its place.
HAS_OLD_LOADER = tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 6)


@pytest.mark.parametrize("package", ["cv2", "numpy", "yaml", "torch", "diffusers", "rich", "safetensors"])
def test_a_missing_package_is_one_line(package: str, image: Path, tmp_path: Path) -> None:
    command = ["predict", image, "--output", tmp_path / "out", "--engine", "torch"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("e2e-depth")]
    if package == "numpy" and HAS_OLD_LOADER and "numpy.core.multiarray failed to import" in line:
        return  # OpenCV 4.5 looked for it first; the traceback above is its own
    assert f"expected the Python package {package}, found none: pip install" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("megabytes", [120, 700, 1200])
def test_little_memory_is_one_line(megabytes: int, image: Path, tmp_path: Path) -> None:
    """Without the check the libraries abort here: each in its own way, some with a core dump."""
    done = run("predict", image, "--output", tmp_path / "out", limits={resource.RLIMIT_AS: megabytes * 10**6})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert f"MB, the limit is {megabytes} MB (ulimit -v)" in done.stderr


def test_enough_memory_is_not_refused() -> None:
    check_address_space(1)
    assert run("--version", limits={resource.RLIMIT_AS: 10**9}).returncode == 0


def test_a_full_disk_leaves_no_half_results(image: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: each write beyond it fails as on a full one."""
    done = run("predict", image, "--output", tmp_path / "out", limits={resource.RLIMIT_FSIZE: 4096})
    assert done.returncode == 2
    assert f"e2e-depth predict: cannot write to {tmp_path / 'out' / 'image'}: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out" / "image").iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_standard_output_that_is_full_is_told(
    options: list[str], tiny_checkpoint: Callable[..., Path]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("checkpoint", "inspect", tiny_checkpoint(), *options, stdout=full)
    assert (done.returncode, done.stderr) == (2, "e2e-depth checkpoint: No space left on device\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_ends_it_in_silence(
    options: list[str], tiny_checkpoint: Callable[..., Path]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("checkpoint", "inspect", tiny_checkpoint(), *options, stdout=writing)
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141


def test_a_reader_that_leaves_before_a_table_ends_it_too(
    tiny_checkpoint: Callable[..., Path], write_frame: Callable[..., None], tmp_path: Path
) -> None:
    """Rich catches the closed pipe by itself, and would end with 1: done, with a bad verdict."""
    write_frame(tmp_path / "frames" / "0", depth=np.ones((40, 56)))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("evaluate", tmp_path / "frames", "--model", tiny_checkpoint(), stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr


def test_closed_streams_are_no_fault(tiny_checkpoint: Callable[..., Path]) -> None:
    for stream in (1, 2):
        command = f"exec {stream}>&-; exec " + " ".join([*COMMAND, "checkpoint inspect --json"])
        done = subprocess.run(
            ["sh", "-c", f"{command} {tiny_checkpoint()}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("moment", ["while it starts", "while it works"])
def test_ctrl_c_is_one_line(moment: str, image: Path, tmp_path: Path) -> None:
    if moment == "while it starts" and HAS_OLD_LOADER:
        pytest.skip("OpenCV 4.5 takes a Ctrl-C while it loads numpy for a numpy that can't be loaded")
    for number in range(50):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"{number}.png").write_bytes(image.read_bytes())
    command = [*COMMAND, "predict", tmp_path / "images", "--output", tmp_path / "out"]
    code = "import runpy, sys; print(1, flush=True); runpy.run_module(sys.argv.pop(1), run_name='__main__')"
    command = [sys.executable, "-c", code, *map(str, command[2:])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        if moment == "while it works":
            deadline = time.monotonic() + 200
            while not list(tmp_path.glob("out/*/depth.npy")) and time.monotonic() < deadline:
                time.sleep(0.05)
        else:  # what it loads takes seconds; before the package runs, Python itself would answer
            while not _maps(process.pid, "multiarray"):
                time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=200)[1]
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert error.splitlines()[-1] in ("e2e-depth predict: interrupted", "e2e-depth: interrupted")
    for folder in (tmp_path / "out").glob("*"):
        for path in folder.glob("*.npy"):
            np.load(path)  # whole


def _maps(pid: int, library: str) -> bool:
    """Tell whether a process has loaded a library."""
    with contextlib.suppress(OSError):
        return library in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return True  # it has ended: the test tells
