"""Image generators are told from networks that predict: by published configs in test_registry.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.families.generator import IMAGE_GENERATOR
from e2e_depth_ros.model.families.registry import load_checkpoint, load_parts, read_start
from e2e_depth_ros.model.sampling import DEFAULT_SAMPLING
from e2e_depth_ros.model.task import Task


def test_only_trainings_take_it(tiny_checkpoint: Callable[..., Path]) -> None:
    folder = tiny_checkpoint("stable_diffusion")
    facts = read_start(folder, frozenset({Task.NORMALS}))
    assert (facts.family, facts.tasks, facts.in_channels) == (IMAGE_GENERATOR, {Task.NORMALS}, 4)
    unet, _ = load_parts(facts)
    assert unet.config.in_channels == 4
    with pytest.raises(
        CheckpointError, match="an image generator; fine-tune it with e2e_ft_stable_diffusion"
    ):
        load_checkpoint(folder, task="depth")
    with pytest.raises(CheckpointError, match="got an image generator"):
        IMAGE_GENERATOR.sampler(facts, DEFAULT_SAMPLING)
