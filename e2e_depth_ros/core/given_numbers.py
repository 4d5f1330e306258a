"""Numbers that a caller gives, who may give anything."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from e2e_depth_ros.core.errors import InvalidInputError


def numbers_from(name: str, values: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Convert what a caller gave as an array; masked entries become NaN, as nothing is known there.

    Args:
        name: Of the argument, for the error.
        values: Of any shape; a masked array, too.
        dtype: Of the result, a floating-point format.

    Returns:
        An array of its own.

    Raises:
        InvalidInputError: They are no numbers.
    """
    try:
        given = np.ma.masked_array(values)
        # Else numpy takes words, times, and the real half of complex numbers; objects are asked one by one.
        numbers = given.astype(dtype, casting="unsafe" if given.dtype == object else "same_kind")
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f"expected numbers as {name}, got {type(values).__name__}: {error}"
        ) from error
    return np.asarray(np.ma.filled(numbers, np.nan), dtype=dtype)


def is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    """Whether something is a whole number within limits."""
    return not isinstance(value, bool) and isinstance(value, Integral) and least <= int(value) <= most
