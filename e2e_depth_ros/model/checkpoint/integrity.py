"""Whether a checkpoint's files are the ones that were published, or seen before."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.core.user_file import open_file

_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def verify_against_hub(files: Iterable[Path]) -> int:
    """Compare files of the hub's cache with the hashes that the hub gave for them.

    There each file is a link to one that is named by its hash: large ones by the SHA-256 of the content,
    small ones by git's SHA-1 of it.

    Args:
        files: Of a checkpoint; those that are not in such a cache are passed over.

    Returns:
        How many were compared.

    Raises:
        CheckpointError: A file is not what the hub has.
    """
    compared = 0
    for path in files:
        name = path.resolve().name
        if _SHA256.fullmatch(name):
            found = sha256(path)
        elif _SHA1.fullmatch(name):
            found = _git_hash(path)
        else:
            continue
        compared += 1
        if found != name:
            raise CheckpointError(
                f"{path}: expected the hub's content with hash {name}, got {found}; download it again"
            )
    return compared


def verify_against_record(hashes: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Compare the SHA-256 of a checkpoint's files with those of an earlier time.

    Args:
        hashes: By path in the folder, see `CheckpointFacts.sha256`.
        expected: The same, as it was.

    Raises:
        CheckpointError: Names the files that are missing, new, or changed.
    """
    parts = {
        "missing": sorted(expected.keys() - hashes.keys()),
        "new": sorted(hashes.keys() - expected.keys()),
        "changed": sorted(name for name in hashes.keys() & expected.keys() if hashes[name] != expected[name]),
    }
    different = [f"{', '.join(names)} {what}" for what, names in parts.items() if names]
    if different:
        raise CheckpointError(f"expected the files of the record, but {'; '.join(different)}")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hash_of(path, hashlib.sha256())


def hash_of(path: Path, digest: Any) -> str:
    """Feed a file to a digest of hashlib, and return what comes out, in hexadecimal.

    Raises:
        CheckpointError: It is no file.
    """
    try:
        with open_file(path) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except InvalidInputError as error:
        raise CheckpointError(str(error)) from error
    return str(digest.hexdigest())


def _git_hash(path: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)  # noqa: S324 - git's choice
    return hash_of(path, digest)
