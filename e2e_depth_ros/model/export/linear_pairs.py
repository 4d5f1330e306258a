"""Two convolutions with nothing between them, as one: that is how a small autoencoder begins and ends.

A convolution of a convolution is one of a larger kernel, which takes a fraction of the products where the
channels between the two are many and those around them few. At the edges it is another one: the second
convolution reads zeros outside of the first one's result, not what the first would have had there. So the
first and the last pixels have kernels of their own, without those taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import torch
from torch import Tensor, nn

from e2e_depth_ros.model.export.graph import Graph

_TAPS: Final = 3  # of each of the two
_TO_END: Final = (1 << 31) - 1


class _Part(Enum):
    """Which input pixels along an axis: the first, those between, or the last."""

    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"


@dataclass(frozen=True)
class LinearPair:
    """Two convolutions of 3x3, maybe after each pixel was repeated.

    Attributes:
        first: With a stride of 1.
        second: Reads what the first makes; with a stride of 1, or 2 where pixels aren't repeated.
        repeats: How often each pixel is repeated along each axis before, 1 or 2.
    """

    first: nn.Conv2d
    second: nn.Conv2d
    repeats: int = 1

    @property
    def is_cheaper(self) -> bool:
        """Whether one convolution takes less products than the two."""
        into, between, out = self.first.in_channels, self.first.out_channels, self.second.out_channels
        results = 1 / self._stride**2  # for each pixel that the first makes
        apart = _TAPS**2 * between * (into + out * results)
        return self._taps**2 * into * out * results < apart

    @property
    def least_pixels(self) -> int:
        """How many pixels the input must have along each axis, so that each part has some."""
        return 4 if self._stride == 2 else 3

    def write(self, g: Graph, x: str) -> str:
        """Write the pair as nodes; with a stride of 2 the input's size is even."""
        rows = [
            g.op("Concat", *(self._convolution(g, x, row, column) for column in self._parts), axis=3)
            for row in self._parts
        ]
        whole = g.op("Concat", *rows, axis=2)
        return whole if self.repeats == 1 else g.op("DepthToSpace", whole, blocksize=self.repeats, mode="CRD")

    @property
    def _stride(self) -> int:
        return int(self.second.stride[0])

    @property
    def _taps(self) -> int:
        """How many input pixels one result sees along an axis; all repeats of a pixel are results."""
        return _TAPS if self.repeats > 1 else 2 * _TAPS - 1

    @property
    def _parts(self) -> Sequence[_Part]:
        """With a stride of 2 the last result reads no further than the last pixel."""
        return tuple(_Part) if self._stride == 1 else (_Part.FIRST, _Part.MIDDLE)

    def _convolution(self, g: Graph, x: str, row: _Part, column: _Part) -> str:
        reach = self._taps // 2
        bounds = {_Part.FIRST: (0, reach + 1), _Part.LAST: (-reach - 1, _TO_END)}
        cuts = [(axis, *bounds[part]) for axis, part in ((2, row), (3, column)) if part in bounds]
        if cuts:
            axes, starts, ends = zip(*cuts, strict=True)
            x = g.op("Slice", x, g.integers(*starts), g.integers(*ends), g.integers(*axes))
        pads = {
            _Part.FIRST: (reach, 0),
            _Part.MIDDLE: (reach - self._stride, reach - 1),
            _Part.LAST: (0, reach),
        }
        (up, down), (left, right) = pads[row], pads[column]
        # One result along an axis needs no stride there; OpenVINO 2026.4 has wrong columns of one result with
        # one, in bfloat16 by AMX.
        strides = [self._stride if part is _Part.MIDDLE else 1 for part in (row, column)]
        weight, bias = self._weights(row, column)
        return g.op(
            "Conv",
            x,
            g.weight(weight),
            g.weight(bias),
            strides=strides,
            pads=[up, left, down, right],
        )

    def _weights(self, row: _Part, column: _Part) -> tuple[Tensor, Tensor]:
        """Return the kernel (out * repeats^2, in, taps, taps) and the bias of one part."""
        first, second = self.first.weight.detach().double(), self.second.weight.detach().double()
        rows, columns = self._taps_of(row), self._taps_of(column)
        weight = torch.einsum("omyx,miuv,ayut,bxvs->oabits", second, first, rows, columns)
        bias = torch.zeros(weight.shape[:3]).double()
        if self.first.bias is not None:
            between = self.first.bias.detach().double()
            bias += torch.einsum(
                "omyx,m,ay,bx->oab", second, between, rows.amax((2, 3)), columns.amax((2, 3))
            )
        if self.second.bias is not None:
            bias += self.second.bias.detach().double()[:, None, None]
        dtype = self.first.weight.dtype
        return weight.flatten(0, 2).to(dtype).contiguous(), bias.flatten().to(dtype)

    def _taps_of(self, part: _Part) -> Tensor:
        """Tell which pixel a result reads by which taps, 0 or 1: (repeats, of second, of first, pixels)."""
        reads = torch.zeros(self.repeats, _TAPS, _TAPS, self._taps, dtype=torch.float64)
        for result in range(self.repeats):
            for second in range(_TAPS):
                is_before = part is _Part.FIRST and result + second == 0
                is_after = part is _Part.LAST and result + second == self.repeats + 1
                if not is_before and not is_after:
                    for first in range(_TAPS):
                        offset = result + second + first - 2  # both have a tap before their own pixel
                        reads[result, second, first, offset // self.repeats + self._taps // 2] = 1
        return reads


def leading_pair(layers: Sequence[nn.Module], pixels: int) -> LinearPair | None:
    """Find out whether layers begin with a pair that is cheaper as one convolution.

    Args:
        layers: In their order.
        pixels: How many the first one reads along each axis, at least.
    """
    repeats = 2 if layers and repeats_pixels(layers[0]) else 1
    two = [layer for layer in layers[repeats - 1 : repeats + 1] if isinstance(layer, nn.Conv2d)]
    if len(two) < 2 or not all(_is_plain(layer) for layer in two):
        return None
    pair = LinearPair(two[0], two[1], repeats)
    strides = [(1, 1)] if repeats > 1 else [(1, 1), (2, 2)]
    fits = pair.first.stride == (1, 1) and pair.second.stride in strides and pixels >= pair.least_pixels
    return pair if fits and pair.is_cheaper else None


def repeats_pixels(layer: nn.Module) -> bool:
    """Whether a layer makes a map twice as large by repeating its pixels."""
    return isinstance(layer, nn.Upsample) and (layer.mode, layer.scale_factor) == ("nearest", 2)


def _is_plain(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == (_TAPS, _TAPS)
        and (layer.padding, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
        and layer.padding_mode == "zeros"
    )
