"""YAML files of users: recipes and calibrations. Small, flat, and no larger than they look."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.user_file import read_text

MAX_BYTES: Final = 1 << 18
MAX_DEPTH: Final = 32
MAX_NODES: Final = 10_000
MAX_SCALAR: Final = 2_000
MAX_NUMBER: Final = 100
"""What a file may have at most: bytes, nested levels, values (those of an alias count each time that it
stands there), characters of a value, and of a number. A recipe has a few hundred values in five levels."""


def load_yaml(path: Path) -> Any:
    """Read a YAML file with plain values.

    Anchors and aliases are understood. But a few lines of them can stand for billions of values, and one line
    of brackets for a hundred thousand levels: what exceeds the limits of this module is refused on the way.

    Raises:
        InvalidInputError: It is no file, no YAML, or exceeds a limit.
    """
    text = read_text(path, MAX_BYTES)
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise InvalidInputError(f"cannot read {path} as YAML: {_reason(error)}") from error
    # What PyYAML's constructors let pass from dates, numbers and tags that don't fit their text.
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
        raise InvalidInputError(f"cannot read a value of {path} as YAML: {error}") from error


class _Loader(yaml.SafeLoader):
    """Refuses while it reads: what came before a limit is all that it spends."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values: dict[int, int] = {}  # of each complete node, by its identity, with all below it

    def compose_node(self, parent: Any, index: Any) -> Any:
        is_alias = self.check_event(yaml.AliasEvent)
        self._depth += 1
        self._limit("nested levels", self._depth, MAX_DEPTH)
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._values:
            raise _refusal("found an alias inside of what it stands for", node)
        if not is_alias:
            self._values[id(node)] = self._count(node)
        self._limit("values", max(len(self._values), self._values[id(node)]), MAX_NODES)
        return node

    def _count(self, node: Any) -> int:
        if isinstance(node, yaml.ScalarNode):
            is_number = node.tag.endswith((":int", ":float"))
            self._limit("characters in a value", len(node.value), MAX_NUMBER if is_number else MAX_SCALAR)
            return 1
        below = node.value
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        raise _refusal(f"found the key {key.value!r} twice", key)
                    keys.add(key.value)
            below = [part for pair in node.value for part in pair]
        return 1 + sum(self._values[id(part)] for part in below)

    @staticmethod
    def _limit(what: str, found: int, most: int) -> None:
        if found > most:
            raise _refusal(f"found more than {most} {what}")


def _refusal(problem: str, node: Any = None) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=None if node is None else node.start_mark)


def _reason(error: yaml.YAMLError) -> str:
    """Say in one line what PyYAML says in several, with an excerpt."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    said = ": ".join(part for part in (error.context, error.problem) if part)
    return said if error.problem_mark is None else f"{said} in line {error.problem_mark.line + 1}"
