"""Files in pieces: plain tar files of limited size that travel in any order, every file with its hash.

Each piece begins with the manifest of all of them, so that any one tells what belongs to it and what is still
missing. Files larger than a piece are cut into parts. Standard library alone: what unpacks a machine's first
files can't ask for others.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

FORMAT = "e2e_depth_ros pieces 1"
MANIFEST = "manifest.json"
MB = 1_000_000

_BLOCK = 512
_CHUNK = 1 << 20
_MAX_MANIFEST_BYTES = 16 << 20
_PART = re.compile(r"(?P<file>.+)@(?P<number>\d+)-of-(?P<count>\d+)")


class PieceError(Exception):
    """A piece is damaged, of another set, or can't be made."""


@dataclass(frozen=True)
class Manifest:
    """What a set of pieces holds.

    Attributes:
        pieces: SHA-256 of each member, a file or a part of one, by piece and name.
    """

    pieces: Mapping[str, Mapping[str, str]]

    @property
    def members(self) -> list[str]:
        """The names of all members."""
        return [member for piece in self.pieces.values() for member in piece]

    def files(self) -> dict[str, list[str]]:
        """Return the members that make each file: itself, or its parts in their order."""
        files: dict[str, list[str]] = {}
        for member in self.members:
            files.setdefault(file_of(member), []).append(member)
        return files

    def missing(self, folder: Path) -> dict[str, str]:
        """Return the files that a folder lacks, each with the first piece that would help."""
        piece_of = {member: piece for piece, members in self.pieces.items() for member in members}
        lacking = {}
        for file, members in self.files().items():
            if not (folder / file).exists():
                absent = [member for member in members if not (folder / member).exists()]
                lacking[file] = piece_of[(absent or members)[0]]
        return lacking

    def as_json(self) -> str:
        """Return the text of the manifest, which holds its own hash."""
        content = {"format": FORMAT, "sha256": self._sha256(), "pieces": self.pieces}
        return json.dumps(content, indent=0) + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read what `as_json` returned.

        Raises:
            ValueError: It isn't whole, or names files outside of its folder.
        """
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"expected format {FORMAT!r}")
        manifest = cls(content["pieces"])
        if content["sha256"] != manifest._sha256():
            raise ValueError("the manifest is damaged")
        for member in manifest.members:
            path = PurePosixPath(member)
            if path.is_absolute() or ".." in path.parts or path == PurePosixPath(MANIFEST):
                raise ValueError(f"expected a path inside the folder, got {member!r}")
        return manifest

    def _sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.pieces, sort_keys=True).encode()).hexdigest()


def file_of(member: str) -> str:
    """Return the file that a member is, or is a part of."""
    part = _PART.fullmatch(member)
    return part["file"] if part else member


class _Member(NamedTuple):
    name: str
    path: Path
    begin: int
    size: int


def write_pieces(files: Mapping[str, Path], folder: Path, stem: str, limit_bytes: int) -> list[Path]:
    """Write files into pieces, in their order.

    Args:
        files: What to read, by the path that it gets where the pieces are unpacked.
        folder: Existing folder; the pieces are `STEM-00-of-NN.tar` there. Each appears as a whole.
        stem: How their names begin.
        limit_bytes: The largest piece.

    Returns:
        The pieces.

    Raises:
        PieceError: The limit leaves no room for the manifest.
    """
    sizes = {name: path.stat().st_size for name, path in files.items()}
    # At most: a line for each file, part and piece, with a hash of 64 letters.
    lines = len(files) + 4 * sum(sizes.values()) // limit_bytes + 4
    manifest_bytes = lines * (100 + max(map(len, files), default=0))
    room = limit_bytes - _tar_bytes(MANIFEST, manifest_bytes) - tarfile.RECORDSIZE
    if 2 * room < limit_bytes:
        raise PieceError(
            f"expected pieces of more than {3 * manifest_bytes / MB:.2g} MB, as each lists all files, "
            f"got {limit_bytes / MB:g}"
        )
    groups: list[list[_Member]] = [[]]
    used = 0
    for name, path in files.items():
        for member in _members(name, path, sizes[name], room):
            cost = _tar_bytes(member.name, member.size)
            if used + cost > room:
                groups.append([])
                used = 0
            groups[-1].append(member)
            used += cost
    manifest = Manifest(
        {
            f"{stem}-{index:02d}-of-{len(groups):02d}.tar": {member.name: _sha256(member) for member in group}
            for index, group in enumerate(groups)
        }
    )
    text = manifest.as_json().encode()
    paths = []
    for name, group in zip(manifest.pieces, groups, strict=True):
        scratch = folder / f".{name}"
        with tarfile.open(scratch, "w", format=tarfile.GNU_FORMAT) as tar:
            tar.addfile(_header(MANIFEST, len(text)), io.BytesIO(text))
            for member in group:
                with member.path.open("rb") as stream:
                    stream.seek(member.begin)
                    tar.addfile(_header(member.name, member.size), stream)
        paths.append(scratch.replace(folder / name))
    return paths


def _members(name: str, path: Path, size: int, room: int) -> Iterable[_Member]:
    """Yield the file, or parts of it that fit into the room."""
    if _tar_bytes(name, size) <= room:
        yield _Member(name, path, 0, size)
        return
    most = room - _tar_bytes(f"{name}@9999-of-9999", _BLOCK)
    count = -(-size // most)
    for index in range(count):
        begin = index * most
        yield _Member(f"{name}@{index + 1}-of-{count}", path, begin, min(most, size - begin))


def _tar_bytes(name: str, size: int) -> int:
    """Return at least what a member takes in a tar file; long names take three blocks more."""
    return _BLOCK * (1 + -(-size // _BLOCK) + (3 if len(name.encode()) > 100 else 0))


def _header(name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size = size
    return header


def _sha256(member: _Member) -> str:
    digest = hashlib.sha256()
    with member.path.open("rb") as stream:
        stream.seek(member.begin)
        _copy(stream, member.size, digest.update)
    return digest.hexdigest()


def _copy(stream: IO[bytes], size: int, *sinks: object) -> None:
    while size and (chunk := stream.read(min(size, _CHUNK))):
        size -= len(chunk)
        for sink in sinks:
            sink(chunk)  # type: ignore[operator]


def _read_manifest(piece: Path) -> Manifest:
    try:
        with tarfile.open(piece, "r:") as tar:
            return _first_member(tar)
    except (OSError, tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise PieceError(f"{piece.name} is no piece, or damaged: {error}") from error


def _first_member(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or first.size > _MAX_MANIFEST_BYTES:
        raise ValueError("it does not begin with a manifest")
    stream = tar.extractfile(first)
    return Manifest.from_json(stream.read() if stream else b"")


def take_piece(piece: Path, folder: Path) -> None:
    """Put the files of a piece where they belong; each appears as a whole, once its hash is right.

    What the folder has already stays as it is. Of a damaged piece all whole members are taken.

    Args:
        piece: The tar file; its name does not matter.
        folder: Its first piece makes it a folder of that set.

    Raises:
        PieceError: The piece is damaged, or of another set than the folder.
    """
    manifest = _read_manifest(piece)
    kept = folder / MANIFEST
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        scratch = kept.with_name(f".{MANIFEST}")
        scratch.write_text(manifest.as_json(), encoding="utf-8")
        scratch.replace(kept)
    elif Manifest.from_json(kept.read_bytes()) != manifest:
        raise PieceError(f"{piece.name} is of another set than {folder}: expected a folder of its own")
    hashes = {member: sha256 for members in manifest.pieces.values() for member, sha256 in members.items()}
    came = set()
    wrong = ""
    try:
        with tarfile.open(piece, "r:") as tar:
            for header in tar:
                if header.name not in hashes or not header.isfile():
                    continue
                target = folder / header.name
                known = (folder / file_of(header.name)).exists() or target.exists()
                if known or _extract(tar, header, target, hashes[header.name]):
                    came.add(header.name)
                else:
                    wrong = wrong or f"{header.name} has another hash than its manifest says"
    except (OSError, tarfile.TarError, EOFError) as error:
        wrong = wrong or str(error)
    of_piece = max(manifest.pieces.values(), key=lambda members: len(came & members.keys()))
    if not wrong and (absent := of_piece.keys() - came):
        wrong = f"it ends before {min(absent)}"
    _join_parts(folder, manifest)
    if wrong:
        raise PieceError(f"{piece.name} is damaged or has not arrived in whole: {wrong}")


def _extract(tar: tarfile.TarFile, header: tarfile.TarInfo, target: Path, sha256: str) -> bool:
    stream = tar.extractfile(header)
    if stream is None:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.arriving")
    digest = hashlib.sha256()
    with scratch.open("wb") as file:
        _copy(stream, header.size, digest.update, file.write)
    if digest.hexdigest() != sha256:
        scratch.unlink()
        return False
    scratch.replace(target)
    return True


def _join_parts(folder: Path, manifest: Manifest) -> None:
    """Join the parts of each file of which all are there."""
    for file, members in manifest.files().items():
        parts = [folder / member for member in members]
        if members == [file] or not all(part.exists() for part in parts):
            continue
        scratch = (folder / file).with_name(f".{Path(file).name}.joining")
        with scratch.open("wb") as joined:
            for part in parts:
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, joined, _CHUNK)
        scratch.replace(folder / file)
        for part in parts:
            part.unlink()


class Arrivals:
    """The pieces of a folder, taken as they come.

    Args:
        pieces: Where they arrive; it may not be there yet.
        folder: Where their files belong.
        pattern: Glob of the pieces, below their folder.
    """

    def __init__(self, pieces: Path, folder: Path, pattern: str = "*.tar") -> None:
        self._pieces = pieces
        self._folder = folder
        self._pattern = pattern
        self._seen: dict[Path, tuple[int, int]] = {}

    def take(self) -> list[str]:
        """Take what came or changed since the last time.

        Returns:
            A line for each piece that is damaged, or has come in part only.
        """
        troubles = []
        for piece in sorted(self._pieces.glob(self._pattern)):
            with suppress(FileNotFoundError):  # gone meanwhile
                state = piece.stat()
                version = (state.st_size, state.st_mtime_ns)
                if self._seen.get(piece) == version:
                    continue
                self._seen[piece] = version
                try:
                    take_piece(piece, self._folder)
                except PieceError as error:
                    troubles.append(str(error))
        return troubles

    def missing(self) -> dict[str, str]:
        """Return the files that have not come, each with a piece that has them.

        Raises:
            PieceError: No piece has come yet.
        """
        known = self._folder / MANIFEST
        if not known.exists():
            raise PieceError(
                f"expected pieces ({self._pattern}) in {self._pieces}, found none that can be read"
            )
        return Manifest.from_json(known.read_bytes()).missing(self._folder)
