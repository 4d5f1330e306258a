"""The latent space: what it learns comes back, and its moments are those that diffusion takes for granted."""

import dataclasses

import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.weights import load_autoencoder
from e2e_depth_ros.training.loop import train
from e2e_depth_ros.training.objectives.autoencoder import moments_loss
from e2e_depth_ros.training.objectives.choice import build_objective
from e2e_depth_ros.training.recipe import Recipe


def test_moments_by_hand():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(64, 3, 20, 30, generator=generator)
    latents = (latents - latents.mean(dim=(0, 2, 3), keepdim=True)) / latents.std(dim=(0, 2, 3), keepdim=True)
    assert moments_loss(latents) < 1e-9
    # One channel of mean 2, one of variance 9: (4 + 64) / 3.
    scale, shift = torch.tensor([1.0, 1.0, 3.0]), torch.tensor([0.0, 2.0, 0.0])
    changed = latents * scale.view(1, 3, 1, 1) + shift.view(1, 3, 1, 1)
    assert float(moments_loss(changed)) == pytest.approx(68 / 3, rel=1e-4)


def test_learns_to_pass_depth_through_its_latents(small, tmp_path):
    recipe = small("autoencoder")
    optimiser = dataclasses.replace(recipe.optimiser, steps=120, learning_rate=3e-3)
    run = dataclasses.replace(recipe.run, log_seconds=60.0)
    recipe = dataclasses.replace(recipe, augmentation=recipe.augmentation.none(), run=run)
    before = train(
        dataclasses.replace(recipe, optimiser=dataclasses.replace(optimiser, steps=1)), tmp_path / "a"
    )
    after = train(dataclasses.replace(recipe, optimiser=optimiser), tmp_path / "b")
    assert after.scores["validation"].abs_rel < 0.5 * before.scores["validation"].abs_rel
    loaded = load_autoencoder(after.checkpoint)
    built = build_objective(recipe)
    assert {n: t.shape for n, t in loaded.state_dict().items()} == {
        n: t.shape for n, t in built.model.state_dict().items()
    }


def test_shape_is_the_starts(small, tmp_path):
    start = train(small("autoencoder"), tmp_path).checkpoint
    recipe = small("autoencoder", {"autoencoder": {"start": str(start)}})
    assert isinstance(recipe, Recipe)
    objective = build_objective(recipe)
    assert objective.down_factor == 4
    assert objective.model.config.latent_channels == 4
    with pytest.raises(InvalidInputError, match=r"model\.autoencoder\.start: expected nothing beside it"):
        small("autoencoder", {"autoencoder": {"start": str(start), "latent_channels": 5}})
    data = {"train": [{"shards": "x"}], "sizes": [{"height": 30, "width": 48}]}
    with pytest.raises(InvalidInputError, match="factor 4, got 30 x 48"):
        build_objective(small("autoencoder", {"autoencoder": {"start": str(start)}}, data=data))
