"""Recipes of the smallest trainings of each objective."""

import pytest

from e2e_depth_ros.training.recipe import recipe_from_mapping


@pytest.fixture
def small(walls):
    """A function that makes a recipe of an objective and of what else its keywords say."""
    autoencoder = {"channels": [8] * 3, "blocks": [0, 1, 1], "latent_channels": 4}
    unet = {
        "channels": [8, 16],
        "attention": [False, False],
        "heads": [1, 1],
        "prompt_channels": 8,
        "norm_groups": 4,
    }

    def make(objective, model=None, **keys):
        base = {
            "objective": objective,
            "seed": 5,
            "model": {
                "name": "small",
                "processing_resolution": 56,
                **(model or {"autoencoder": autoencoder, "unet": unet}),
            },
            "data": {
                "train": [{"shards": str(walls / "*.npz")}],
                "validation": [{"shards": str(walls / "*.npz"), "limit": 2}],
                "sizes": [{"height": 32, "width": 48}],
                "batch_size": 3,
                "workers": 0,
            },
            "loss": {"normals": {"weight": 0.0}},
            "optimiser": {"steps": 4, "learning_rate": 1e-3, "warmup_steps": 1},
            "run": {"device": "cpu", "threads": 1, "log_seconds": 0.0},
        }
        return recipe_from_mapping({**base, **keys})

    make.unet = unet
    return make
