"""How a parameter is declared: once, with all that ROS tools, checks and documentation need."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from e2e_depth_ros.core.errors import InvalidInputError


class Changes(Enum):
    """When a parameter may be changed."""

    LIVE = "any time"
    UNCONFIGURED = "while unconfigured"
    NEVER = "only at start"


@dataclass(frozen=True)
class Declaration:
    """What is known of a parameter.

    Attributes:
        name: As ROS sees it.
        default: Its type is the parameter's.
        description: One or two sentences, with the unit.
        changes: When it may be changed.
        minimum: Least number allowed, or None.
        maximum: Largest number allowed, or None.
        choices: The strings allowed, or empty for any.
    """

    name: str
    default: Any
    description: str
    changes: Changes
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    def check(self, value: Any) -> None:
        """Refuse a value that the parameter can't have.

        Raises:
            InvalidInputError: Names the parameter, the value and the bound.
        """
        wanted = f"parameter {self.name}: expected {self.type_name}"
        kind = type(self.default[0] if isinstance(self.default, tuple) else self.default)
        values = value if isinstance(self.default, tuple) else (value,)
        if not isinstance(values, (tuple, list)) or any(type(entry) is not kind for entry in values):
            raise InvalidInputError(f"{wanted}, got {value!r}")
        if isinstance(self.default, tuple) and len(values) != len(self.default):
            raise InvalidInputError(f"{wanted} of length {len(self.default)}, got {list(value)!r}")
        if kind is float and not all(math.isfinite(entry) for entry in values):
            raise InvalidInputError(f"{wanted} that is finite, got {value!r}")
        if self.choices and value not in self.choices:
            raise InvalidInputError(f"{wanted} of {', '.join(self.choices)}, got {value!r}")
        if self.minimum is not None and value < self.minimum:
            raise InvalidInputError(f"{wanted} of at least {self.minimum:g}, got {value!r}")
        if self.maximum is not None and value > self.maximum:
            raise InvalidInputError(f"{wanted} of at most {self.maximum:g}, got {value!r}")

    @property
    def type_name(self) -> str:
        """The parameter's type as ROS tools spell it."""
        names = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "double_array"}
        return names[type(self.default)]

    @property
    def bounds(self) -> str:
        """What values are allowed, for people."""
        if self.choices:
            return ", ".join(self.choices)
        if self.minimum is None or self.maximum is None:
            return ""
        return f"{self.minimum:g} .. {self.maximum:g}"


def parameter(
    default: Any,
    description: str,
    *,
    changes: Changes = Changes.LIVE,
    bounds: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a parameter as a field of a dataclass; see `Declaration` for the arguments."""
    minimum, maximum = bounds or (None, None)
    about = {
        "description": description,
        "changes": changes,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
    }
    return dataclasses.field(default=default, metadata=about)


def declarations_from_struct(struct: type) -> Mapping[str, Declaration]:
    """Collect the declarations of a dataclass whose fields are made by `parameter`, by name."""
    return {
        field.name: Declaration(name=field.name, default=field.default, **field.metadata)
        for field in dataclasses.fields(struct)
    }
