"""Binds the declared parameters to a node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.node import Node
from rclpy.parameter import Parameter

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.declarations.declaration import (
    BadParameterError,
    Changes,
    Declaration,
    declarations_from_struct,
)
from e2e_depth_ros.ros.declarations.image_parameters import Struct
from e2e_depth_ros.ros.declarations.qos import PREFIX as QOS_PREFIX
from e2e_depth_ros.ros.messages.refusal import one_line


class ParameterServer(Generic[Struct]):
    """Declares the parameters, refuses bad changes and passes on good ones.

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
            node: The node that gets them.
            defaults: Their values, unless the user gives others.
            is_configured: Tells whether the parameters that belong to the configuration are in use.
            on_change: Called with all values after a change.

        Raises:
            InvalidInputError: A given value is refused.
        """
        self._node = node
        self._is_configured = is_configured
        self._on_change = on_change
        self._declarations = declarations_from_struct(type(defaults))
        given = {name: _declared_value(node, declaration) for name, declaration in self._declarations.items()}
        self.values: Struct = defaults.changed(given)
        _warn_of_unknown(node)
        node.add_on_set_parameters_callback(self._on_set)

    def set(
        self, wanted: Sequence[Parameter], apply: Callable[[list[Parameter]], SetParametersResult]
    ) -> SetParametersResult:
        """Set parameters all at once, in their declared types; a value that changes nothing always passes.

        Args:
            wanted: The parameters from ROS tools; those that are not declared here pass unchanged.
            apply: Sets those that change, as `Node.set_parameters_atomically` does.

        Returns:
            Whether all are set; if not, none is.

        Raises:
            ParameterNotDeclaredException: The node has no such parameter.
        """
        unknown = [parameter.name for parameter in wanted if not self._node.has_parameter(parameter.name)]
        if unknown:
            raise ParameterNotDeclaredException(unknown)  # rclpy's own forgets the names
        last_wanted = {parameter.name: parameter for parameter in wanted}
        try:
            typed = [self._typed(parameter) for parameter in last_wanted.values()]
        except InvalidInputError as error:
            return _refused(error)
        changes = [parameter for parameter in typed if not self._is_in_use(parameter)]
        return apply(changes) if changes or not typed else SetParametersResult(successful=True)

    def _typed(self, parameter: Parameter) -> Parameter:
        declaration = self._declarations.get(parameter.name)
        if declaration is None:
            self._check_override(parameter)
            return parameter
        return Parameter(parameter.name, value=_plain(declaration.converted(parameter.value)))

    def _check_override(self, parameter: Parameter) -> None:
        if not parameter.name.startswith(QOS_PREFIX):
            return
        if parameter.value != self._node.get_parameter(parameter.name).value:
            raise BadParameterError(f"parameter {parameter.name}: changes only at start")

    def _is_in_use(self, parameter: Parameter) -> bool:
        if parameter.name not in self._declarations:
            return False
        return bool(_plain(getattr(self.values, parameter.name)) == parameter.value)

    def _on_set(self, changes: list[Any]) -> SetParametersResult:
        try:
            for change in changes:
                self._check_time(change.name)
            values = self.values.changed({change.name: change.value for change in changes})
        except InvalidInputError as error:
            return _refused(error)
        self.values = values
        self._on_change(values)
        return SetParametersResult(successful=True)

    def _check_time(self, name: str) -> None:
        declaration = self._declarations.get(name)
        if declaration and declaration.changes is Changes.UNCONFIGURED and self._is_configured():
            raise BadParameterError(
                f"parameter {name}: changes only while unconfigured; deactivate and clean up the node first"
            )


def _refused(error: InvalidInputError) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=one_line(str(error)))


def _warn_of_unknown(node: Node) -> None:
    """Tell of parameters that were given and that the node has not: ROS passes over a misspelt name."""
    given = getattr(node, "_parameter_overrides", {})  # nothing public tells them
    unknown = [name for name in given if not node.has_parameter(name) and not name.startswith(QOS_PREFIX)]
    if unknown:
        words = ", ".join(sorted(unknown))
        node.get_logger().warning(one_line(f"expected parameters of this node, passed over {words}"))


def _declared_value(node: Node, declaration: Declaration) -> Any:
    """Declare a parameter on a node; return its value, as given or else its default."""
    # Without a type at first: one with a type refuses what YAML took for another, before it can be converted.
    untyped = ParameterDescriptor(dynamic_typing=True)
    given = node.declare_parameter(declaration.name, _plain(declaration.default), untyped).value
    value = declaration.converted(given)
    node.undeclare_parameter(declaration.name)
    node.declare_parameter(declaration.name, _plain(value), _descriptor(declaration), ignore_override=True)
    return value


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


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
