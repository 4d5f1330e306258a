"""The depth node's parameters without a node: from a ROS parameter file, and from NAME:=VALUE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.yaml_file import load_yaml
from e2e_depth_ros.ros.declarations.depth_parameters import DECLARATIONS, Parameters
from e2e_depth_ros.ros.declarations.qos import PREFIX

_NODE: Final = "depth"
_KEY: Final = "ros__parameters"
_OF_EVERY_NODE: Final = ("use_sim_time", PREFIX.rstrip("."))  # nothing that a recording has use for


def parameters_from(path: Path | None, assignments: Iterable[str] = ()) -> Parameters:
    """Read the parameters that a node named "depth" would get.

    Args:
        path: A ROS parameter file; None for the defaults.
        assignments: NAME:=VALUE, as `ros2 run ... --ros-args -p` takes them. They win.

    Raises:
        InvalidInputError: It is no such file, a value is refused, or the node has no such parameter.
    """
    given: dict[str, Any] = {}
    if path is not None:
        given.update(_of_node(path))
    for assignment in assignments:
        name, separator, value = assignment.partition(":=")
        if not separator:
            raise InvalidInputError(f"expected NAME:=VALUE, got {assignment!r}")
        try:
            given[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InvalidInputError(f"expected a YAML value for {name}, got {value!r}") from error
    unknown = sorted(name for name in given if name not in DECLARATIONS)
    if unknown:
        raise InvalidInputError(f"expected parameters of the depth node, got {', '.join(unknown)}")
    return Parameters().changed(given)


def _of_node(path: Path) -> dict[str, Any]:
    content = load_yaml(path)
    found: dict[str, Any] = {}
    for name, entry in (content if isinstance(content, Mapping) else {}).items():
        values = entry.get(_KEY) if isinstance(entry, Mapping) else None
        if not isinstance(values, Mapping):
            raise InvalidInputError(f"expected node names with {_KEY} in {path}, got {name!r}")
        # "/**" and "/robot/**" are any node, "depth" and "/robot/depth" are this one.
        if str(name).rpartition("/")[2] in ("**", "*", _NODE):
            found.update({str(key): value for key, value in values.items()})
    if not found:
        raise InvalidInputError(f"expected parameters of a node {_NODE!r} in {path}, found none")
    return {name: value for name, value in found.items() if not name.startswith(_OF_EVERY_NODE)}
