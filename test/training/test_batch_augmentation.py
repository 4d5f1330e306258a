"""Variations of whole batches: the same geometry as image by image, and what cameras do to colours."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from e2e_depth_ros.training.augmentation import View, crop, mirrored
from e2e_depth_ros.training.batch_augmentation import (
    BatchAugmentation,
    blur_batch,
    compress_batch,
    crop_batch,
)
from e2e_depth_ros.training.datasets import batch_from_views
from e2e_depth_ros.training.recipe import AugmentationRecipe

CPU = torch.device("cpu")
OFF = AugmentationRecipe.none()
SIZE = (72, 100)


def smooth_view(seed, size=SIZE):
    """A picture, a depth and normals without edges, for interpolations to agree on."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] / size[1]
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(1, 4, (4, 3))]
    normals = np.stack([0.4 * waves[0], 0.4 * waves[1], -np.ones(size)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    image = np.stack([128 + 90 * wave for wave in waves[:3]], axis=-1)
    return View(image.astype(np.uint8), (3 + waves[3]).astype(np.float32), normals.astype(np.float32))


def values_of(*views):
    return batch_from_views(views).images.float() / 255


@pytest.mark.parametrize("size", [(40, 64), (64, 40), (72, 100)])
def test_crops_are_those_of_image_by_image(size):
    views = [smooth_view(seed) for seed in range(4)]
    zooms, rolls, flips = (0.7, 1.0, 0.9, 0.8), (0.0, 12.0, -25.0, 3.0), (False, True, True, False)
    positions = ((0.9, 0.2), (0.5, 0.5), (0.0, 1.0), (0.3, 0.8))
    batch = crop_batch(
        batch_from_views(views),
        size,
        zoom=torch.tensor(zooms),
        position=torch.tensor(positions).T,
        roll_rad=torch.deg2rad(torch.tensor(rolls)),
        mirrored=torch.tensor(flips),
    )
    for index, view in enumerate(views):
        source = mirrored(view) if flips[index] else view
        roll_rad = math.radians(rolls[index])
        expected = crop(source, size, zoom=zooms[index], position=positions[index], roll_rad=roll_rad)
        image = batch.images[index].permute(1, 2, 0).numpy().astype(int)
        assert np.abs(image - expected.image).max() <= 3
        # The nearest of two pixels may be the other one; they differ by what a pixel makes out.
        np.testing.assert_allclose(batch.depth_m[index], expected.depth_m, atol=0.05)
        np.testing.assert_allclose(batch.normals[index].permute(1, 2, 0), expected.normals, atol=0.06)
        assert np.abs(batch.depth_m[index].numpy() - expected.depth_m).mean() < 1e-3


def test_nothing_varies_where_the_recipe_is_empty():
    batch = batch_from_views([smooth_view(0), smooth_view(1)])
    varied = BatchAugmentation(OFF, CPU, seed=3)(batch, SIZE)
    assert (varied.images.int() - batch.images.int()).abs().max() <= 1
    torch.testing.assert_close(varied.depth_m, batch.depth_m)
    torch.testing.assert_close(varied.normals, batch.normals)


def test_the_seed_decides():
    batch = batch_from_views([smooth_view(seed) for seed in range(5)])
    first, again, other = (
        BatchAugmentation(AugmentationRecipe(), CPU, seed)(batch, (40, 56)) for seed in (7, 7, 8)
    )
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.depth_m, again.depth_m)
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize("sigma", [0.0, 0.4, 1.0, 1.4])
def test_blur_is_opencvs(sigma):
    rng = np.random.default_rng(1)
    image = rng.random((31, 44, 3), dtype=np.float32)
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    blurred = blur_batch(tensor.repeat(2, 1, 1, 1), torch.tensor([sigma, 0.0]))
    torch.testing.assert_close(blurred[1], tensor[0])
    if sigma:
        options = {"sigmaX": sigma, "borderType": cv2.BORDER_REPLICATE}
        expected = cv2.GaussianBlur(image, (9, 9), **options).transpose(2, 0, 1)
        np.testing.assert_allclose(blurred[0], expected, atol=1e-4)


@pytest.mark.parametrize("quality", [28, 60, 90])
def test_compression_does_what_an_encoder_does(quality):
    rng = np.random.default_rng(2)
    image = smooth_view(5, (41, 60)).image.copy()
    image[10:30, 20:45] = rng.integers(0, 256, (20, 25, 3))
    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    expected = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float() / 255
    compressed = (compress_batch(tensor, torch.tensor([float(quality)]))[0] * 255).permute(1, 2, 0).numpy()
    lost = np.abs(image - expected).mean()
    # Chroma is interpolated in other ways, and integers round: far less than what is lost.
    assert np.abs(compressed - expected).mean() < 0.5 * lost
    assert np.abs(image - compressed).mean() == pytest.approx(lost, rel=0.15)


CHANGES = [name for name in vars(OFF) if name not in ("flip", "min_zoom", "roll_deg", "roll", "strength")]


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_falls_on_as_many_images_as_its_probability_says(name):
    views = [smooth_view(seed) for seed in range(8)]
    values = values_of(*views)
    recipe = replace(OFF, strength=1.0, **{name: 0.5})
    changed = [
        ((BatchAugmentation(recipe, CPU, seed).vary_camera(values) - values).abs().amax(dim=(1, 2, 3)) > 1e-3)
        .float()
        .mean()
        .item()
        for seed in range(8)
    ]
    # Channels may be swapped with themselves; a bright picture needs no more light to burn out.
    assert 0.25 < np.mean(changed) <= 0.55
    varied = BatchAugmentation(replace(recipe, **{name: 1.0}), CPU, 5).vary_camera(values)
    assert varied.min() >= 0
    assert varied.max() <= 1


def test_rare_changes_happen_now_and_then():
    values = values_of(smooth_view(0), smooth_view(1))
    recipe = replace(OFF, border=0.1)
    changed = sum(
        not torch.equal(BatchAugmentation(recipe, CPU, seed).vary_camera(values), values)
        for seed in range(60)
    )
    assert 3 <= changed <= 25


def test_overexposure_burns_out_at_most_half():
    values = values_of(*[smooth_view(seed) for seed in range(6)])
    varied = BatchAugmentation(replace(OFF, overexposure=1.0), CPU, 1).vary_camera(values)
    burnt = (varied.amax(dim=1) >= 1).float().mean(dim=(1, 2))
    assert ((burnt > 0.01) & (burnt < 0.56)).all()


def test_a_border_covers_edges_and_keeps_depth():
    batch = batch_from_views([smooth_view(seed) for seed in range(6)])
    varied = BatchAugmentation(replace(OFF, border=1.0), CPU, 1)(batch, SIZE)
    torch.testing.assert_close(varied.depth_m, batch.depth_m)
    middle = (varied.images[:, :, 12:-12, 16:-16].int() - batch.images[:, :, 12:-12, 16:-16].int()).abs()
    assert middle.max() <= 1
    assert (varied.images != batch.images).any(dim=1).flatten(1).any(dim=1).all()
