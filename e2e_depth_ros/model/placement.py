"""Where a network runs, and in which number format: from the words that a user writes."""

from __future__ import annotations

import re

import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.given_numbers import is_whole
from e2e_depth_ros.model.limits import has_lone_column
from e2e_depth_ros.model.threads import MAX_THREADS

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""What a dtype may be called, besides "auto"."""


def device_named(name: str) -> torch.device:
    """Find the device.

    Args:
        name: "auto" (a GPU where there is one), "cuda", "cuda:1", "cpu".

    Raises:
        InvalidInputError: It is none of those, or not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InvalidInputError(f"expected device auto, cuda, cuda:N or cpu, got {name!r}")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInputError(f"expected a device that is there, got {name!r}; torch sees {_gpus()}")
    return device


def dtype_named(name: str, device: torch.device) -> torch.dtype:
    """Find the number format.

    Args:
        name: One of `DTYPES`, or "auto" (float16 on a GPU, float32 on a CPU).
        device: Where it is for.

    Raises:
        InvalidInputError: It is none of those.
    """
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise InvalidInputError(f"expected dtype auto, {', '.join(DTYPES)}, got {name!r}")
    return DTYPES[name]


def check_width(size: tuple[int, int], halvings: int, device: torch.device, dtype: torch.dtype) -> None:
    """Refuse images that torch would compute wrongly; see `has_lone_column`.

    Args:
        size: (H, W) that the network sees, pixels.
        halvings: See `halvings_of`.
        device: Where it runs.
        dtype: In which it computes.

    Raises:
        InvalidInputError: It is bfloat16 on a CPU, and the images are too narrow.
    """
    height, width = size
    if (device.type, dtype) == ("cpu", torch.bfloat16) and has_lone_column(size, halvings):
        raise InvalidInputError(
            f"expected wider images for a network in bfloat16 on a CPU, got {width}x{height} for it to "
            "see: take float32"
        )


def use_threads(number: int | None) -> None:
    """Set torch's threads on the CPU, for the whole process; None leaves them.

    Raises:
        InvalidInputError: There would be none, or too many.
    """
    if number is None:
        return
    if not is_whole(number, 1, MAX_THREADS):
        raise InvalidInputError(f"expected 1 to {MAX_THREADS} threads, got {number!r}")
    torch.set_num_threads(number)


def _gpus() -> str:
    count = torch.cuda.device_count()
    return "no GPU" if count == 0 else f"{count} GPU{'s' if count > 1 else ''}"
