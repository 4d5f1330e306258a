"""Gray patterns that tile the plane, each with a pyramid: what surfaces look like without their colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

TEXELS = 128
"""Side of a pattern, texels; a power of two, so that wrapping around is a bit mask."""

_LEVELS = 7
_VARIANTS = 8


@dataclass(frozen=True, eq=False)
class PatternBank:
    """Every pattern and its pyramid, flat in memory.

    Attributes:
        texels: All texels, level after level; 0 shows a material's first colour, 1 its second.
        names: For each kind of pattern the numbers of its variants.
        count: Number of patterns.
    """

    texels: Array
    names: dict[str, range]
    count: int

    def sample(self, pattern: NDArray[np.int32], u: Array, v: Array, footprint: Array) -> Array:
        """Look patterns up, bilinearly, at the pyramid level that fits the pixel.

        Args:
            pattern: (N,), number of the pattern.
            u: (N,), coordinate in periods of the pattern.
            v: (N,), the other coordinate.
            footprint: (N,), width of a pixel on the surface, in periods.

        Returns:
            (N,), about 0 to 1.
        """
        level = np.clip(np.log2(np.maximum(footprint, 1e-6) * TEXELS), 0, _LEVELS - 1).astype(np.int32)
        side = (TEXELS >> level).astype(np.int32)
        begin = _level_begins(self.count)[level] + pattern * side * side
        wrap = side - 1
        x, y = u * side - np.float32(0.5), v * side - np.float32(0.5)
        floor_x, floor_y = np.floor(x), np.floor(y)
        weight_x, weight_y = x - floor_x, y - floor_y
        left, top = floor_x.astype(np.int32) & wrap, floor_y.astype(np.int32) & wrap
        right, bottom = (left + 1) & wrap, begin + ((top + 1) & wrap) * side
        top = begin + top * side
        upper = self.texels[top + left] * (1 - weight_x) + self.texels[top + right] * weight_x
        lower = self.texels[bottom + left] * (1 - weight_x) + self.texels[bottom + right] * weight_x
        return np.asarray(upper * (1 - weight_y) + lower * weight_y)


@lru_cache(maxsize=1)
def pattern_bank() -> PatternBank:
    """Build the bank, once a process; it is always the same."""
    rng = np.random.default_rng(20)
    patterns: list[Array] = []
    names: dict[str, range] = {}
    for name, make in _MAKERS.items():
        names[name] = range(len(patterns), len(patterns) + _VARIANTS)
        patterns += [make(rng).astype(np.float32) for _ in range(_VARIANTS)]
    levels = []
    for level in range(_LEVELS):
        side = TEXELS >> level
        levels += [cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA).ravel() for p in patterns]
    return PatternBank(np.concatenate(levels), names, len(patterns))


@lru_cache(maxsize=4)
def _level_begins(count: int) -> NDArray[np.int32]:
    sizes = [count * (TEXELS >> level) ** 2 for level in range(_LEVELS)]
    return np.cumsum([0, *sizes[:-1]]).astype(np.int32)


def smooth_noise(
    rng: np.random.Generator, octaves: int, persistence: float, stretch: tuple[int, int] = (1, 1)
) -> Array:
    """Sum octaves of smoothed random grids, each twice as fine; it tiles. (TEXELS, TEXELS), 0 to 1.

    Args:
        rng: The source of randomness.
        octaves: Number of grids; the first has 4 cells a side.
        persistence: Amplitude of each octave relative to the one before.
        stretch: Finer by these factors along y and x, for grain and blades.
    """
    total = np.zeros((TEXELS, TEXELS), np.float32)
    for octave in range(octaves):
        cells_y, cells_x = (min(TEXELS // 2, 4 * s << octave) for s in stretch)
        grid = np.pad(rng.random((cells_y, cells_x), dtype=np.float32), 2, mode="wrap")
        step_y, step_x = TEXELS // cells_y, TEXELS // cells_x
        size = ((cells_x + 4) * step_x, (cells_y + 4) * step_y)
        fine = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
        total += persistence**octave * fine[2 * step_y :, 2 * step_x :][:TEXELS, :TEXELS]
    low, high = np.quantile(total, [0.01, 0.99])
    return np.asarray(np.clip((total - low) / (high - low), 0, 1), dtype=np.float32)


def _grid() -> tuple[Array, Array]:
    y, x = (np.mgrid[0:TEXELS, 0:TEXELS] / TEXELS).astype(np.float32)
    return y, x


def _cell_values(rng: np.random.Generator, row: Array, column: Array) -> Array:
    table = rng.random((64, 64), dtype=np.float32)
    return np.asarray(table[row.astype(int) % 64, column.astype(int) % 64])


def _cloth(rng: np.random.Generator) -> Array:
    return np.asarray(0.5 + 0.5 * (smooth_noise(rng, 5, 0.8) - 0.5))


def _plaster(rng: np.random.Generator) -> Array:
    return smooth_noise(rng, int(rng.integers(2, 6)), rng.uniform(0.4, 0.7))


def _ground(rng: np.random.Generator) -> Array:
    return smooth_noise(rng, 5, rng.uniform(0.7, 1.1))


def _leaves(rng: np.random.Generator) -> Array:
    clumps, leaves = smooth_noise(rng, 3, 0.6), smooth_noise(rng, 5, 1.0)
    return np.clip(0.5 * clumps + 0.9 * (leaves - 0.25), 0, 1)


def _grain(rng: np.random.Generator) -> Array:
    return smooth_noise(rng, 4, rng.uniform(0.5, 0.9), (8, 1))


def _planks(rng: np.random.Generator) -> Array:
    y, x = _grid()
    rows = 2 ** int(rng.integers(2, 4))
    row = np.floor(y * rows)
    column = np.floor(x * 2 + 0.5 * (row % 2))
    gap = (y * rows % 1 < 0.07) | ((x * 2 + 0.5 * (row % 2)) % 1 < 0.02)
    tone = 0.2 + 0.4 * _cell_values(rng, row, column % 2) + 0.4 * smooth_noise(rng, 4, 0.7, (8, 1))
    return np.where(gap, 1.0, tone)


def _bricks(rng: np.random.Generator) -> Array:
    y, x = _grid()
    row = np.floor(y * 16)
    shifted = x * 8 + 0.5 * (row % 2)
    mortar = (y * 16 % 1 < 0.2) | (shifted % 1 < 0.1)
    tone = 0.1 + 0.3 * _cell_values(rng, row, np.floor(shifted) % 8) + 0.2 * smooth_noise(rng, 5, 0.8)
    return np.where(mortar, 1.0, tone)


def _tiles(rng: np.random.Generator) -> Array:
    y, x = _grid()
    count = 2 ** int(rng.integers(1, 4))
    joint = (y * count % 1 < 0.05) | (x * count % 1 < 0.05)
    tone = 0.4 * _cell_values(rng, np.floor(y * count), np.floor(x * count)) + 0.2 * smooth_noise(rng, 4, 0.7)
    return np.where(joint, 1.0, tone)


def _stripes(rng: np.random.Generator) -> Array:
    _, x = _grid()
    wave = np.sin(2 * np.pi * 2 ** int(rng.integers(1, 5)) * x + rng.uniform(0, 6))
    tone = np.clip(0.5 + rng.uniform(0.5, 2) * wave, 0, 1)
    return np.asarray(tone * (0.8 + 0.2 * smooth_noise(rng, 4, 0.7)))


def _windows(rng: np.random.Generator) -> Array:
    """A facade: 4 floors of 4 windows in one period; curtains and reflections make each one differ."""
    y, x = _grid()
    row, column = np.floor(y * 4), np.floor(x * 4)
    half_width, half_height = rng.uniform(0.18, 0.42), rng.uniform(0.22, 0.4)
    across, up = np.abs(x * 4 % 1 - 0.5), np.abs(y * 4 % 1 - 0.5)
    inside = (across < half_width) & (up < half_height)
    frame = inside & ((across > half_width - 0.04) | (up > half_height - 0.04) | (across < 0.02))
    wall = 0.12 * smooth_noise(rng, 5, 0.8) + 0.1 * (up > half_height + 0.04) * rng.random()
    pane = 0.55 + 0.45 * _cell_values(rng, row, column) * (0.7 + 0.3 * smooth_noise(rng, 3, 0.6))
    return np.where(frame, 0.0, np.where(inside, pane, wall))


def _shutter(rng: np.random.Generator) -> Array:
    y, _ = _grid()
    return np.asarray(0.5 + 0.4 * np.sin(2 * np.pi * 16 * y) + 0.1 * smooth_noise(rng, 4, 0.7))


def _books(rng: np.random.Generator) -> Array:
    y, x = _grid()
    edges = np.sort(rng.random(22))
    book = np.searchsorted(edges, x)
    height = 0.6 + 0.35 * rng.random(23)
    tone = rng.random(23)[book] * (0.75 + 0.25 * smooth_noise(rng, 4, 0.8))
    return np.where(y > 1 - height[book], tone, 0.05)


def _stones(rng: np.random.Generator) -> Array:
    """Cells around random points (Worley 1996), dark in the joints."""
    count = int(rng.integers(30, 90))
    points, tones = rng.random((count, 2)), rng.random(count)
    y, x = _grid()
    offset = np.stack([y, x], -1)[:, :, None] - points  # (T, T, count, 2)
    offset -= np.rint(offset)
    distance = np.sqrt((offset**2).sum(-1))
    nearest = np.argmin(distance, axis=-1)
    two = np.partition(distance, 1, axis=-1)
    joint = two[..., 1] - two[..., 0] < 0.15 / np.sqrt(count)
    return np.where(joint, 1.0, 0.6 * tones[nearest] + 0.2 * smooth_noise(rng, 5, 0.8))


def _label(rng: np.random.Generator) -> Array:
    """A print: a few soft bars and spots, as on packages, pictures and signs."""
    y, x = _grid()
    tone = np.full((TEXELS, TEXELS), rng.random() * 0.3)
    for _ in range(int(rng.integers(2, 7))):
        centre_y, centre_x = rng.random(2)
        height, width = rng.uniform(0.03, 0.3, 2)
        if rng.random() < 0.6:
            inside = (np.abs(y - centre_y) < height) & (np.abs(x - centre_x) < width)
        else:
            inside = ((y - centre_y) / height) ** 2 + ((x - centre_x) / height) ** 2 < 1
        tone[inside] = rng.random()
    return np.asarray(cv2.GaussianBlur(tone, (0, 0), 0.8) * 0.9 + 0.1 * smooth_noise(rng, 4, 0.7))


_MAKERS: dict[str, Callable[[np.random.Generator], NDArray[np.floating]]] = {
    "cloth": _cloth,
    "plaster": _plaster,
    "ground": _ground,
    "leaves": _leaves,
    "grain": _grain,
    "planks": _planks,
    "bricks": _bricks,
    "tiles": _tiles,
    "stripes": _stripes,
    "windows": _windows,
    "shutter": _shutter,
    "books": _books,
    "stones": _stones,
    "label": _label,
}
