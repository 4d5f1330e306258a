"""Recipes as YAML: every key checked, unknown ones refused."""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from pathlib import Path
from typing import Any, Final, TypeVar

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.names import check_name
from e2e_depth_ros.core.yaml_file import load_yaml
from e2e_depth_ros.training.recipe.training import Recipe

SHIPPED: Final = Path(__file__).parents[1] / "recipes"
"""Folder of the recipes that ship with the package."""

T = TypeVar("T")

_LARGEST = 1e18


def find_recipe(given: str | Path) -> Path:
    """Return the file of a recipe: a path, or one that ships, by its name without suffix.

    Raises:
        InvalidInputError: No recipe of that name ships, and there is no such file.
    """
    path = Path(given)
    if path.suffix or len(path.parts) > 1 or path.is_file():
        return path
    names = sorted(shipped.stem for shipped in SHIPPED.glob("*.yaml"))
    return SHIPPED / f"{check_name(str(given), names, 'a recipe, .yaml, or the name')}.yaml"


def read_recipe(path: Path) -> Recipe:
    """Read a training recipe.

    Raises:
        InvalidInputError: It can't be read, or a key is unknown, missing, or of the wrong type or range.
    """
    content = load_yaml(path)
    try:
        return recipe_from_mapping(content)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def recipe_from_mapping(content: Any) -> Recipe:
    """Check nested mappings, as YAML gives them, against the recipe's keys.

    Raises:
        InvalidInputError: A key is unknown, missing, or of the wrong type or range.
    """
    return _parse(Recipe, content, "")


def mapping_from_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return nested mappings that `recipe_from_mapping` turns back into the same recipe."""
    mapping = _plain(dataclasses.asdict(recipe))
    return dict(mapping)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _parse(cls: type[T], content: Any, where: str) -> T:
    if not isinstance(content, dict):
        raise InvalidInputError(f"expected keys and values under {where or 'the recipe'}, got {content!r}")
    fields = {f.name: f for f in dataclasses.fields(typing.cast("Any", cls))}
    unknown = [str(key) for key in content if key not in fields]
    if unknown:
        raise InvalidInputError(
            f"unknown key {_join(where, unknown[0])}: expected {', '.join(sorted(fields))}"
        )
    for name, known in fields.items():
        required = known.default is dataclasses.MISSING and known.default_factory is dataclasses.MISSING
        if required and name not in content:
            raise InvalidInputError(f"missing key {_join(where, name)}")
    hints = typing.get_type_hints(cls)
    values = {name: _value(hints[name], item, _join(where, name)) for name, item in content.items()}
    try:
        return cls(**values)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}{'.' if where else ''}{error}") from error


def _value(hint: Any, content: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _parse(typing.cast("type[Any]", hint), content, where)
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        if not isinstance(content, list):
            raise InvalidInputError(f"{where}: expected a list, got {content!r}")
        if items[-1] is Ellipsis:
            items = items[:1] * len(content)
        if len(items) != len(content):
            raise InvalidInputError(f"{where}: expected {len(items)} entries, got {len(content)}")
        return tuple(
            _value(h, c, f"{where}[{i}]") for i, (h, c) in enumerate(zip(items, content, strict=True))
        )
    # bool is an int to Python, and YAML reads 1e-3 (without a dot) as text.
    if hint is float and isinstance(content, str):
        with contextlib.suppress(ValueError):
            content = float(content)
    accepted = (int, float) if hint is float else (hint,)
    if not isinstance(content, accepted) or (hint is not bool and isinstance(content, bool)):
        raise InvalidInputError(f"{where}: expected {hint.__name__}, got {content!r}")
    if isinstance(content, int | float) and not abs(content) <= _LARGEST:  # NaN isn't, either
        raise InvalidInputError(f"{where}: expected a number up to {_LARGEST:g}, got {content!r}")
    return hint(content)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
