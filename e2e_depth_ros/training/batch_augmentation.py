"""The variations of `augmentation`, for a whole batch at once, on the device that trains.

A GPU takes in more images in a second than a dozen processes can vary one by one. What varies, and by how
much, is the same recipe's; the numbers drawn are others. Each change falls on as many rows of the batch as
its probability says, drawn anew each time, so that nothing has to wait for the device to count them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from e2e_depth_ros.training.augmentation import BORDERS
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.recipe import AugmentationRecipe

_JPEG_BLOCK = 8
# Table K.1 and K.2 of ITU-T T.81, which encoders scale by the quality.
_LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_YCC_FROM_RGB = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_RGB_FROM_YCC = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


class BatchAugmentation:
    """Varies batches: see `augmentation.augment` for what each change is.

    Args:
        recipe: What varies, and how often.
        device: Of the batches.
        seed: Of everything random.
    """

    def __init__(self, recipe: AugmentationRecipe, device: torch.device, seed: int) -> None:
        self._recipe = recipe
        self._device = device
        self._random = torch.Generator(device).manual_seed(seed)
        self._host_random = np.random.default_rng(seed)

    def __call__(self, batch: Batch, size: tuple[int, int]) -> Batch:
        """Return a random crop of each image at the size wanted, with its camera's faults.

        Args:
            batch: Images of one size, whole.
            size: (h, w) of the result.
        """
        count = len(batch.images)
        roll = self._happens(count, self._recipe.roll) * self._normal(count) * self._recipe.roll_deg
        zoom = torch.where(
            self._happens(count, 0.7) > 0,
            self._uniform(count, self._recipe.min_zoom, 1),
            torch.ones(count, device=self._device),
        )
        cropped = crop_batch(
            batch,
            size,
            zoom=zoom,
            position=self._uniform((2, count)),
            roll_rad=torch.deg2rad(roll),
            mirrored=self._happens(count, self._recipe.flip) > 0,
        )
        values = self.vary_camera(cropped.images.float() / 255)
        return cropped._replace(images=(values.clamp(0, 1) * 255).round().to(torch.uint8))

    def vary_camera(self, values: Tensor) -> Tensor:
        """Vary colours, light, sharpness, noise and compression, in a camera's order.

        Args:
            values: (B, 3, H, W), RGB in 0..1.
        """
        recipe = self._recipe
        changes: list[tuple[float, Callable[[Tensor], Tensor]]] = [
            (recipe.overexposure, self._overexposed),
            (recipe.exposure, self._exposed),
            (recipe.vignetting, self._vignetted),
            (recipe.white_balance, self._balanced),
            (recipe.swap_channels, self._swapped),
            (recipe.saturation, self._saturated),
            (recipe.grayscale, lambda rows: rows.mean(dim=1, keepdim=True).expand_as(rows)),
            (recipe.filter, self._filtered),
            (recipe.gamma, self._bent),
            (recipe.blur, self._sharpened),
            (recipe.noise, self._noisy),
            (recipe.jpeg, self._compressed),
            (recipe.cutout, self._cut),
            (recipe.border, self._bordered),
        ]
        values = values.clone()
        for probability, change in changes:
            rows = self._some(len(values), probability)
            if len(rows):
                values[rows] = change(values[rows]).clamp(0, 1)
        return values

    def _overexposed(self, values: Tensor) -> Tensor:
        """Scale the light so that a drawn share of the pixels, at most half, is at the sensor's limit."""
        brightest = values.amax(dim=1).flatten(1)[:, ::5].sort(dim=1).values
        rank = ((1 - self._uniform(len(values), 0.02, 0.5)) * (brightest.shape[1] - 1)).long()
        light = brightest.gather(1, rank[:, None])[..., None, None]
        return values * (1 / light.clamp(0.1, 1))

    def _exposed(self, values: Tensor) -> Tensor:
        mean = values.mean(dim=(1, 2, 3), keepdim=True)
        contrast, brightness = self._gain((2, len(values), 1, 1, 1), 0.25).unbind()
        return (values - mean) * contrast + mean * brightness

    def _vignetted(self, values: Tensor) -> Tensor:
        count, _, height, width = values.shape
        y = torch.linspace(-1, 1, height, device=self._device)[:, None]
        x = torch.linspace(-1, 1, width, device=self._device)[None]
        slope_x, slope_y = (0.15 * self._normal((2, count, 1, 1, 1))).unbind()
        corners = self._uniform((count, 1, 1, 1), 0, 0.3)
        return values * (1 + slope_x * x + slope_y * y - corners * (x * x + y * y) / 2)

    def _balanced(self, values: Tensor) -> Tensor:
        return values * self._gain((len(values), 3, 1, 1), 0.1)

    def _swapped(self, values: Tensor) -> Tensor:
        order = self._uniform((len(values), 3)).argsort(dim=1)
        return values.gather(1, order[..., None, None].expand_as(values))

    def _saturated(self, values: Tensor) -> Tensor:
        gray = values.mean(dim=1, keepdim=True)
        return gray + (values - gray) * self._uniform((len(values), 1, 1, 1), 0.2, 1.6)

    def _filtered(self, values: Tensor) -> Tensor:
        """Mix with a random convolution over all channels (Xu et al., arXiv 2007.13003)."""
        count = len(values)
        kernels = self._normal((count, 3, 3, 5, 5))
        # 1, 3 or 5 pixels wide: the outer weights of a smaller one are zero.
        reach = torch.tensor([2, 1, 0, 1, 2], device=self._device)
        reach = torch.maximum(reach[:, None], reach[None])
        kernels = kernels * (reach <= self._whole((count, 1, 1, 1, 1), 3))
        filtered = _convolved_each(values, kernels)
        dims = (1, 2, 3)
        contrast = values.std(dims, keepdim=True) / filtered.std(dims, keepdim=True).clamp(min=1e-6)
        filtered = (filtered - filtered.mean(dims, keepdim=True)) * contrast + values.mean(dims, keepdim=True)
        return values.lerp(filtered, self._uniform((count, 1, 1, 1), 0.3, 0.9))

    def _bent(self, values: Tensor) -> Tensor:
        return values.clamp(0, 1) ** self._gain((len(values), 1, 1, 1), 0.3)

    def _sharpened(self, values: Tensor) -> Tensor:
        """Blur half, lower the resolution of a third of the rest, sharpen the others."""
        count = len(values)
        draw = self._uniform((count, 1, 1, 1))
        blurred = blur_batch(values, self._uniform(count, 0.3, 1.1))
        # A coarser image that was brought back to its size: about the blur of both steps.
        coarse = blur_batch(values, self._uniform(count, 0.5, 1.0))
        edges = values - blur_batch(values, torch.ones(count, device=self._device))
        sharp = values + edges * self._uniform((count, 1, 1, 1), 0.3, 1.2)
        return torch.where(draw < 0.5, blurred, torch.where(draw < 0.8, coarse, sharp))

    def _noisy(self, values: Tensor) -> Tensor:
        count = len(values)
        coloured, gray = self._normal(values.shape), self._normal((count, 1, *values.shape[2:]))
        noise = torch.where(self._uniform((count, 1, 1, 1)) < 0.6, coloured, gray)
        return values + self._uniform((count, 1, 1, 1), 0, 0.05) * noise

    def _compressed(self, values: Tensor) -> Tensor:
        return compress_batch(values, self._uniform(len(values), 25, 92))

    def _cut(self, values: Tensor) -> Tensor:
        count, _, height, width = values.shape
        inside = torch.ones((), dtype=torch.bool, device=self._device)
        for dim, length in ((2, height), (3, width)):
            extent = length * self._uniform((count, 1, 1, 1), 1 / 12, 1 / 3)
            begin = self._uniform((count, 1, 1, 1)) * (length - extent)
            at = torch.arange(length, device=self._device).view([-1 if d == dim else 1 for d in range(4)])
            inside = inside & (at >= begin) & (at < begin + extent)
        return torch.where(inside, self._uniform((count, 3, 1, 1)), values)

    def _bordered(self, values: Tensor) -> Tensor:
        """Paint over the outermost rows and columns; see `augmentation` for why depth below is kept."""
        count, _, height, width = values.shape
        sides = torch.tensor(BORDERS, device=self._device)[self._whole(count, len(BORDERS))]
        shares = self._uniform((count, 1), 0.01, 0.125) * sides
        uneven = self._uniform((count, 1)) < 0.3
        shares = torch.where(uneven, shares * self._uniform((count, 4), 0.2, 1), shares)
        top, bottom, left, right = shares[..., None, None, None].unbind(dim=1)
        y = (torch.arange(height, device=self._device)[:, None] + 0.5) / height
        x = (torch.arange(width, device=self._device)[None] + 0.5) / width
        outside = (y < top) | (y > 1 - bottom) | (x < left) | (x > 1 - right)
        draw = self._uniform((count, 1, 1, 1))
        colour = torch.where(draw < 0.8, (draw < 0.4).float(), self._uniform((count, 3, 1, 1)))
        return torch.where(outside, colour, values)

    def _some(self, count: int, probability: float) -> Tensor:
        """Draw the rows that something happens to: as many as the probability says, rounded at random."""
        expected = count * probability
        # By the host's numbers: those of the device would have to be waited for.
        chosen = int(expected) + int(self._host_random.random() < expected - int(expected))
        return torch.randperm(count, generator=self._random, device=self._device)[:chosen]

    def _happens(self, count: int, probability: float) -> Tensor:
        return (self._uniform(count) < probability).float()

    def _gain(self, shape: tuple[int, ...], deviation: float) -> Tensor:
        return torch.exp(self._recipe.strength * deviation * self._normal(shape))

    def _normal(self, shape: int | tuple[int, ...] | torch.Size) -> Tensor:
        return torch.randn(shape, generator=self._random, device=self._device)

    def _uniform(self, shape: int | tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(shape, generator=self._random, device=self._device) * (high - low) + low

    def _whole(self, shape: int | tuple[int, ...], below: int) -> Tensor:
        shape = (shape,) if isinstance(shape, int) else shape
        return torch.randint(below, shape, generator=self._random, device=self._device)


def crop_batch(
    batch: Batch,
    size: tuple[int, int],
    *,
    zoom: Tensor,
    position: Tensor,
    roll_rad: Tensor,
    mirrored: Tensor,
) -> Batch:
    """Cut a rectangle out of each image, as `augmentation.crop` does, perhaps of its mirror image.

    Args:
        batch: Images of one size.
        size: (h, w) of the result.
        zoom: (B,), edge of the rectangle as a share of the largest one that fits, in (0, 1].
        position: (2, B), where in what is left (vertical, horizontal), 0..1 each.
        roll_rad: (B,), the camera's roll about its optical axis, clockwise in the image, radians.
        mirrored: (B,), whether left and right are swapped before.
    """
    (height, width), (h, w) = batch.depth_m.shape[1:], size
    c, s = torch.cos(roll_rad), torch.sin(roll_rad)
    # Half the sides of the upright box around the rolled rectangle, for a scale of 1.
    half_height, half_width = (h * c.abs() + w * s.abs()) / 2, (w * c.abs() + h * s.abs()) / 2
    scale = zoom * torch.minimum(height / (2 * half_height), width / (2 * half_width))
    centre_y = scale * half_height + position[0] * (height - 2 * scale * half_height)
    centre_x = scale * half_width + position[1] * (width - 2 * scale * half_width)
    # On coordinates with pixel centres at + 0.5, from the centre of the target.
    y = (torch.arange(h, device=scale.device) + 0.5 - h / 2)[:, None]
    x = (torch.arange(w, device=scale.device) + 0.5 - w / 2)[None]
    c_, s_, scale_ = (values[:, None, None] for values in (c, s, scale))
    source_x = (scale_ * (c_ * x - s_ * y) + centre_x[:, None, None]) * (2 / width) - 1
    source_y = (scale_ * (s_ * x + c_ * y) + centre_y[:, None, None]) * (2 / height) - 1
    sign = torch.where(mirrored, -1.0, 1.0)[:, None, None]
    grid = torch.stack([sign * source_x, source_y], dim=-1)

    images = batch.images.float()
    # As wide as the antialiasing triangle that inference resizes with (variance scale^2 / 6),
    # less what the bilinear sampling below blurs itself.
    images = blur_batch(images, ((scale.square() - 1).clamp(min=0) / 6).sqrt())
    images = _sampled(images, grid, "bilinear")
    geometry = torch.cat([batch.depth_m.float()[:, None], batch.normals.float()], dim=1)
    depth_m, n_x, n_y, n_z = _sampled(geometry, grid, "nearest").unbind(dim=1)
    n_x = sign * n_x
    normals = torch.stack([c_ * n_x + s_ * n_y, c_ * n_y - s_ * n_x, n_z], dim=1)
    return batch._replace(images=images.round().to(torch.uint8), depth_m=depth_m, normals=normals)


def blur_batch(values: Tensor, sigma_px: Tensor) -> Tensor:
    """Blur each image by a Gaussian of its own, up to a sigma of about 1.5; 0 leaves it as it is.

    Args:
        values: (B, C, H, W).
        sigma_px: (B,).
    """
    reach = 4
    at = torch.arange(-reach, reach + 1, device=values.device)
    kernel = torch.exp(-at.square() / (2 * sigma_px.clamp(min=0.05).square()[:, None]))
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).to(values.dtype)  # (B, 9)
    count, channels, height, width = values.shape
    rows = kernel.repeat_interleave(channels, dim=0)
    flat = values.reshape(1, count * channels, height, width)
    flat = functional.pad(flat, (reach, reach, reach, reach), mode="replicate")
    flat = functional.conv2d(flat, rows[:, None, None], groups=count * channels)
    flat = functional.conv2d(flat, rows[:, None, :, None], groups=count * channels)
    return flat.view(values.shape)


def compress_batch(values: Tensor, quality: Tensor) -> Tensor:
    """Return what a baseline JPEG with halved chroma keeps, up to the rounding of its integers.

    Args:
        values: (B, 3, H, W), RGB in 0..1.
        quality: (B,), 1..100, as encoders count it.
    """
    ycc = torch.einsum("ij,bjhw->bihw", values.new_tensor(_YCC_FROM_RGB), values * 255)
    factor = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    luma, chroma = ycc[:, :1] - 128, ycc[:, 1:]
    luma = _quantised(luma, factor, values.new_tensor(_LUMA_STEPS))
    halved = functional.avg_pool2d(chroma, 2, ceil_mode=True, count_include_pad=False)
    halved = _quantised(halved, factor, values.new_tensor(_CHROMA_STEPS))
    chroma = functional.interpolate(halved, scale_factor=2, mode="nearest")[
        ..., : luma.shape[2], : luma.shape[3]
    ]
    ycc = torch.cat([luma + 128, chroma], dim=1)
    return torch.einsum("ij,bjhw->bihw", values.new_tensor(_RGB_FROM_YCC), ycc).clamp(0, 255) / 255


def _quantised(plane: Tensor, factor: Tensor, steps: Tensor) -> Tensor:
    """Round the cosines of each block to multiples of the table's steps, (B, C, H, W)."""
    count, channels, height, width = plane.shape
    n = _JPEG_BLOCK
    padded = functional.pad(plane, (0, -width % n, 0, -height % n), mode="replicate")
    down, across = padded.shape[2] // n, padded.shape[3] // n
    blocks = padded.view(count, channels, down, n, across, n)
    at = torch.arange(n, device=plane.device)
    basis = torch.cos(math.pi * (2 * at[None] + 1) * at[:, None] / (2 * n)) * math.sqrt(2 / n)
    basis[0] /= math.sqrt(2)
    cosines = torch.einsum("ki,bcdiaj,lj->bcdkal", basis, blocks, basis)
    table = ((factor * steps + 50) / 100).floor().clamp(1, 255)[:, None, None, :, None, :]
    cosines = (cosines / table).round() * table
    blocks = torch.einsum("ki,bcdkal,lj->bcdiaj", basis, cosines, basis)
    return blocks.reshape(padded.shape)[..., :height, :width]


def _convolved_each(values: Tensor, kernels: Tensor) -> Tensor:
    """Convolve each image, (B, 3, H, W), by a kernel of its own, (B, 3, 3, k, k)."""
    count, channels, height, width = values.shape
    reach = kernels.shape[-1] // 2
    flat = functional.pad(values.reshape(1, -1, height, width), (reach,) * 4, mode="reflect")
    flat = functional.conv2d(flat, kernels.flatten(0, 1), groups=count)
    return flat.view(count, channels, height, width)


def _sampled(values: Tensor, grid: Tensor, mode: str) -> Tensor:
    return functional.grid_sample(values, grid, mode=mode, padding_mode="border", align_corners=False)
