"""Only one training at a time writes to a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from e2e_depth_ros.core.errors import InvalidInputError

try:
    import fcntl
except ImportError:  # Unix has it
    fcntl = None  # type: ignore[assignment]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Within, any other training that asks for the folder is refused, until the end of this process at most.

    Of several processes of one training the first asks for all. It tells nothing where the system or its
    files know no such locks.

    Raises:
        InvalidInputError: Another training is there.
    """
    if fcntl is None or int(os.environ.get("RANK", "0")):  # as launchers number processes
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInputError(
                f"expected a folder of this training alone, got {folder}, where another one is running"
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        with suppress(OSError):  # at once, though workers that were forked may still end
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
