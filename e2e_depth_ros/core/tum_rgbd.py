"""The lists of a sequence in the layout of TUM RGB-D (Sturm et al., IROS 2012)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.user_file import read_text

DEPTH_UNITS_PER_METRE: Final = 5000
"""Of the 16-bit depth images."""

MAX_STAMP_DIFFERENCE_S: Final = 0.02
"""Between an image and its depth, as the benchmark's own tools associate them."""

_MAX_LIST_BYTES: Final = 1 << 26


def read_list(path: Path) -> list[tuple[float, str]]:
    """Read `rgb.txt` or `depth.txt`: stamps, in seconds, and files below the list's folder, in its order.

    Raises:
        InvalidInputError: A line is neither a comment nor a stamp and a file, or the file lies elsewhere.
    """
    found = []
    for line in read_text(path, _MAX_LIST_BYTES).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        stamp, _, name = line.strip().partition(" ")
        try:
            found.append((float(stamp), name.strip()))
        except ValueError as error:
            raise InvalidInputError(
                f"expected lines of stamp and file in {path}, got {line!r:.80}"
            ) from error
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise InvalidInputError(f"expected a path below {path.parent} in {path}, got {name!r:.80}")
    return found
