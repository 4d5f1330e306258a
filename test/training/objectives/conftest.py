"""Scenes and recipes of the smallest trainings of each objective."""

import numpy as np
import pytest

from e2e_depth_ros.training.recipe_file import recipe_from_mapping
from e2e_depth_ros.training.shards import Sample, write_shard


@pytest.fixture(scope="session")
def walls(tmp_path_factory):
    """A folder with a shard of slanted walls; some of their pixels are unknown."""
    folder = tmp_path_factory.mktemp("walls")
    rng = np.random.default_rng(0)
    v, u = np.mgrid[0:48, 0:64].astype(np.float32)
    samples = []
    for scene in range(5):
        depth_m = (2 + scene + 0.03 * u + 0.05 * v).astype(np.float32)
        depth_m[:5, :9] = 0
        normals = np.zeros((48, 64, 3), np.float32)
        normals[..., 1:] = (-0.6, -0.8)
        image = rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)
        samples.append(Sample(image, depth_m, normals, 40.0, "room", scene))
    write_shard(folder / "walls.npz", samples)
    return folder


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
