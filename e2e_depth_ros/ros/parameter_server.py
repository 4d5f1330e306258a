"""Binds the declared parameters to a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.declaration import Changes, Declaration, declarations_from_struct
from e2e_depth_ros.ros.image_parameters import Struct


class ParameterServer(Generic[Struct]):
    """Declares the parameters, refuses bad changes and hands on good ones.

    Attributes:
        values: The current values.
    """

    def __init__(
        self,
        node: Node,
        defaults: Struct,
        *,
        is_configured: Callable[[], bool],
        on_change: Callable[[Struct], None],
    ) -> None:
        """Declare all parameters on a node.

        Args:
            node: Gets them.
            defaults: What they are unless given.
            is_configured: Tells whether parameters that belong to the configuration are in use.
            on_change: Called with all values after a change.

        Raises:
            InvalidInputError: A given value is refused.
        """
        self._is_configured = is_configured
        self._on_change = on_change
        self._declarations = declarations_from_struct(type(defaults))
        try:
            given = {
                name: node.declare_parameter(
                    name, _plain(declaration.default), _descriptor(declaration)
                ).value
                for name, declaration in self._declarations.items()
            }
        except ParameterException as error:
            raise InvalidInputError(str(error)) from error
        self.values: Struct = defaults.changed(given)
        node.add_on_set_parameters_callback(self._on_set)

    def _on_set(self, changes: list[Any]) -> SetParametersResult:
        try:
            for change in changes:
                self._check_time(change.name)
            values = self.values.changed({change.name: change.value for change in changes})
        except InvalidInputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.values = values
        self._on_change(values)
        return SetParametersResult(successful=True)

    def _check_time(self, name: str) -> None:
        declaration = self._declarations.get(name)
        if declaration and declaration.changes is Changes.UNCONFIGURED and self._is_configured():
            raise InvalidInputError(
                f"parameter {name}: changes only while unconfigured; deactivate and clean up the node first"
            )


def _descriptor(declaration: Declaration) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=declaration.description,
        additional_constraints=f"allowed: {declaration.bounds}" if declaration.choices else "",
        read_only=declaration.changes is Changes.NEVER,
    )
    if declaration.minimum is not None and declaration.maximum is not None:
        if isinstance(declaration.default, int):
            bounds = IntegerRange(from_value=int(declaration.minimum), to_value=int(declaration.maximum))
            descriptor.integer_range = [bounds]
        else:
            bounds = FloatingPointRange(from_value=declaration.minimum, to_value=declaration.maximum)
            descriptor.floating_point_range = [bounds]
    return descriptor


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default
