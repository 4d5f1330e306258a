"""CLIP's view of an image, which GeoWizard's first version attends to instead of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from e2e_depth_ros.core.errors import CheckpointError, MissingDependencyError
from e2e_depth_ros.model.checkpoint.configs import read_json
from e2e_depth_ros.model.checkpoint.transformer import load_transformer


class ImageEncoder(nn.Module):
    """CLIP's view of an image, as one token.

    Args:
        clip: transformers' CLIPVisionModelWithProjection.
        size: (H, W) that it sees.
        mean: Of the colours that it was trained with, RGB in 0..1.
        std: Their standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, clip: nn.Module, size: tuple[int, int], mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.clip = clip
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Embed images, (B, 3, h, w), RGB in [-1, 1] -> (B, 1, d)."""
        resized = functional.interpolate((images.float() + 1) / 2, self.size, mode="bicubic", antialias=True)
        embeddings: Tensor = self.clip(((resized - self.mean) / self.std).to(images.dtype)).image_embeds
        return embeddings[:, None]


def load_image_encoder(folder: Path) -> ImageEncoder:
    """Load a checkpoint's image_encoder/ and what feature_extractor/ says of its input.

    Raises:
        CheckpointError: Something is missing or broken.
        MissingDependencyError: transformers isn't installed.
    """
    try:
        from transformers import CLIPVisionModelWithProjection  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingDependencyError(
            f"{folder.name}: GeoWizard's image encoder needs transformers: pip install transformers"
        ) from error
    path = folder / "feature_extractor" / "preprocessor_config.json"
    config = read_json(path)
    try:
        size = config["crop_size"]
        height, width = (size["height"], size["width"]) if isinstance(size, dict) else (size, size)
        mean, std = ([float(value) for value in config[key]] for key in ("image_mean", "image_std"))
        shape = int(height), int(width)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected crop_size, image_mean and image_std of CLIP's images"
        ) from error
    clip = load_transformer(CLIPVisionModelWithProjection, folder / "image_encoder")
    return ImageEncoder(clip, shape, mean, std)
