"""diffusers' layers as nodes of a graph: what a UNet and an autoencoder are made of.

Each function takes the graph, a module with its weights, and the name of its input; it returns the name of
its output. Maps are (N, C, h, w), sequences (N, n, C). What a module does that isn't written here is
refused by `expect`, so that no graph computes something else than its network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.export.graph import Graph

Attend = Callable[[Graph, Any, str], str]
"""Attention of one kind: the graph, diffusers' Attention, a sequence (N, n, C) -> (N, n, C)."""


def expect(condition: object, what: str) -> None:
    """Refuse a network that a graph can't express.

    Raises:
        InvalidInputError: The condition doesn't hold.
    """
    if not condition:
        raise InvalidInputError(f"this network can't be exported: expected {what}")


@dataclass(frozen=True)
class Conditions:
    """What a UNet is told besides its input, all of it constant, so that it becomes part of the weights.

    Attributes:
        time: (T, d), the embedding of timestep and class for each of T tasks; None in an autoencoder.
        prompts: (T, n, d), what asks for each task.
        joint: Whether the tasks' maps of one image attend to each other (GeoWizard), not to themselves alone.
    """

    time: Tensor | None = None
    prompts: Tensor | None = None
    joint: bool = False

    @property
    def tasks(self) -> int:
        """How many tasks are told apart."""
        return 1 if self.prompts is None else len(self.prompts)

    @property
    def is_time_alike(self) -> bool:
        """Whether timestep and class tell all tasks the same."""
        return self.time is None or all(torch.equal(self.time[0], other) for other in self.time)


def convolution(g: Graph, layer: nn.Conv2d, x: str, bias: Tensor | None = None) -> str:
    """A convolution, with another bias where one is given."""
    expect(isinstance(layer, nn.Conv2d), f"a convolution, not {type(layer).__name__}")
    expect(layer.groups == 1 and layer.dilation == (1, 1), "plain convolutions")
    bias = layer.bias if bias is None else bias
    weights = [g.weight(layer.weight)] + ([] if bias is None else [g.weight(bias)])
    up, left = (int(p) for p in layer.padding)
    return g.op("Conv", x, *weights, strides=list(layer.stride), pads=[up, left, up, left])


def linear(g: Graph, layer: nn.Linear, x: str) -> str:
    """A linear layer over the last dimension."""
    expect(isinstance(layer, nn.Linear), f"a linear layer, not {type(layer).__name__}")
    transposed = g.op("Transpose", g.weight(layer.weight), perm=[1, 0])  # engines do this once
    product = g.op("MatMul", x, transposed)
    return product if layer.bias is None else g.op("Add", product, g.weight(layer.bias))


def group_norm(g: Graph, layer: nn.GroupNorm, x: str) -> str:
    """Each group of channels to mean 0 and variance 1, then a factor and an offset for each channel."""
    expect(isinstance(layer, nn.GroupNorm), f"a group norm, not {type(layer).__name__}")
    ones = torch.ones(layer.num_groups)
    grouped = g.op("Reshape", x, g.integers(0, layer.num_groups, -1))
    normal = g.op(
        "InstanceNormalization",
        grouped,
        g.weight(ones),
        g.weight(torch.zeros(layer.num_groups)),
        epsilon=layer.eps,
    )
    normal = g.op("Reshape", normal, g.op("Shape", x))
    return _affine(g, layer, normal)


def _affine(g: Graph, layer: nn.GroupNorm, x: str) -> str:
    factor = g.op("Mul", x, g.op("Reshape", g.weight(layer.weight), g.integers(1, -1, 1, 1)))
    return g.op("Add", factor, g.op("Reshape", g.weight(layer.bias), g.integers(1, -1, 1, 1)))


def layer_norm(g: Graph, layer: nn.LayerNorm, x: str) -> str:
    """Each vector to mean 0 and variance 1, then a factor and an offset."""
    expect(isinstance(layer, nn.LayerNorm) and layer.bias is not None, "layer norms with an offset")
    return g.op(
        "LayerNormalization", x, g.weight(layer.weight), g.weight(layer.bias), axis=-1, epsilon=layer.eps
    )


def activation(g: Graph, layer: nn.Module, x: str) -> str:
    """SiLU, ReLU or none."""
    if isinstance(layer, nn.Identity):
        return x
    if isinstance(layer, nn.ReLU):
        return g.op("Relu", x)
    expect(isinstance(layer, nn.SiLU), f"SiLU or ReLU, not {type(layer).__name__}")
    return g.op("Mul", x, g.op("Sigmoid", x))


def residual_block(g: Graph, block: Any, x: str, told: Conditions) -> str:
    """Diffusers' ResnetBlock2D; the timestep's share becomes part of the first convolution's bias."""
    expect(type(block).__name__ == "ResnetBlock2D", f"residual blocks, not {type(block).__name__}")
    expect(block.upsample is None and block.downsample is None, "residual blocks that keep the size")
    h = activation(g, block.nonlinearity, group_norm(g, block.norm1, x))
    knows_time = block.time_emb_proj is not None
    h = _told_the_time(g, block, h, told) if knows_time else convolution(g, block.conv1, h)
    h = activation(g, block.nonlinearity, group_norm(g, block.norm2, h))
    h = convolution(g, block.conv2, h)
    skip = x if block.conv_shortcut is None else convolution(g, block.conv_shortcut, x)
    added = g.op("Add", skip, h)
    scale = float(block.output_scale_factor)
    return added if scale == 1 else g.op("Mul", added, g.scalar(1 / scale))


def _told_the_time(g: Graph, block: Any, x: str, told: Conditions) -> str:
    expect(block.time_embedding_norm == "default", "the timestep added, not as a factor")
    if told.time is None:
        raise InvalidInputError(
            "this network can't be exported: expected a timestep for blocks that want one"
        )
    time = told.time.to(block.conv1.weight.dtype)
    share = block.time_emb_proj(time if block.skip_time_act else block.nonlinearity(time))  # (T, C)
    if told.is_time_alike:
        return convolution(g, block.conv1, x, block.conv1.bias + share[0])
    h = convolution(g, block.conv1, x)
    return g.op("Add", h, for_each_image(g, share[:, :, None, None], x))


def for_each_image(g: Graph, of_task: Tensor, x: str) -> str:
    """Repeat what belongs to a task for each image, (T, ...) -> (T * B, ...), as many as `x` has."""
    tasks, *rest = of_task.shape
    items = g.op("Shape", x, start=0, end=1)
    images = g.op("Div", items, g.integers(tasks))
    shape = g.op("Concat", g.integers(tasks), images, g.integers(*rest), axis=0)
    apart = g.op("Expand", g.weight(of_task[:, None].contiguous()), shape)
    return g.op("Reshape", apart, g.integers(-1, *rest))


def downsample(g: Graph, layer: Any, x: str) -> str:
    """Half the size, by a convolution; an autoencoder's pads at the right and the bottom alone."""
    expect(type(layer).__name__ == "Downsample2D" and layer.use_conv, "convolutions that halve the size")
    expect(getattr(layer, "norm", None) is None, "no norm where the size is halved")
    if layer.padding == 0:
        x = g.op("Pad", x, g.integers(0, 0, 0, 0, 0, 0, 1, 1))
    return convolution(g, layer.conv, x)


def upsample(g: Graph, layer: Any, x: str, like: str | None = None) -> str:
    """Twice the size, or the size of another map, each pixel repeated; then a convolution."""
    expect(type(layer).__name__ == "Upsample2D" and layer.use_conv, "enlargements with a convolution")
    expect(not layer.use_conv_transpose and layer.interpolate, "enlargements that repeat pixels")
    expect(getattr(layer, "norm", None) is None, "no norm where the size is doubled")
    return convolution(g, layer.conv, repeat_pixels(g, x, like))


def repeat_pixels(g: Graph, x: str, like: str | None = None) -> str:
    """Twice the size, or the size of another map, each pixel repeated."""
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if like is None:
        return g.op("Resize", x, "", g.factors(1.0, 1.0, 2.0, 2.0), **how)
    size = g.op("Concat", g.op("Shape", x, start=0, end=2), g.op("Shape", like, start=2, end=4), axis=0)
    return g.op("Resize", x, "", "", size, **how)


def transformer(g: Graph, model: Any, x: str, told: Conditions) -> str:
    """Diffusers' Transformer2DModel: each pixel of a map attends to all, and to the prompt."""
    expect(type(model).__name__ == "Transformer2DModel" and model.is_input_continuous, "transformers of maps")
    h = group_norm(g, model.norm, x)
    if not model.use_linear_projection:
        h = convolution(g, model.proj_in, h)
    channels = int(model.proj_in.weight.shape[0])
    h = g.op("Reshape", h, g.integers(0, channels, -1))
    h = g.op("Transpose", h, perm=[0, 2, 1])
    if model.use_linear_projection:
        h = linear(g, model.proj_in, h)
    for block in model.transformer_blocks:
        h = _transformer_block(g, block, h, told)
    if model.use_linear_projection:
        h = linear(g, model.proj_out, h)
    h = g.op("Transpose", h, perm=[0, 2, 1])
    around = g.op("Shape", x, start=2, end=4)
    shape = g.op("Concat", g.integers(0, -1), around, axis=0)
    h = g.op("Reshape", h, shape)
    if not model.use_linear_projection:
        h = convolution(g, model.proj_out, h)
    return g.op("Add", h, x)


def _transformer_block(g: Graph, block: Any, x: str, told: Conditions) -> str:
    expect(block.norm_type == "layer_norm" and block.pos_embed is None, "plain transformer blocks")
    expect(not hasattr(block, "fuser"), "transformer blocks without a fuser")
    to_itself = joint_attention if told.joint else self_attention
    first = prompt_attention if block.only_cross_attention else to_itself
    second = to_itself if block.attn2 is not None and not block.attn2.is_cross_attention else prompt_attention
    for norm, attention, attend in (
        (block.norm1, block.attn1, first),
        (block.norm2, block.attn2, second),
    ):
        if attention is not None:
            expect(attention.group_norm is None and not attention.residual_connection, "plain attention")
            h = layer_norm(g, norm, x)
            keyed = {"prompts": told.prompts} if attend is prompt_attention else {}
            x = g.op("Add", attend(g, attention, h, **keyed), x)
    return g.op("Add", _feed_forward(g, block.ff, layer_norm(g, block.norm3, x)), x)


def _feed_forward(g: Graph, layer: Any, x: str) -> str:
    gate, _, out, *_ = layer.net
    expect(type(gate).__name__ == "GEGLU", f"GEGLU in transformers, not {type(gate).__name__}")
    half = int(gate.proj.weight.shape[0]) // 2
    both = linear(g, gate.proj, x)
    value = g.op("Slice", both, g.integers(0), g.integers(half), g.integers(-1))
    opening = g.op("Slice", both, g.integers(half), g.integers(2 * half), g.integers(-1))
    return linear(g, out, g.op("Mul", value, g.op("Gelu", opening)))


def self_attention(g: Graph, attention: Any, x: str) -> str:
    """Each element attends to all of its sequence."""
    query, key, value = (linear(g, part, x) for part in _projections(attention))
    return _attend(g, attention, query, *_keys_and_values(g, attention, key, value))


def joint_attention(g: Graph, attention: Any, x: str) -> str:
    """Each element attends to its sequence and to the other task's, which is half a batch away."""
    query, key, value = (linear(g, part, x) for part in _projections(attention))
    channels = int(attention.to_k.weight.shape[0])

    def of_both(states: str) -> str:
        pair = g.op(
            "Reshape", states, g.op("Concat", g.integers(2, -1), _length(g, states, channels), axis=0)
        )
        pair = g.op("Transpose", pair, perm=[1, 0, 2, 3])  # (M, 2, n, C)
        joined = g.op("Reshape", pair, g.integers(0, -1, channels))
        return g.op("Concat", joined, joined, axis=0)

    return _attend(g, attention, query, *_keys_and_values(g, attention, of_both(key), of_both(value)))


def _length(g: Graph, states: str, channels: int) -> str:
    return g.op("Concat", g.op("Shape", states, start=1, end=2), g.integers(channels), axis=0)


def prompt_attention(g: Graph, attention: Any, x: str, prompts: Tensor | None = None) -> str:
    """Each element attends to the prompt, whose keys and values are constant."""
    if prompts is None:
        raise InvalidInputError("this network can't be exported: expected a prompt, as it attends to one")
    expect(attention.norm_cross is None, "a prompt that is not normalised")
    query = linear(g, attention.to_q, x)
    # Keys lie as the product reads them: OpenVINO 2026.4 multiplies by a constant that it must transpose
    # wrongly in bfloat16, where a head's size is no multiple of 32.
    constants = []
    for projection, order in ((attention.to_k, (0, 2, 3, 1)), (attention.to_v, (0, 2, 1, 3))):
        states = projection(prompts.to(projection.weight.dtype))  # (T, n, C)
        parted = states.unflatten(-1, (attention.heads, -1)).permute(order).contiguous()
        is_same = all(torch.equal(parted[0], other) for other in parted)
        constants.append(g.weight(parted[:1].clone()) if is_same else for_each_image(g, parted, x))
    return _attend(g, attention, query, *constants)


def _projections(attention: Any) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    expect(attention.norm_q is None and attention.norm_k is None, "attention without norms")
    expect(attention.spatial_norm is None, "attention without a spatial norm")
    return attention.to_q, attention.to_k, attention.to_v


def _heads(g: Graph, attention: Any, states: str) -> str:
    """(N, n, C) -> (N, heads, n, C / heads)."""
    heads = int(attention.heads)
    size = int(attention.to_q.weight.shape[0]) // heads
    parted = g.op("Reshape", states, g.integers(0, 0, heads, size))
    return g.op("Transpose", parted, perm=[0, 2, 1, 3])


def _keys_and_values(g: Graph, attention: Any, key: str, value: str) -> tuple[str, str]:
    """(N, n, C) twice -> (N, heads, C / heads, n) and (N, heads, n, C / heads)."""
    return g.op("Transpose", _heads(g, attention, key), perm=[0, 1, 3, 2]), _heads(g, attention, value)


def _attend(g: Graph, attention: Any, query: str, key: str, value: str) -> str:
    """Attend with a query (N, m, C), keys (N, heads, C / heads, n) and values (N, heads, n, C / heads)."""
    inner = int(attention.to_q.weight.shape[0])
    scaled = g.op("Mul", _heads(g, attention, query), g.scalar((inner // attention.heads) ** -0.5))
    scores = g.op("MatMul", scaled, key)
    attended = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
    joined = g.op("Reshape", g.op("Transpose", attended, perm=[0, 2, 1, 3]), g.integers(0, 0, inner))
    h = linear(g, attention.to_out[0], joined)
    scale = float(attention.rescale_output_factor)
    return h if scale == 1 else g.op("Mul", h, g.scalar(1 / scale))


def map_attention(g: Graph, attention: Any, x: str) -> str:
    """An autoencoder's attention: over a map, after a norm, added to it."""
    expect(attention.residual_connection and attention.group_norm is not None, "attention over a map")
    expect(float(attention.rescale_output_factor) == 1, "attention that is added as it is")
    channels = int(attention.to_q.weight.shape[1])
    h = group_norm(g, attention.group_norm, x)
    h = g.op("Transpose", g.op("Reshape", h, g.integers(0, channels, -1)), perm=[0, 2, 1])
    h = g.op("Transpose", self_attention(g, attention, h), perm=[0, 2, 1])
    return g.op("Add", g.op("Reshape", h, g.op("Shape", x)), x)
