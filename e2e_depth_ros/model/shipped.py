"""The checkpoint that ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

EMBEDDED: Final = "embedded"
"""Its name."""

_FOLDER: Final = Path(__file__).parent / EMBEDDED


def folder_named(name: str | Path) -> Path:
    """Return the folder that a user means by a name: the shipped checkpoint's, or one of their own.

    Raises:
        RuntimeError: It begins with ~ and a user that isn't there.
    """
    return _FOLDER if str(name) == EMBEDDED else Path(name).expanduser()
