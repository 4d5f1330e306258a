import numpy as np
import pytest
import torch

from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.architecture import build_autoencoder, build_model
from e2e_depth_ros.training.recipe import AutoencoderRecipe, ModelRecipe, UNetRecipe

TINY = AutoencoderRecipe(kind="tiny", channels=(16, 16, 16, 16), blocks=(0, 1, 2, 3), latent_channels=8)
UNET = UNetRecipe(
    channels=(16, 24, 32),
    attention=(False, False, True),
    heads=(1, 1, 2),
    layers=1,
    prompt_tokens=2,
    prompt_channels=16,
    norm_groups=8,
)


def differing_images() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(-1, 1, (6, 3, 48, 64)).astype(np.float32))


def share_that_differs_between_images(values: torch.Tensor) -> float:
    return float((values - values.mean(dim=0, keepdim=True)).std() / values.std())


@pytest.mark.parametrize("seed", [0, 1])
def test_images_still_differ_behind_the_untrained_autoencoder(seed: int) -> None:
    torch.manual_seed(seed)
    autoencoder = build_autoencoder(TINY)
    with torch.no_grad():
        latents = autoencoder.encode(differing_images()).latents
        decoded = autoencoder.decode(latents).sample
    # torch's default weights leave 0.06 and 0.001 of it.
    assert share_that_differs_between_images(latents) > 0.2
    assert share_that_differs_between_images(decoded) > 0.1
    assert 0.05 < float(decoded.std()) < 5


def test_same_seed_same_weights_and_two_tasks_that_differ() -> None:
    recipe = ModelRecipe(name="tiny", processing_resolution=64, autoencoder=TINY, unet=UNET)
    first, second = build_model(recipe, 3), build_model(recipe, 3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    images = differing_images()
    with torch.no_grad():
        depth, normals = first(images, Task.DEPTH), first(images, Task.NORMALS)
    assert depth.shape == (6, 3, 48, 64)
    assert float((depth - normals).abs().max()) > 1e-4
