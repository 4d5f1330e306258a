import os
import signal
import sys

import pytest

from e2e_depth_ros.cli import processes
from e2e_depth_ros.core.errors import E2EDepthError


def run_module(tmp_path, monkeypatch, code):
    (tmp_path / "child_module.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    return processes.running_module("child_module", [], tmp_path / "child.log")


def test_process_is_interrupted_at_the_end(tmp_path, monkeypatch):
    code = "import time\nprint('up', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('bye')"
    with run_module(tmp_path, monkeypatch, code) as child:
        while "up" not in child.log.read_text(encoding="utf-8"):
            child.check_alive()
    assert child.popen.returncode == 0
    assert child.last_line() == "bye"


def test_process_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_GRACE_S", 0.3)
    code = "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)\n"
    with run_module(tmp_path, monkeypatch, code) as child:
        while "up" not in child.log.read_text(encoding="utf-8"):
            child.check_alive()
    assert child.popen.returncode == -signal.SIGKILL


def test_early_end_is_told_with_the_last_line(tmp_path, monkeypatch):
    with run_module(tmp_path, monkeypatch, "print('no model there')\nraise SystemExit(3)") as child:
        child.popen.wait(20)
        with pytest.raises(E2EDepthError, match="no model there"):
            child.check_alive()
