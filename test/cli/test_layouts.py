"""Every published layout runs from the command line."""

import cv2
import numpy as np
import pytest

from e2e_depth_ros.cli.main import main

DEPTH = {
    "e2e_ft_depth": [],
    "marigold_depth_v1_0": ["--steps", "2"],
    "marigold_depth_v1_1": ["--steps", "2", "--ensemble", "3", "--carry", "0.1"],
    "marigold_depth_lcm": ["--noise-seed", "-1"],
    "geowizard_v1": ["--steps", "1", "--domain", "outdoor", "--normals"],
    "geowizard_v2": ["--steps", "1", "--spacing", "linspace"],
    "geowizard_e2e_ft": ["--dtype", "bfloat16"],
    "leading_and_silent_depth": ["--steps", "1"],
    "lotus_d_depth": ["--task", "depth"],
    "lotus_d_disparity": [],
    "lotus_g_depth": ["--ensemble", "3"],
    "genpercept_depth": [],
    "genpercept_disparity": ["--task", "disparity"],
}
NORMALS = {
    "e2e_ft_normals": [],
    "marigold_normals_v0_1": ["--steps", "2"],
    "marigold_normals_v1_1": ["--ensemble", "2"],
    "marigold_normals_lcm": [],
    "lotus_d_normals": [],
    "genpercept_normals": [],
}


@pytest.fixture
def predicted(tiny_checkpoint, tmp_path):
    def run(layout, arguments):
        image, out = tmp_path / "image.png", tmp_path / "out"
        pixels = np.random.default_rng(0).integers(0, 256, (22, 36, 3), dtype=np.uint8)
        assert cv2.imwrite(str(image), pixels)
        common = ["--output", str(out), "--device", "cpu", "--processing-resolution", "32"]
        assert (
            main(["predict", str(image), *common, "--model", str(tiny_checkpoint(layout)), *arguments]) == 0
        )
        return {path.stem: np.load(path) for path in out.rglob("*.npy")}

    return run


@pytest.mark.parametrize("layout", DEPTH)
def test_depth_of_every_layout(predicted, layout):
    arrays = predicted(layout, DEPTH[layout])
    assert arrays["depth"].shape == (22, 36)
    assert np.isfinite(arrays["depth"]).all()
    assert ("normals" in arrays) == ("--normals" in DEPTH[layout])


@pytest.mark.parametrize("layout", NORMALS)
def test_normals_of_every_layout(predicted, layout):
    arrays = predicted(layout, NORMALS[layout])
    assert "depth" not in arrays
    np.testing.assert_allclose(np.linalg.norm(arrays["normals"], axis=-1), 1, atol=1e-5)
