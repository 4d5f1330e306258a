"""The files of a data set, in a folder or still in the archive that it is published as."""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.user_file import open_file

_MAX_UNPACKED: Final = 1 << 29  # bytes
_UNREADABLE: Final = (
    OSError,
    EOFError,
    InvalidInputError,
    RuntimeError,  # encrypted
    NotImplementedError,  # packed in an unknown way
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class DataTree:
    """A folder, a tar or a zip file, all read alike.

    Archives are read in place; a compressed tar would have to be read anew for each file and is refused.

    Args:
        path: The folder or archive.

    Attributes:
        path: As given.
        names: Path of each file from the root, with "/" between its parts.

    Raises:
        InvalidInputError: It is neither, or can't be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._close: Callable[[], None] = lambda: None
        if path.is_dir():
            self._open = self._open_folder(path)
        elif path.is_file():
            self._open = self._open_archive(path)
        else:
            raise InvalidInputError(f"expected a folder or an archive of a data set, but {path} is neither")
        self.names = frozenset(self._open)

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises:
            InvalidInputError: There is no such file, or it can't be read.
        """
        if name not in self._open:
            raise InvalidInputError(f"expected {name} in {self.path}, found none")
        try:
            with self._open[name]() as file:
                return file.read()
        except _UNREADABLE as error:
            raise InvalidInputError(f"cannot read {name} in {self.path}: {error}") from error

    def close(self) -> None:
        """Close the archive."""
        self._close()

    def _open_folder(self, root: Path) -> dict[str, Callable[[], IO[bytes]]]:
        files = (
            Path(folder) / name for folder, _, names in os.walk(root, followlinks=True) for name in names
        )
        return {file.relative_to(root).as_posix(): _opener(file) for file in files}

    def _open_archive(self, path: Path) -> dict[str, Callable[[], IO[bytes]]]:
        try:
            if zipfile.is_zipfile(path):
                packed = zipfile.ZipFile(path)
                self._close = packed.close
                return {
                    _plain(info.filename): lambda info=info: _unpack(packed, info)  # type: ignore[misc]
                    for info in packed.infolist()
                    if not info.is_dir()
                }
            tar = tarfile.open(path, "r:")  # noqa: SIM115 - closed with this object
        except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise InvalidInputError(
                f"expected a folder, a zip file or an uncompressed tar file, but {path} is none: {error}"
            ) from error
        self._close = tar.close
        return {
            _plain(member.name): lambda member=member: tar.extractfile(member)  # type: ignore[misc]
            for member in tar
            if member.isfile()
        }


def _opener(file: Path) -> Callable[[], IO[bytes]]:
    return lambda: open_file(file)


def _unpack(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Open a file of an archive; a few bytes there can stand for gigabytes."""
    if info.file_size > max(info.compress_size, _MAX_UNPACKED):
        raise InvalidInputError(f"expected up to {_MAX_UNPACKED} bytes unpacked, got {info.file_size}")
    return packed.open(info)


def _plain(name: str) -> str:
    return name.removeprefix("./")
