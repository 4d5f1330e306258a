"""The depth node's parameters without a node: from a ROS parameter file, and from NAME:=VALUE."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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


def parameters_from(
    path: Path | None, assignments: Iterable[str] = (), namespaces: Collection[str] = ()
) -> Parameters:
    """Read the parameters that a node named "depth" would get.

    Args:
        path: A ROS parameter file; None for the defaults.
        assignments: NAME:=VALUE, as `ros2 run ... --ros-args -p` takes them. They win.
        namespaces: Of the nodes, say "/left"; where the file has nodes there, those elsewhere don't count.

    Raises:
        InvalidInputError: It is no such file, a value is refused, the node has no such parameter, or nodes of
            several namespaces would get different values.
    """
    given: dict[str, Any] = {}
    if path is not None:
        given.update(_of_nodes(path, namespaces))
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


def _of_nodes(path: Path, namespaces: Collection[str]) -> dict[str, Any]:
    content = load_yaml(path)
    of_any: dict[str, Any] = {}
    of_nodes: dict[str, dict[str, Any]] = {}
    for name, entry in (content if isinstance(content, Mapping) else {}).items():
        values = entry.get(_KEY) if isinstance(entry, Mapping) else None
        if not isinstance(values, Mapping):
            raise InvalidInputError(f"expected node names with {_KEY} in {path}, got {name!r}")
        namespace, _, node = str(name).rpartition("/")
        if node in ("**", "*"):  # "/**" and "/robot/**" are any node
            of_any.update({str(key): value for key, value in values.items()})
        elif node == _NODE:
            of_nodes[namespace] = {str(key): value for key, value in values.items()}
    if not of_any and not of_nodes:
        raise InvalidInputError(f"expected parameters of a node {_NODE!r} in {path}, found none")
    own = {name: values for name, values in of_nodes.items() if name in namespaces} or of_nodes
    for values in own.values():
        differing = [
            key for key, value in values.items() if any(key in o and o[key] != value for o in own.values())
        ]
        if differing:
            raise InvalidInputError(
                f"expected one value of {', '.join(differing)} for {' and '.join(own)} in {path}:"
                " cameras whose parameters differ need a run each, with --namespace"
            )
        of_any.update(values)
    return {name: value for name, value in of_any.items() if not name.startswith(_OF_EVERY_NODE)}
