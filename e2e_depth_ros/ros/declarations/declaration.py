"""Parameters, each declared once with all that ROS tools, checks and documentation need."""

from __future__ import annotations

import dataclasses
import inspect
import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from e2e_depth_ros.core.errors import InvalidInputError

Settings = TypeVar("Settings")


class BadParameterError(InvalidInputError):
    """A parameter has a forbidden value."""


class Changes(Enum):
    """When a parameter may be changed."""

    LIVE = "any time"
    UNCONFIGURED = "while unconfigured"
    NEVER = "only at start"


class Setting(NamedTuple):
    """What receives a parameter's value.

    Attributes:
        owner: A dataclass of settings, or a function.
        name: The name of its field or argument.
        none: The parameter's value that stands for None there, because ROS has no None.
    """

    owner: Callable[..., Any]
    name: str
    none: Any

    @property
    def default(self) -> Any:
        """The setting's default, as a value of the parameter."""
        default = inspect.signature(self.owner).parameters[self.name].default
        return self.none if default is None else default


@dataclass(frozen=True)
class Declaration:
    """Everything that is known about a parameter.

    Attributes:
        name: Its name in ROS.
        default: Its default, whose type is the parameter's type.
        description: One or two sentences, with the unit.
        changes: When it may change.
        minimum: Smallest number allowed, or None.
        maximum: Largest number allowed, or None.
        choices: The strings allowed; empty if all are.
        aliases: Other values that ROS tools may pass for one of the choices.
        setting: The setting that it fills and takes its default from, or None.
    """

    name: str
    default: Any
    description: str
    changes: Changes
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    aliases: Mapping[bool | str, str]
    setting: Setting | None

    def converted(self, value: Any) -> Any:
        """Convert the value that a ROS tool passes to the parameter's type, and check it.

        Parameter files, `-p` and `ros2 param set` let YAML guess the type of a text: 1 is an integer even if
        the parameter is a double, and so is a revision that has only digits. If the guess loses the text, as
        with 1e3 or no, nothing can restore it.

        Args:
            value: The value in rclpy.

        Returns:
            The value in the type of the default; a tuple for an array.

        Raises:
            BadParameterError: Names the parameter, the value and the bound, or what to quote.
        """
        if isinstance(value, (bool, str)) and value in self.aliases:
            value = self.aliases[value]
        elif isinstance(self.default, tuple):
            value = _numbers(value)
        elif isinstance(self.default, float):
            value = _number(value)
        elif type(self.default) is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # 1e4 is a double to YAML
        elif isinstance(self.default, str) and type(value) is int:
            value = str(value)
        elif isinstance(self.default, str) and isinstance(value, (bool, float)):
            raise BadParameterError(
                f"parameter {self.name}: expected string, got {value!r}, as YAML takes words such as no and"
                f' 1e3 for booleans and numbers. Quote it: {self.name}: "..." in a file,'
                f""" -p "{self.name}:='...'" on a command line"""
            )
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Refuse a forbidden value.

        Raises:
            BadParameterError: Names the parameter, the value and the bound.
        """
        wanted = f"parameter {self.name}: expected {self.type_name}"
        kind = type(self.default[0] if isinstance(self.default, tuple) else self.default)
        values = value if isinstance(self.default, tuple) else (value,)
        if not isinstance(values, (tuple, list)) or any(type(entry) is not kind for entry in values):
            raise BadParameterError(f"{wanted}, got {value!r}")
        if isinstance(self.default, tuple) and len(values) != len(self.default):
            raise BadParameterError(f"{wanted} of length {len(self.default)}, got {list(value)!r}")
        if kind is float and not all(math.isfinite(entry) for entry in values):
            raise BadParameterError(f"{wanted} that is finite, got {value!r}")
        if self.choices and value not in self.choices:
            raise BadParameterError(f"{wanted} of {', '.join(self.choices)}, got {value!r}")
        if self.minimum is not None and value < self.minimum:
            raise BadParameterError(f"{wanted} of at least {self.minimum:g}, got {value!r}")
        if self.maximum is not None and value > self.maximum:
            raise BadParameterError(f"{wanted} of at most {self.maximum:g}, got {value!r}")

    @property
    def type_name(self) -> str:
        """The parameter's type, as ROS tools spell it."""
        names = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "double_array"}
        return names[type(self.default)]

    @property
    def bounds(self) -> str:
        """The allowed values, for people to read."""
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
    aliases: Mapping[bool | str, str] | None = None,
    setting: Setting | None = None,
) -> Any:
    """Declare a parameter as a field of a dataclass; see `Declaration` for the arguments."""
    minimum, maximum = bounds or (None, None)
    about = {
        "description": description,
        "changes": changes,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "aliases": aliases or {},
        "setting": setting,
    }
    return dataclasses.field(default=default, metadata=about)


def parameter_for(
    owner: Callable[..., Any], name: str, description: str, *, none: Any = None, **about: Any
) -> Any:
    """Declare a parameter that fills a setting and takes its default from there.

    Args:
        owner: A dataclass of settings, or a function.
        name: The name of its field or argument.
        description: See `Declaration`.
        none: The parameter's value that stands for None there.
        about: Further arguments of `parameter`.
    """
    setting = Setting(owner, name, none)
    return parameter(setting.default, description, setting=setting, **about)


def settings_from_parameters(owner: Callable[..., Settings], values: Any) -> Settings:
    """Make settings from parameters; a setting without a parameter keeps its default.

    Args:
        owner: The dataclass of settings.
        values: An instance of a dataclass whose fields are made by `parameter`.
    """
    filled = {}
    for declaration in declarations_from_struct(type(values)).values():
        setting = declaration.setting
        if setting is not None and setting.owner is owner:
            value = getattr(values, declaration.name)
            filled[setting.name] = None if setting.none is not None and value == setting.none else value
    return owner(**filled)


def declarations_from_struct(struct: type) -> Mapping[str, Declaration]:
    """Collect the declarations of a dataclass whose fields are made by `parameter`, by name."""
    return _declarations(struct)


@cache  # each frame asks for them
def _declarations(struct: Any) -> Mapping[str, Declaration]:
    return MappingProxyType(
        {
            field.name: Declaration(name=field.name, default=field.default, **field.metadata)
            for field in dataclasses.fields(struct)
        }
    )


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _numbers(value: Any) -> Any:
    """Make a tuple from an array, or from a text such as "[0, 0.5]" or "0 0.5".

    Neither ROS's reader of parameter files nor ros2 param set knows arrays that mix integers and doubles;
    the latter sends the text.
    """
    if isinstance(value, str):
        try:
            return tuple(float(part) for part in value.strip().strip("[]").replace(",", " ").split())
        except ValueError:
            return value
    if isinstance(value, (list, tuple, array)):
        return tuple(_number(entry) for entry in value)
    return value
