"""How recipes refuse numbers that make no sense."""

from __future__ import annotations

from e2e_depth_ros.core.errors import InvalidInputError


def check(condition: bool, name: str, expected: str) -> None:
    """Raise InvalidInputError, naming the key and what was expected of it, unless the condition holds."""
    if not condition:
        raise InvalidInputError(f"{name}: expected {expected}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise InvalidInputError unless the value is among the choices."""
    check(value in choices, name, f"{' or '.join(choices)}, got {value!r}")
