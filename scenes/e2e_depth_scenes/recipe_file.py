"""Render recipes as YAML: every key checked, unknown ones refused."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from e2e_depth_scenes.errors import RenderError
from e2e_depth_scenes.recipe import RenderRecipe

T = TypeVar("T")


def read_recipe(path: Path) -> RenderRecipe:
    """Read a render recipe.

    Raises:
        RenderError: It can't be read, or a key is unknown, missing, or of the wrong type or range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RenderError(f"cannot read {path} as YAML: {' '.join(str(error).split())}") from error
    try:
        return _parse(RenderRecipe, content, "")
    except RenderError as error:
        raise RenderError(f"{path}: {error}") from error


def _parse(cls: type[T], content: Any, where: str) -> T:
    """Make a dataclass of a mapping; `where` is the key it stands under, with a dot behind it."""
    if not isinstance(content, dict):
        raise RenderError(f"expected keys and values under {where[:-1] or 'the recipe'}, got {content!r}")
    fields = {field.name: field for field in dataclasses.fields(typing.cast("Any", cls))}
    for key in content:
        if key not in fields:
            raise RenderError(f"unknown key {where}{key}: expected {', '.join(sorted(fields))}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in content:
            raise RenderError(f"missing key {where}{name}")
    hints = typing.get_type_hints(cls)
    values = {name: _value(hints[name], item, f"{where}{name}") for name, item in content.items()}
    try:
        return cls(**values)
    except RenderError as error:
        raise RenderError(f"{where}{error}") from error


def _value(hint: Any, content: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _parse(typing.cast("type[Any]", hint), content, f"{where}.")
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        if not isinstance(content, list):
            raise RenderError(f"{where}: expected a list, got {content!r}")
        if items[-1] is Ellipsis:
            items = items[:1] * len(content)
        if len(items) != len(content):
            raise RenderError(f"{where}: expected {len(items)} entries, got {len(content)}")
        return tuple(
            _value(*pair, f"{where}[{i}]") for i, pair in enumerate(zip(items, content, strict=True))
        )
    accepted = (int, float) if hint is float else (hint,)
    if not isinstance(content, accepted) or isinstance(content, bool):  # a bool is an int to Python
        raise RenderError(f"{where}: expected {hint.__name__}, got {content!r}")
    return hint(content)
