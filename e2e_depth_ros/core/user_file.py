"""Files that a user names: opened only where they are regular files, and read only as far as makes sense.

Opening a named pipe waits for a writer who may never come, and opening some devices does something. A file of
another kind or size than expected is refused before a byte of it is read.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, BinaryIO, Final

from e2e_depth_ros.core.errors import InvalidInputError

MAX_JSON_BYTES: Final = 4 << 20
"""The longest JSON file that is read, bytes: the index of a large sharded checkpoint has a tenth of it."""

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_file(path: Path) -> int:
    """Make sure that a path leads to a regular file, without opening it.

    Returns:
        Its size, bytes.

    Raises:
        InvalidInputError: There is none, or it is a folder, a named pipe, a socket or a device.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise InvalidInputError(f"expected a file, but {path} does not exist") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise InvalidInputError(f"cannot read {path}: {_reason(error)}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "something else")
        raise InvalidInputError(f"expected a file, but {path} is {kind}")
    return found.st_size


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to read its bytes.

    Raises:
        InvalidInputError: There is no such file, or it can't be opened; see `check_file`.
    """
    check_file(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {_reason(error)}") from error


def read_file(path: Path, limit_bytes: int) -> bytes:
    """Read a regular file of limited size.

    Args:
        path: The file.
        limit_bytes: A larger one is refused unread.

    Raises:
        InvalidInputError: It is no such file, too large, or can't be read; see `check_file`.
    """
    size = check_file(path)
    if size > limit_bytes:
        raise InvalidInputError(f"expected a file of up to {limit_bytes} bytes, but {path} has {size}")
    with open_file(path) as stream:
        try:
            return stream.read(size)
        except OSError as error:
            raise InvalidInputError(f"cannot read {path}: {_reason(error)}") from error


def read_text(path: Path, limit_bytes: int) -> str:
    """Read a regular file of limited size as UTF-8; see `read_file`.

    A byte order mark, which spreadsheets write first, is no part of the text.

    Raises:
        InvalidInputError: See `read_file`; or it is no UTF-8.
    """
    try:
        return read_file(path, limit_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"cannot read {path} as text (UTF-8): {error}") from error


def check_writable(path: Path) -> None:
    """Make sure that a file can be placed there, before work is spent on what it is to hold.

    Raises:
        InvalidInputError: It is a folder, or the folder around it does not exist.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInputError(f"cannot write {path}: expected a file in a folder that exists")


def json_from_text(text: str) -> Any:
    """Parse JSON; what is nested too deeply is broken, not a crash.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
