"""What went wrong, in one line, where it is the user's input or the machine and no bug."""

from __future__ import annotations

import re
from typing import Final

from e2e_depth_ros.core.errors import E2EDepthError, first_line, one_line

_PIP_NAMES: Final = {"cv2": "opencv-python-headless", "yaml": "pyyaml", "rerun": "rerun-sdk"}
"""What pip calls packages that Python calls otherwise."""

_OUT_OF_MEMORY: Final = re.compile(
    r"out of memory|insufficient memory|can't allocate memory|cannot allocate memory|bad_alloc|"
    r"not enough memory|can't start new thread|resource temporarily unavailable|failed to map segment",
    re.IGNORECASE,
)
"""What libraries say where memory is missing: torch, OpenCV, C++, Python's threads, the loader."""


def check_address_space(least_mb: int) -> None:
    """Refuse to begin where the process may not map as much as its libraries do.

    Args:
        least_mb: 10^6 bytes.

    Raises:
        E2EDepthError: The limit (ulimit -v) is lower.
    """
    try:
        import resource  # noqa: PLC0415 - Unix has it
    except ImportError:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < least_mb * 10**6:
        raise E2EDepthError(
            f"expected an address space of at least {least_mb} MB, "
            f"the limit is {limit // 10**6} MB (ulimit -v)"
        )


def explain(error: Exception) -> str | None:
    """Tell what went wrong.

    Returns:
        One line; None for what no user and no machine can be blamed for: a bug.
    """
    if isinstance(error, E2EDepthError):
        return one_line(str(error), 2000)
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return f"expected more memory than there is ({first_line(error)})"
    if isinstance(error, ImportError):
        return _explain_import(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return one_line(where + (error.strerror or str(error) or type(error).__name__))
    return None


def _explain_import(error: ImportError) -> str | None:
    package = (error.name or "").partition(".")[0]
    if package == "e2e_depth_ros":
        return None
    if not package:
        return f"expected Python packages that can be loaded ({first_line(error)})"
    pip_name = _PIP_NAMES.get(package, package)
    if isinstance(error, ModuleNotFoundError):
        return f"expected the Python package {package}, found none: pip install {pip_name}"
    return f"expected the Python package {package}, it can't be loaded ({first_line(error)})"
