"""A metric scene, and the samples that a sensor takes of it."""

from dataclasses import dataclass

import numpy as np
import pytest

from e2e_depth_ros.alignment.samples import Samples
from helpers import known_scene


@dataclass(frozen=True, eq=False)
class Scene:
    """The scene of `known_scene`, metric, with its box and the samples that a sensor takes of it."""

    depth_m: np.ndarray
    box: np.ndarray
    relative: known_scene.DepthMap
    scale: float = known_scene.SCALE
    shift_m: float = known_scene.SHIFT_M

    def pixels(self, count, seed=0):
        """Rows and columns of different pixels."""
        chosen = np.random.default_rng(seed).choice(self.depth_m.size, count, replace=False)
        return np.unravel_index(chosen, self.depth_m.shape)

    def samples(self, count, seed=0, *, outliers=0.0, depth_m=None):
        """Measurements of `depth_m`, by default the true one; a share of them replaced by any depth."""
        rows, columns = self.pixels(count, seed)
        depth = np.array((self.depth_m if depth_m is None else depth_m)[rows, columns])
        rng = np.random.default_rng(seed + 1)
        wrong = rng.permutation(count)[: round(outliers * count)]
        depth[wrong] = rng.uniform(0.5, 10.0, len(wrong))
        return Samples(columns, rows, depth, source="lidar")


@pytest.fixture(scope="session")
def scene():
    relative = known_scene.scene_relative()
    return Scene(
        known_scene.metric_from(relative).astype(np.float64), relative == 0, known_scene.as_map(relative)
    )
