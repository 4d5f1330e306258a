"""What a user names is opened only where it is a regular file of a sensible size."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.user_file import (
    check_file,
    check_writable,
    json_from_text,
    open_file,
    read_file,
    read_text,
)


@pytest.fixture
def named_pipe(tmp_path: Path) -> Path:
    """Whoever opens it waits for ever: the time limit of the suite would tell."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_reads_files_and_links_to_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("Grüße", encoding="utf-8")
    (tmp_path / "link").symlink_to("file")
    assert check_file(tmp_path / "link") == 7
    assert read_text(tmp_path / "link", 7) == "Grüße"
    with open_file(tmp_path / "file") as stream:
        assert stream.read(2) == b"Gr"


def test_a_named_pipe_is_not_opened(named_pipe: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"expected a file, but .*pipe is a named pipe"):
        read_file(named_pipe, 10)
    with pytest.raises(InvalidInputError, match="named pipe"):
        open_file(named_pipe)


def test_other_things_than_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is a folder"):
        read_file(tmp_path, 10)
    with pytest.raises(InvalidInputError, match="/dev/zero is a device"):
        read_file(Path("/dev/zero"), 10)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(InvalidInputError, match="is a socket"):
            read_file(tmp_path / "socket", 10)


def test_paths_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "file").touch()
    for name, message in (
        ("nothing", "nothing does not exist"),
        ("dangling", "dangling does not exist"),
        ("circle", "cannot read .*circle: "),
        ("file/below", "cannot read .*below: Not a directory"),
        ("null\0", "cannot read .*null"),
        ("long" * 100, "cannot read .*: File name too long"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            check_file(tmp_path / name)


def test_a_larger_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as stream:
        stream.truncate(1 << 40)  # a hole: it takes no place on the disk
    with pytest.raises(InvalidInputError, match=f"up to 10 bytes, but .*file has {1 << 40}"):
        read_file(tmp_path / "file", 10)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbf1,2")
    assert read_text(tmp_path / "f", 100) == "1,2"


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match=r"cannot read .*file as text"):
        read_text(tmp_path / "file", 10)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[1", "nul"], ids=range(4))
def test_broken_and_deep_json_are_one_kind_of_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"deep|Expecting"):
        json_from_text(text)
    assert json_from_text("[[1]]") == [[1]]


def test_a_place_that_takes_no_file_is_told(tmp_path: Path) -> None:
    check_writable(tmp_path / "new.json")
    for path in (tmp_path, tmp_path / "nowhere" / "new.json"):
        with pytest.raises(InvalidInputError, match="expected a file in a folder that exists"):
            check_writable(path)
