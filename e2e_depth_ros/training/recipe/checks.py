"""How recipes refuse numbers that make no sense."""

from __future__ import annotations

from typing import Final

from e2e_depth_ros.core.errors import InvalidInputError

MAX_SIDE_PX: Final = 8192
"""Of images and of what a network works at."""

MAX_WIDTH: Final = 1 << 16
"""Channels of a network."""

MAX_LEVELS: Final = 16
"""Resolutions of a network, each half of the one before."""

MAX_LAYERS: Final = 64
"""Of each resolution."""

_SHOWN: Final = 8  # numbers in an error message


def check(condition: bool, name: str, expected: str) -> None:
    """Raise InvalidInputError, naming the key and what was expected of it, unless the condition holds."""
    if not condition:
        raise InvalidInputError(f"{name}: expected {expected}")


def check_range(name: str, value: int | tuple[int, ...], low: int, high: int) -> None:
    """Raise InvalidInputError unless a number, or each of several, is in a range, both ends included."""
    values = value if isinstance(value, tuple) else (value,)
    check(all(low <= one <= high for one in values), name, f"{low} to {high}, got {_shown(value)}")


def _shown(value: int | tuple[int, ...]) -> str:
    if isinstance(value, tuple):
        return str(list(value[:_SHOWN])) if len(value) <= _SHOWN else f"{list(value[:_SHOWN])} and more"
    return str(value)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise InvalidInputError unless the value is among the choices."""
    check(value in choices, name, f"{' or '.join(choices)}, got {value!r}")
