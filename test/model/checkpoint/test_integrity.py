from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.integrity import verify_against_hub, verify_against_record


def _cached(folder: Path, name: str, content: bytes, blob: str) -> Path:
    """A file as the hub's cache holds it: a link to a blob named by its hash."""
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "abc"
    blobs.mkdir(exist_ok=True, parents=True)
    snapshot.mkdir(exist_ok=True, parents=True)
    (blobs / blob).write_bytes(content)
    (snapshot / name).symlink_to(blobs / blob)
    return snapshot / name


def test_the_hub_s_hashes_are_those_of_the_content(tmp_path: Path) -> None:
    large = _cached(tmp_path, "w.safetensors", b"weights", hashlib.sha256(b"weights").hexdigest())
    # `printf hello | git hash-object --stdin`
    small = _cached(tmp_path, "config.json", b"hello", "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0")
    plain = tmp_path / "README.md"
    plain.write_text("not from the hub")
    assert verify_against_hub([large, small, plain]) == 2
    assert verify_against_hub([plain]) == 0


@pytest.mark.parametrize(
    "blob", [hashlib.sha256(b"weights").hexdigest(), "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"]
)
def test_a_changed_file_is_named(tmp_path: Path, blob: str) -> None:
    path = _cached(tmp_path, "w.safetensors", b"something else", blob)
    with pytest.raises(CheckpointError, match=rf"w\.safetensors: expected .* {blob}, got [0-9a-f]+"):
        verify_against_hub([path])


def test_a_record_names_every_difference() -> None:
    before = {"a": "1", "b": "2", "c": "3"}
    verify_against_record(before, before)
    with pytest.raises(CheckpointError, match="c missing; d new; b changed"):
        verify_against_record({"a": "1", "b": "9", "d": "4"}, before)
