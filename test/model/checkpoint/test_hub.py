"""The hub, as far as it can be tested without it: where it is silent, slow, or refuses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint import hub

_BUSY_S = 4  # that a busy machine may take beside waiting; the library itself waits for 10 s

_PROGRAM = """
import time
import e2e_depth_ros.model.checkpoint.locate as locate
from huggingface_hub import HfApi, snapshot_download
begin = time.monotonic()
try:
    locate.find_checkpoint("org/name")
except locate.CheckpointError as error:
    print(f"{time.monotonic() - begin:.2f}", error)
"""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _asked(endpoint: str, cache: Path) -> tuple[float, str, str]:
    """Ask for a checkpoint in a process of its own: how long it took, what it said, what stderr got."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0"},
    )
    seconds, _, told = done.stdout.partition(" ")
    return float(seconds), told, done.stderr


def test_a_hub_that_does_not_answer_is_told_in_seconds(tmp_path: Path, silent_port: int) -> None:
    seconds, told, on_stderr = _asked(f"http://127.0.0.1:{silent_port}", tmp_path)
    assert seconds < hub.PATIENCE_S + _BUSY_S
    assert told.startswith("org/name: it isn't in the cache, and it can't be downloaded (")
    assert told.count("\n") == 1
    assert on_stderr == ""


def test_a_hub_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    seconds, told, on_stderr = _asked(f"http://127.0.0.1:{port}", tmp_path)
    assert seconds < hub.PATIENCE_S + _BUSY_S
    assert "can't be downloaded" in told
    assert told.count("\n") == 1
    assert on_stderr == ""


class _Refusal(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_repository_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Refusal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        _, told, on_stderr = _asked(f"http://127.0.0.1:{server.server_port}", tmp_path)
    finally:
        server.shutdown()
    assert "404" in told
    assert told.count("\n") == 1
    assert on_stderr == ""


def test_a_name_that_nobody_resolves_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PATIENCE_S", 0.2)
    monkeypatch.setattr(hub, "_sizes", lambda *_: time.sleep(5) or {})
    begin = time.monotonic()
    with pytest.raises(hub.HubError, match=r"^no answer from the hub within 0\.2 s$"):
        hub.download("org/name", None, list)
    assert time.monotonic() - begin < 4


def test_a_repository_without_a_checkpoint_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_sizes", lambda *_: {"README.md": 10, "weights.pth": 10**9})
    with pytest.raises(hub.HubError, match="no file of a checkpoint"):
        hub.download("org/name", None, lambda _: [])


def test_a_name_that_no_hub_has() -> None:
    with pytest.raises(CheckpointError, match="expected a hub id like org/name, got"):
        hub.cached("org/--", None)
