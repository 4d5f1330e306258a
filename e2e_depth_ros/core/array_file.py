"""NumPy's files, `.npy` and `.npz`: what their headers claim is checked before memory is taken for it."""

from __future__ import annotations

import contextlib
import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.user_file import check_file, open_file

MAX_BYTES: Final = 1 << 29
"""The largest array that is read from a file which is itself smaller: 67 million values of 8 bytes."""

_HEADER_READERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_PACKINGS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
_UNREADABLE: Final = (
    OSError,
    ValueError,  # of a broken header
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    RecursionError,
    MemoryError,  # a parser's, of deep nesting: no array is made yet
    EOFError,
    OverflowError,
    NotImplementedError,
    RuntimeError,  # an encrypted archive
    zipfile.BadZipFile,
    zlib.error,
)


def read_npy(path: Path) -> NDArray[Any]:
    """Read a `.npy` file.

    Raises:
        InvalidInputError: It is no such file, it is broken, larger or smaller than it claims, or holds Python
            objects.
    """
    with open_file(path) as stream, _errors_named(str(path)):
        size = check_file(path)
        return _read(stream, size, max(size, MAX_BYTES))


def npy_from_bytes(data: bytes, name: str) -> NDArray[Any]:
    """Read the content of a `.npy` file; see `read_npy`.

    Args:
        data: All of it.
        name: What to call it in errors.
    """
    with _errors_named(name):
        return _read(io.BytesIO(data), len(data), max(len(data), MAX_BYTES))


def read_npz(path: Path, names: Collection[str], limit_bytes: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Read arrays of a `.npz` file; what else is in it stays unread.

    Args:
        path: The file.
        names: Of the arrays that must be there.
        limit_bytes: Of all of them together, unpacked; a larger file may hold what it is large enough for.

    Raises:
        InvalidInputError: It is no such file, lacks an array, or one is broken, larger or smaller than it
            claims, too large, or holds Python objects.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with open_file(path) as stream, _errors_named(str(path)), zipfile.ZipFile(stream) as archive:
        limit_bytes = max(limit_bytes, check_file(path))
        members = _members(archive, path)
        for name in names:
            if name not in members:
                raise InvalidInputError(f"expected an array {name!r} in {path}, got {_some(members)}")
            with _errors_named(f"{name!r} in {path}"), archive.open(members[name]) as packed:
                arrays[name] = _read(packed, members[name].file_size, limit_bytes)
            limit_bytes -= arrays[name].nbytes
    return arrays


@contextlib.contextmanager
def _errors_named(what: str) -> Iterator[None]:
    """Let whatever goes wrong be told as one error that names the file."""
    try:
        yield
    except InvalidInputError:
        raise
    except _UNREADABLE as error:
        raise InvalidInputError(f"cannot read {what}: {error}") from error


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise InvalidInputError(f"expected one array {name!r} in {path}, got several")
        if member.compress_type not in _PACKINGS:
            raise InvalidInputError(
                f"expected {name!r} in {path} stored or deflated, got method {member.compress_type}"
            )
        members[name] = member
    return members


def _read(stream: IO[bytes], size: int, limit_bytes: int) -> NDArray[Any]:
    """Read one array.

    Args:
        stream: Its header, then its values.
        size: Of both, bytes.
        limit_bytes: Of the values.

    Raises:
        ValueError: One of `_UNREADABLE`: it is no array, or not as its header says.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADER_READERS:
        raise ValueError(f"expected version 1.0 or 2.0 of NumPy's format, got {version}")
    shape, is_fortran, dtype = _HEADER_READERS[version](stream)
    if dtype.hasobject or dtype.itemsize == 0:
        raise ValueError(f"expected plain values, got {dtype}")
    expected, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=0) < 0 or expected != held:
        raise ValueError(f"expected {expected} bytes for {dtype} of shape {shape}, got {held}")
    if expected > limit_bytes:
        raise ValueError(f"expected up to {limit_bytes} bytes, got {expected}: {dtype} of shape {shape}")
    content = bytearray(expected)
    done = _fill(stream, memoryview(content))
    if done < expected:
        raise ValueError(f"expected {expected} bytes for {dtype} of shape {shape}, got {done}")
    array: NDArray[Any] = np.ndarray(shape, dtype, content, order="F" if is_fortran else "C")
    return array


def _fill(stream: IO[bytes], content: memoryview) -> int:
    """Read until the memory is full or the stream ends; return the bytes read."""
    done = 0
    while done < len(content) and (part := stream.read(min(len(content) - done, 1 << 20))):
        content[done : done + len(part)] = part
        done += len(part)
    return done


def _some(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:5])
    return f"{shown}, ..." if len(names) > 5 else shown or "none"
