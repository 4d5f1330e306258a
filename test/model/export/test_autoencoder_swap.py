from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.export.autoencoder_swap import swap_autoencoder
from e2e_depth_ros.model.export.folder import export
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.task import Task


def test_a_tiny_autoencoder_takes_the_place_and_its_price_is_told(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint, tiny = tiny_checkpoint("marigold_depth"), tiny_checkpoint("tiny_vae")
    swapped, price = swap_autoencoder(load_checkpoint(checkpoint), tiny)
    assert set(price) == {Task.DEPTH}
    assert 0 < price[Task.DEPTH] < 2
    assert swapped.facts.has_tiny_vae
    export(swapped, tmp_path / "out")
    # As if the checkpoint had been saved with it.
    joined = Path(shutil.copytree(checkpoint, tmp_path / "marigold-depth"))
    shutil.rmtree(joined / "vae")
    shutil.copytree(tiny / "vae", joined / "vae")
    image = np.random.default_rng(0).integers(0, 255, (30, 44, 3), dtype=np.uint8)
    found, expected = (
        Estimator.load(folder, engine=engine, device="cpu").estimate(image).depth
        for folder, engine in ((tmp_path / "out", "onnx"), (joined, "torch"))
    )
    assert found is not None
    assert expected is not None
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-5)


def test_the_same_autoencoder_has_no_price(tiny_checkpoint: Callable[..., Path]) -> None:
    folder = tiny_checkpoint("marigold_depth")
    assert swap_autoencoder(load_checkpoint(folder), folder)[1] == {Task.DEPTH: 0.0}


def test_the_checkpoint_s_own_folder_has_other_weights_and_is_refused(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "own"))
    swapped, _ = swap_autoencoder(load_checkpoint(folder), tiny_checkpoint("tiny_vae"))
    with pytest.raises(CheckpointError, match="expected a new or empty folder"):
        export(swapped, folder)


def test_latents_of_another_kind_are_refused(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint("marigold_depth"))
    with pytest.raises(InvalidInputError, match="latent channels 4, got 8"):
        swap_autoencoder(checkpoint, tiny_checkpoint("embedded"))
    with pytest.raises(CheckpointError, match=r"config.json"):
        swap_autoencoder(checkpoint, tmp_path)
