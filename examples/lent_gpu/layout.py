"""What packing and training must agree on: where things lie on the machine that trains, and how they tell."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Where things lie on the machine that trains.
RECIPE = "recipe.yaml"
PACKAGE = "package"
START = "start"
AUTOENCODER = "autoencoder"
WHEELS = "wheels"
SITE = "site"
TRAIN_SHARDS = "shards/train-"
VALIDATION_SHARDS = "shards/validation-"


class LentError(Exception):
    """Something is missing, or can't be done; the message is one line."""


def files_below(folder: Path, place: str) -> dict[str, Path]:
    """Return all files of a folder, by the path that each gets in another place."""
    return {
        f"{place}/{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def say(text: str) -> None:
    """Tell people one line, at once."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn the package's own errors into `LentError`."""
    from e2e_depth_ros.core.errors import E2EDepthError, first_line  # noqa: PLC0415 - not there before train

    try:
        yield
    except E2EDepthError as error:
        raise LentError(first_line(error)) from error
