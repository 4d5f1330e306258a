"""Scenes of the smallest trainings."""

import numpy as np
import pytest

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
