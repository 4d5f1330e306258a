from __future__ import annotations

import numpy as np

from e2e_depth_ros.model.estimate import normal_map_from


def test_normals_are_the_same_wherever_they_lie_in_memory() -> None:
    """To the last bit, so that a training that was interrupted scores as one that was not."""
    vectors = np.random.default_rng(0).normal(size=(3, 240, 321)).astype(np.float32)
    found = []
    for offset in range(8):
        memory = np.zeros((3, 240 * 321 + 64), np.float32)
        planes = [memory[axis, axis + offset :][: 240 * 321].reshape(240, 321) for axis in range(3)]
        for plane, values in zip(planes, vectors, strict=True):
            plane[:] = values
        found.append(normal_map_from(*planes)[0].values.copy())
    assert all(np.array_equal(one, found[0]) for one in found)
