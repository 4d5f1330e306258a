"""Fit images to the size that a network works at, and bring its maps back to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.resampling import enlarged, resized

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Framing:
    """How an image is fitted to the network: resized as a whole, then padded at the right and the bottom.

    Convention:
        Sizes are (H, W). Resizing keeps the outer borders of image and map aligned (the half-pixel rule,
        `align_corners=False`), so a pixel at x of the content lies at (x + 0.5) * W / w - 0.5 of the image.
        The same steps as diffusers' Marigold pipelines, so that results agree with theirs. `apply` and
        `invert` are for tensors; `pixels` and `restored` do the same to arrays, without torch.

    Attributes:
        native_size: The image as the camera delivers it.
        content_size: The image after resizing, before padding.
        padded_size: What the network sees.
    """

    native_size: tuple[int, int]
    content_size: tuple[int, int]
    padded_size: tuple[int, int]

    def apply(self, images: Tensor) -> Tensor:
        """Fit images to the network.

        Args:
            images: (B, C, H, W) with H x W the native size, floating point.

        Returns:
            (B, C, h, w) with h x w the padded size; the padding repeats the last row and column.

        Raises:
            InvalidInputError: The tensor has another shape or is not floating point.
        """
        from torch.nn import functional  # noqa: PLC0415 - only where there is a tensor

        _check(images, self.native_size, "images of the native size")
        if self.content_size != self.native_size:
            height, width = self.content_size
            if width == 1:  # on its side: torch 2.13 makes all rows the same of what is one pixel wide
                images = images.transpose(2, 3).contiguous()
                images = functional.interpolate(images, (width, height), mode="bilinear", antialias=True)
                images = images.transpose(2, 3)
            else:
                images = functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
        bottom = self.padded_size[0] - self.content_size[0]
        right = self.padded_size[1] - self.content_size[1]
        if bottom or right:
            images = functional.pad(images, (0, right, 0, bottom), mode="replicate")
        return images

    def invert(self, maps: Tensor) -> Tensor:
        """Bring the network's maps back to the image: cut the padding off, then resize.

        Values are interpolated bilinearly without antialiasing, so directions (normals) want to be
        normalised again afterwards.

        Args:
            maps: (B, C, h, w) with h x w the padded size, floating point.

        Returns:
            (B, C, H, W) with H x W the native size.

        Raises:
            InvalidInputError: The tensor has another shape or is not floating point.
        """
        from torch.nn import functional  # noqa: PLC0415 - only where there is a tensor

        _check(maps, self.padded_size, "maps of the padded size")
        height, width = self.content_size
        maps = maps[:, :, :height, :width]
        if self.content_size != self.native_size:
            batch, channels = maps.shape[:2]
            maps = maps.reshape(batch * channels, 1, height, width)  # on CPUs much faster than 3 channels
            maps = functional.interpolate(maps, self.native_size, mode="bilinear", align_corners=False)
            maps = maps.reshape(batch, channels, *self.native_size)
        return maps

    def pixels(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Fit images to the network, in the range that it wants; see `apply`.

        Args:
            images: B of them, (H, W, 3) with H x W the native size, uint8.

        Returns:
            (B, 3, h, w) with h x w the padded size, -1..1.
        """
        height, width = self.content_size
        bottom, right = self.padded_size[0] - height, self.padded_size[1] - width
        fitted = np.stack([resized(image, self.content_size) for image in images])
        fitted *= np.float32(2 / 255)
        fitted -= np.float32(1)
        if bottom or right:
            fitted = np.pad(fitted, ((0, 0), (0, 0), (0, bottom), (0, right)), mode="edge")
        return fitted

    def restored(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring one of the network's maps back to the image; see `invert`.

        Args:
            plane: (h, w), the padded size.

        Returns:
            (H, W), the native size.
        """
        height, width = self.content_size
        return enlarged(np.ascontiguousarray(plane[:height, :width]), self.native_size)


def framing_for(native_size: tuple[int, int], processing_resolution: int | None, multiple: int) -> Framing:
    """Choose the framing of an image.

    The longer edge becomes `processing_resolution`, for small images too; the shorter one follows, rounded
    down and at least 1 pixel. Then both are padded up to `multiple`.

    Args:
        native_size: (H, W) of the image.
        processing_resolution: Pixels of the longer edge; None or 0 keeps the native size.
        multiple: What the network's input must be divisible by.

    Returns:
        The framing.

    Raises:
        InvalidInputError: A size is not positive.
    """
    if min(native_size) < 1:
        raise InvalidInputError(f"expected an image size (H, W) of at least (1, 1), got {native_size}")
    if processing_resolution is not None and processing_resolution < 0:
        raise InvalidInputError(f"expected a processing resolution >= 0, got {processing_resolution}")
    if multiple < 1:
        raise InvalidInputError(f"expected a multiple >= 1, got {multiple}")
    height, width = native_size
    if processing_resolution:
        long_edge = max(height, width)
        height = max(1, height * processing_resolution // long_edge)
        width = max(1, width * processing_resolution // long_edge)
    return Framing(
        native_size=(native_size[0], native_size[1]),
        content_size=(height, width),
        padded_size=(height + -height % multiple, width + -width % multiple),
    )


def _check(tensor: Tensor, size: tuple[int, int], what: str) -> None:
    if tensor.ndim != 4 or tuple(tensor.shape[2:]) != size or not tensor.is_floating_point():
        raise InvalidInputError(
            f"expected {what}, floating point (B, C, {size[0]}, {size[1]}), "
            f"got {tensor.dtype} {tuple(tensor.shape)}"
        )
