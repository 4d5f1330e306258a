"""Variations of a training image: crop, roll, mirror, and what cameras do to colours and edges.

Plain numpy and OpenCV, for the processes that prepare batches. Everything random comes from the generator
that is handed in.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.training.recipe import AugmentationRecipe

# Top, bottom, left, right: a frame, letterbox and pillarbox bars, one side.
BORDERS = ((1, 1, 1, 1), (1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


class View(NamedTuple):
    """An image and its geometry, seen through a crop.

    Convention:
        Normals in the optical frame of the (possibly rolled or mirrored) camera that sees this image:
        x right, y down, z forward. Depth stays what it was: neither crops nor rolls change z.

    Attributes:
        image: (h, w, 3), uint8, RGB.
        depth_m: (h, w), float32, 0 = unknown.
        normals: (h, w, 3), float32, unit length, 0, 0, 0 = unknown.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    normals: NDArray[np.float32]


def augment(view: View, size: tuple[int, int], recipe: AugmentationRecipe, rng: np.random.Generator) -> View:
    """Return a random crop of a view at the size wanted, with its camera's faults.

    Args:
        view: Of any size.
        size: (h, w) of the result.
        recipe: What varies, and how often.
        rng: The only source of randomness.
    """
    view = mirrored(view) if rng.random() < recipe.flip else view
    roll_rad = math.radians(rng.normal(0, recipe.roll_deg)) if rng.random() < recipe.roll else 0.0
    zoom = rng.uniform(recipe.min_zoom, 1) if rng.random() < 0.7 else 1.0
    view = crop(view, size, zoom=zoom, position=(rng.random(), rng.random()), roll_rad=roll_rad)
    return view._replace(image=vary_camera(view.image, recipe, rng))


def mirrored(view: View) -> View:
    """Mirror left and right; the normals' x changes its sign."""
    flipped = View(view.image[:, ::-1].copy(), view.depth_m[:, ::-1].copy(), view.normals[:, ::-1].copy())
    flipped.normals[..., 0] *= -1
    return flipped


def crop(
    view: View, size: tuple[int, int], *, zoom: float, position: tuple[float, float], roll_rad: float
) -> View:
    """Cut out a rectangle of the wanted aspect, possibly rolled, and bring it to the wanted size.

    Args:
        view: Of any size.
        size: (h, w) of the result.
        zoom: Edge of the rectangle as a share of the largest one that fits, in (0, 1].
        position: Where in what is left (vertical, horizontal), 0..1 each.
        roll_rad: The camera's roll about its optical axis, clockwise in the image, radians.
    """
    (height, width), (h, w) = view.depth_m.shape, size
    c, s = math.cos(roll_rad), math.sin(roll_rad)
    # Half the sides of the upright box around the rolled rectangle, for a scale of 1.
    half_height, half_width = (h * abs(c) + w * abs(s)) / 2, (w * abs(c) + h * abs(s)) / 2
    scale = zoom * min(height / (2 * half_height), width / (2 * half_width))
    centre_y = scale * half_height + position[0] * (height - 2 * scale * half_height)
    centre_x = scale * half_width + position[1] * (width - 2 * scale * half_width)
    # Source = scale * R * (target - its centre) + centre, on coordinates with pixel centres at + 0.5.
    linear = scale * np.array([[c, -s], [s, c]])
    offset = np.array([centre_x, centre_y]) - linear @ np.array([w / 2, h / 2])
    offset += linear @ np.array([0.5, 0.5]) - 0.5
    matrix = np.concatenate([linear, offset[:, None]], axis=1)

    image = view.image
    if scale > 1.05:
        # As wide as the antialiasing triangle that inference resizes with (variance scale^2 / 6),
        # less what the bilinear sampling below blurs itself.
        sigma = math.sqrt((scale**2 - 1) / 6)
        image = _blurred(image, sigma)
    normals = _warped(view.normals, matrix, size, cv2.INTER_NEAREST)
    if roll_rad:
        x, y = normals[..., 0].copy(), normals[..., 1].copy()
        normals[..., 0], normals[..., 1] = c * x + s * y, c * y - s * x
    return View(
        image=_warped(image, matrix, size, cv2.INTER_LINEAR),
        depth_m=_warped(view.depth_m, matrix, size, cv2.INTER_NEAREST),
        normals=normals,
    )


def vary_camera(
    image: NDArray[np.uint8], recipe: AugmentationRecipe, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Vary colours, light, sharpness, noise and compression, (H, W, 3) uint8 RGB.

    The order is a camera's: light, sensor, processing, compression.
    """
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    # These two came later: while they are off, they draw nothing and a run goes on as it began.
    if recipe.overexposure and rng.random() < recipe.overexposure:
        values = _overexposed(values, rng)
    values = _vary_light(values, recipe, rng)
    values = _vary_colours(values, recipe, rng)
    values = np.clip(values, 0, 1)
    if rng.random() < recipe.filter:
        values = _vary_texture(values, rng)
    if rng.random() < recipe.gamma:
        values **= math.exp(recipe.strength * rng.normal(0, 0.3))
    if rng.random() < recipe.blur:
        values = _vary_sharpness(values, rng)
    if rng.random() < recipe.noise:
        channels = 3 if rng.random() < 0.6 else 1
        sigma = np.float32(rng.uniform(0, 0.05))
        values = values + sigma * rng.standard_normal((*image.shape[:2], channels), dtype=np.float32)
    varied: NDArray[np.uint8] = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    if rng.random() < recipe.jpeg:
        _, encoded = cv2.imencode(".jpg", varied, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 92))])
        varied = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    if rng.random() < recipe.cutout:
        height, width = image.shape[:2]
        h, w = rng.integers(height // 12, height // 3 + 1), rng.integers(width // 12, width // 3 + 1)
        y, x = rng.integers(0, height - h), rng.integers(0, width - w)
        varied[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    if recipe.border and rng.random() < recipe.border:
        _paint_border(varied, rng)
    return varied


def _overexposed(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Scale the light so that a drawn share of the pixels, at most half, is at the sensor's limit."""
    light = np.quantile(values.max(axis=-1), 1 - rng.uniform(0.02, 0.5))
    return np.asarray(np.minimum(values * max(np.float32(1), np.float32(1 / max(light, 0.1))), 1))


def _paint_border(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Paint over the outermost rows and columns, at most an eighth of the image on a side, in place.

    Depth and normals below are kept, as they are below a cutout: a border is no thing before the scene, and
    where depth is unknown the loss wants it far.
    """
    height, width = image.shape[:2]
    sides = BORDERS[rng.integers(len(BORDERS))]
    shares = np.full(4, rng.uniform(0.01, 0.125))
    if rng.random() < 0.3:
        shares *= rng.uniform(0.2, 1, 4)
    top, bottom, left, right = (
        round(share * length * side)
        for share, length, side in zip(shares, (height, height, width, width), sides, strict=True)
    )
    draw = rng.random()
    colour = 255 if draw < 0.4 else 0 if draw < 0.8 else rng.integers(0, 256, 3)
    image[:top] = image[height - bottom :] = colour
    image[:, :left] = image[:, width - right :] = colour


def _vary_light(
    values: NDArray[np.float32], recipe: AugmentationRecipe, rng: np.random.Generator
) -> NDArray[np.float32]:
    if rng.random() < recipe.exposure:
        mean = values.mean()
        contrast, brightness = np.exp(recipe.strength * rng.normal(0, 0.25, 2)).astype(np.float32)
        values = (values - mean) * contrast + mean * brightness
    if rng.random() < recipe.vignetting:
        height, width = values.shape[:2]
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None]
        slope_x, slope_y = rng.normal(0, 0.15, 2).astype(np.float32)
        corners = np.float32(rng.uniform(0, 0.3))
        gain = 1 + slope_x * x + slope_y * y - corners * (x * x + y * y) / 2
        values = values * gain[..., None]
    return values


def _vary_colours(
    values: NDArray[np.float32], recipe: AugmentationRecipe, rng: np.random.Generator
) -> NDArray[np.float32]:
    if rng.random() < recipe.white_balance:
        values = values * np.exp(recipe.strength * rng.normal(0, 0.1, 3)).astype(np.float32)
    if rng.random() < recipe.swap_channels:
        values = values[..., rng.permutation(3)]
    if rng.random() < recipe.grayscale:
        values = np.repeat(values.mean(axis=-1, keepdims=True), 3, axis=-1)
    elif rng.random() < recipe.saturation:
        gray = values.mean(axis=-1, keepdims=True)
        values = gray + (values - gray) * np.float32(rng.uniform(0.2, 1.6))
    return values


def _vary_texture(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Mix with a random convolution over all channels, of the same mean and contrast.

    After Xu et al., arXiv 2007.13003: what textures look like changes, where things are does not.
    """
    size = int(rng.choice([1, 3, 5]))
    kernels = rng.standard_normal((3, 3, size, size))
    filtered = np.stack(
        [sum(cv2.filter2D(values[..., i], -1, kernel[i]) for i in range(3)) for kernel in kernels], axis=-1
    )
    contrast = values.std() / max(filtered.std(), 1e-6)
    filtered = (filtered - filtered.mean()) * contrast + values.mean()
    share = np.float32(rng.uniform(0.3, 0.9))
    return np.asarray(np.clip(values + share * (filtered - values), 0, 1), dtype=np.float32)


def _vary_sharpness(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    choice = rng.random()
    if choice < 0.5:
        return _blurred(values, rng.uniform(0.3, 1.1))
    if choice < 0.8:
        height, width = values.shape[:2]
        share = rng.uniform(0.45, 0.9)
        small = (max(1, round(width * share)), max(1, round(height * share)))
        coarse = cv2.resize(values, small, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    sharpened = values + (values - _blurred(values, 1.0)) * np.float32(rng.uniform(0.3, 1.2))
    return np.asarray(np.clip(sharpened, 0, 1), dtype=np.float32)


def _blurred(values: NDArray[Any], sigma: float) -> NDArray[Any]:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma))


def _warped(
    array: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int], interpolation: int
) -> NDArray[Any]:
    flags = interpolation | cv2.WARP_INVERSE_MAP
    height, width = size
    return np.asarray(
        cv2.warpAffine(array, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )
