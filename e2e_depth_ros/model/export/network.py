"""A network of one step as a graph: images in, decoded maps out, everything constant folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.engine.graph_engine import PIXELS
from e2e_depth_ros.model.export.autoencoders import decoder, encoder, first_inputs, scaled
from e2e_depth_ros.model.export.graph import Graph
from e2e_depth_ros.model.export.layers import (
    Conditions,
    activation,
    convolution,
    downsample,
    expect,
    group_norm,
    residual_block,
    transformer,
    upsample,
)
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.one_step import DenoisingStep, OneStepSampler
from e2e_depth_ros.model.task import Task

Size = tuple[int, int]


@torch.inference_mode()
def write_network(
    network: LatentNetwork,
    tasks: Sequence[Task],
    *,
    dtype: torch.dtype = torch.float32,
    size: Size | None = None,
) -> Graph:
    """Write a network as a graph.

    What doesn't depend on the image becomes part of the weights: the embedding of the timestep (a bias), keys
    and values of the prompt, the half of the first convolution that reads zeros, all scaling factors, and
    the mean of the channels of depth.

    Args:
        network: On the CPU, in float32.
        tasks: What the graph predicts, from one encoding and in one batch, in the order of `Task`.
        dtype: In which it computes.
        size: (h, w) of the images; None for any that the network takes.

    Raises:
        InvalidInputError: A graph can't express it; names what stands in the way.
    """
    step = _one_step(network)
    told = network.static_inputs(tasks)
    unet, vae = network.unet, network.vae
    expect(not told.sees_image, "a UNet that sees the image in its latents alone, not by CLIP")
    expect(not unet.config.center_input_sample, "a UNet that reads latents as they are")
    g = Graph("_".join(task.value for task in tasks), dtype)
    g.name_weights({name: parameter for name, parameter in network.named_parameters()})  # noqa: C416
    shape = ["batch", 3, *(size or ("height", "width"))]
    latents = encoder(g, vae, g.input(PIXELS, shape))
    count = len(told.tasks)
    conditions = Conditions(_time(unet, step, told.classes, count), told.prompts, told.is_joint)
    predicted = _unet(g, unet, latents, conditions, step, 1.0 / float(vae.config.scaling_factor), vae)
    wanted = [told.tasks.index(task) for task in tasks]
    if wanted != list(range(count)):
        parts = _split(g, predicted, count)
        predicted = (
            parts[wanted[0]] if len(wanted) == 1 else g.op("Concat", *(parts[i] for i in wanted), axis=0)
        )
    decoded, end = decoder(g, vae, predicted)
    for task, part in zip(tasks, _split(g, decoded, len(tasks)), strict=True):
        is_depth = task is Task.DEPTH
        if told.clips_decoded:
            seen = g.op("Clip", end.write(g, part), g.scalar(-1.0), g.scalar(1.0))
            seen = g.op("ReduceMean", seen, g.integers(1)) if is_depth else seen
        else:
            seen = end.write(g, part, mean=is_depth)
        g.output(seen, task.value, ["batch", 1 if is_depth else 3, *shape[2:]])
    return g


def _one_step(network: LatentNetwork) -> DenoisingStep:
    sampler = network.sampler
    if not isinstance(sampler, OneStepSampler):
        raise InvalidInputError(
            "expected a network that answers in one deterministic step; this one repeats its network from "
            f"noise, {sampler.steps} times, which is no fixed graph"
        )
    if sampler.starts_from_noise:
        raise InvalidInputError(
            f"expected a network that starts from zeros; this one starts from {sampler.target_noise} noise"
        )
    return sampler.step


def _time(unet: Any, step: DenoisingStep, classes: Tensor | None, count: int) -> Tensor:
    """Return the embedding of timestep and class of each task, (T, d)."""
    expect(not unet.config.class_embeddings_concat, "class embeddings that are added")
    like = next(unet.parameters()).new_zeros(1)
    embedded: Tensor = unet.time_embedding(
        unet.get_time_embed(like, torch.tensor(step.timestep)).to(like.dtype)
    )
    embedded = embedded.expand(count, -1)
    if classes is not None:
        embedded = embedded + unet.class_embedding(classes.to(like.dtype))
    if unet.time_embed_act is not None:
        embedded = unet.time_embed_act(embedded)
    return embedded.contiguous()


def _unet(
    g: Graph, unet: Any, latents: str, told: Conditions, step: DenoisingStep, unscale: float, vae: Any
) -> str:
    """The UNet's one step, from unscaled latents (B, ...) to those of T tasks, (T * B, ...)."""
    channels = int(unet.config.out_channels)
    h = convolution(g, first_inputs(unet.conv_in, channels, float(vae.config.scaling_factor)), latents)
    h, passed = _unet_down(g, unet, h, told)
    h = _unet_middle(g, unet.mid_block, h, told)
    for block in unet.up_blocks:
        attentions = _attentions(block, "UpBlock2D", "CrossAttnUpBlock2D")
        for resnet, attention in zip(block.resnets, attentions, strict=True):
            h = residual_block(g, resnet, g.op("Concat", h, passed.pop(), axis=1), told)
            h = h if attention is None else transformer(g, attention, h, told)
        for layer in block.upsamplers or ():
            h = upsample(g, layer, h, like=passed[-1])  # an odd size was halved upwards
    if unet.conv_norm_out is not None:
        h = activation(g, unet.conv_act, group_norm(g, unet.conv_norm_out, h))
    return _denoised(g, unet.conv_out, h, step, unscale)


def _unet_down(g: Graph, unet: Any, h: str, told: Conditions) -> tuple[str, list[str]]:
    """The first half, from a map of B images to one of T * B; and the maps that the second half reads too."""
    maps = _Maps(g, h, told.tasks)
    if not told.is_time_alike:
        maps.part()
    for block in unet.down_blocks:
        attentions = _attentions(block, "DownBlock2D", "CrossAttnDownBlock2D")
        for resnet, attention in zip(block.resnets, attentions, strict=True):
            maps.last = residual_block(g, resnet, maps.last, told)
            if attention is not None:
                maps.part()
                maps.last = transformer(g, attention, maps.last, told)
            maps.passed.append(maps.last)
        for layer in block.downsamplers or ():
            maps.last = downsample(g, layer, maps.last)
            maps.passed.append(maps.last)
    maps.part()
    return maps.last, maps.passed


class _Maps:
    """The maps of a UNet's first half. Until something tells the tasks apart, one stands for all of them.

    Attributes:
        last: The one at hand.
        passed: What the second half reads too.
    """

    def __init__(self, g: Graph, first: str, tasks: int) -> None:
        self.last, self.passed = first, [first]
        self._g, self._tasks = g, tasks

    def part(self) -> None:
        """Give each task maps of its own, unless it has them: (B, ...) -> (T * B, ...)."""
        if self._tasks > 1:
            self.last, *self.passed = (
                self._g.op("Concat", *[x] * self._tasks, axis=0) for x in (self.last, *self.passed)
            )
            self._tasks = 1


def _denoised(g: Graph, layer: Any, h: str, step: DenoisingStep, unscale: float) -> str:
    """The UNet's last convolution, and what the step makes of it: unscaled latents."""
    if step.clip is None:
        factor = step.x0_factor * step.final_signal + step.noise_factor * step.final_noise
        return convolution(g, scaled(layer, factor * unscale), h)
    x0 = convolution(g, scaled(layer, step.x0_factor), h)
    x0 = g.op("Clip", x0, g.scalar(-step.clip), g.scalar(step.clip))
    result = g.op("Mul", x0, g.scalar(step.final_signal * unscale))
    if step.final_noise:
        noise = convolution(g, scaled(layer, step.noise_factor * step.final_noise * unscale), h)
        result = g.op("Add", result, noise)
    return result


def _attentions(block: Any, without: str, with_prompt: str) -> Sequence[Any]:
    kind = type(block).__name__
    expect(kind in (without, with_prompt), f"blocks of {without} or {with_prompt}, not {kind}")
    attentions: Sequence[Any] = block.attentions if kind == with_prompt else [None] * len(block.resnets)
    return attentions


def _unet_middle(g: Graph, block: Any, x: str, told: Conditions) -> str:
    if block is None:
        return x
    kind = type(block).__name__
    expect(kind == "UNetMidBlock2DCrossAttn", f"a middle of UNetMidBlock2DCrossAttn, not {kind}")
    first, *others = block.resnets
    h = residual_block(g, first, x, told)
    for attention, resnet in zip(block.attentions, others, strict=True):
        h = residual_block(g, resnet, transformer(g, attention, h, told), told)
    return h


def _split(g: Graph, x: str, count: int) -> list[str]:
    """Part a batch of T * B maps by task."""
    if count == 1:
        return [x]
    images = g.op("Div", g.op("Shape", x, start=0, end=1), g.integers(count))
    ends = [g.op("Mul", images, g.integers(i)) for i in range(count + 1)]
    return [g.op("Slice", x, ends[i], ends[i + 1], g.integers(0)) for i in range(count)]
