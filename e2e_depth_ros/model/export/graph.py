"""A graph in ONNX's format, written node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor

OPSET: Final = 20
"""The first with a `Gelu` of its own; ONNX Runtime has it since 1.17, OpenVINO since 2024.0."""

_IR_VERSION: Final = 9  # of ONNX 1.15, the release that brought the opset: older runtimes refuse newer ones

ELEMENT_TYPES: Final[Mapping[torch.dtype, int]] = {
    torch.float32: TensorProto.FLOAT,
    torch.float16: TensorProto.FLOAT16,
}


class Graph:
    """A graph that grows. Values are names; each method adds nodes and returns the name of their result.

    Args:
        name: Of the graph.
        dtype: In which it computes; inputs and outputs are float32 all the same.
    """

    def __init__(self, name: str, dtype: torch.dtype = torch.float32) -> None:
        self.name = name
        self.dtype = dtype
        self.weights: dict[str, Tensor] = {}
        """What the nodes read besides inputs and each other, by name, in any floating-point format."""
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._integers: dict[tuple[int, ...], str] = {}
        self._factors: dict[str, tuple[float, ...]] = {}
        self._known: dict[int, str] = {}
        self._kept: list[Tensor] = []  # their identity is a key above
        self._named: set[str] = set()

    def name_weights(self, named: Mapping[str, Tensor]) -> None:
        """Tell the names of tensors that `weight` is given unchanged."""
        for name, tensor in named.items():
            self._remember(name, tensor)
            self._named.add(name)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def weight(self, tensor: Tensor) -> str:
        """Add a tensor of floating-point numbers, constant."""
        name = self._known.get(id(tensor))
        if name is None:
            name = f"constant_{len(self.weights)}"
            self._remember(name, tensor)
        self.weights[name] = tensor.detach()
        return name

    def _remember(self, name: str, tensor: Tensor) -> None:
        self._known[id(tensor)] = name
        self._kept.append(tensor)

    def is_named(self, name: str) -> bool:
        """Tell whether a weight is one of the network's own, unchanged."""
        return name in self._named

    def integers(self, *values: int) -> str:
        """Add a list of whole numbers, constant."""
        if values not in self._integers:
            self._integers[values] = f"integers_{'_'.join(map(str, values))}".replace("-", "m")
        return self._integers[values]

    def factors(self, *values: float) -> str:
        """Add factors of a size, constant; they are float32 whatever the graph computes in."""
        name = f"factors_{'_'.join(map(repr, values))}"
        self._factors[name] = values
        return name

    def scalar(self, value: float) -> str:
        """Add a number, constant, as small as it must be to act on a tensor of any shape."""
        name = f"scalar_{value!r}"
        known = self.weights.get(name)
        if known is None:
            self.weights[name] = torch.tensor(value, dtype=torch.float64).to(torch.float32)
        return name

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Add an input of float32; a dimension with a name may be any number."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name if self.dtype == torch.float32 else self.op("Cast", name, to=ELEMENT_TYPES[self.dtype])

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Make a value an output of float32."""
        self._nodes.append(helper.make_node("Cast", [value], [name], name=name, to=TensorProto.FLOAT))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self, initializers: Mapping[str, onnx.TensorProto]) -> onnx.ModelProto:
        """Return the whole.

        Args:
            initializers: What stands for each of `weights`, of any floating-point format; it may lie in
                another file.
        """
        casts, proper = [], []
        wanted = ELEMENT_TYPES[self.dtype]
        for name, stored in initializers.items():
            if stored.data_type != wanted:  # engines do this once, when they load
                casts.append(helper.make_node("Cast", [f"{name}/stored"], [name], name=name, to=wanted))
                stored.name = f"{name}/stored"
            proper.append(stored)
        integers = [
            helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
            for values, name in self._integers.items()
        ]
        factors = [
            helper.make_tensor(name, TensorProto.FLOAT, [len(values)], values)
            for name, values in self._factors.items()
        ]
        graph = helper.make_graph(
            [*casts, *self._nodes], self.name, self._inputs, self._outputs, [*proper, *integers, *factors]
        )
        return helper.make_model(
            graph,
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="e2e_depth_ros",
        )


def inline(tensor: Tensor, name: str) -> onnx.TensorProto:
    """Make a tensor that lies in the graph itself."""
    values: NDArray[Any] = np.ascontiguousarray(tensor.detach().cpu().numpy())
    return helper.make_tensor(
        name, ELEMENT_TYPES[tensor.dtype], list(tensor.shape), values.tobytes(), raw=True
    )


def external(tensor: Tensor, name: str, location: str, offset: int) -> onnx.TensorProto:
    """Make a tensor that lies in another file.

    Args:
        tensor: For its shape and format.
        name: Of the tensor.
        location: Of the file, relative to the folder of the graph.
        offset: Of its first byte there.
    """
    proto = TensorProto(
        name=name,
        data_type=ELEMENT_TYPES[tensor.dtype],
        dims=list(tensor.shape),
        data_location=TensorProto.EXTERNAL,
    )
    size = tensor.numel() * tensor.element_size()
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(size))):
        proto.external_data.add(key=key, value=value)
    return proto
