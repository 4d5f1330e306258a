"""What a checkpoint is that paints by instruction, and what it is not."""

from __future__ import annotations

import json
import shutil

import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.families.registry import read_facts
from e2e_depth_ros.model.instruct.facts import read_instruct_facts
from e2e_depth_ros.model.instruct.painter import (
    Painter,
)
from helpers.broken import change


def test_it_is_not_taken_for_a_depth_network(converted):
    with pytest.raises(
        CheckpointError, match="predicts depth or normals, got one that paints by instruction"
    ):
        read_facts(converted.folder)


def test_other_checkpoints_are_refused(tiny_checkpoint):
    with pytest.raises(CheckpointError, match="paints by instruction"):
        Painter.load(tiny_checkpoint())


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("vae/config.json", {"scaling_factor": 0}, "scaling_factor of 0.001 to 1000, got 0"),
        ("unet/config.json", {"layers_per_block": 10**6}, "layers_per_block"),
        ("unet/config.json", {"down_block_types": ["NoSuchBlock"] * 4}, "diffusers can't build"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 0}, "num_train_timesteps"),
        ("model_index.json", {"default_denoising_steps": "many"}, "default_denoising_steps"),
    ],
)
def test_impossible_configs_are_refused(converted, tmp_path, file, changes, message):
    folder = shutil.copytree(converted.folder, tmp_path / "checkpoint")
    (folder / file).write_text(json.dumps({**json.loads((folder / file).read_text()), **changes}))
    with pytest.raises(CheckpointError, match=message):
        Painter.load(folder, device="cpu")


def test_the_configs_tell_steps_resolution_and_files(converted):
    facts = read_instruct_facts(converted.folder)
    assert (facts.steps, facts.processing_resolution) == (100, 512)
    names = {path.relative_to(converted.folder).as_posix() for path in facts.files}
    assert {"model_index.json", "unet/config.json", "tokenizer/vocab.json"} <= names
    assert {f"{name}/config.json" for name in facts.components} <= names
    assert all(path.is_file() for path in facts.files)
    assert set(facts.parameters) == {"unet", "vae", "text_encoder"}
    assert min(facts.parameters.values()) > 1000


def test_another_kind_of_prediction_is_refused(converted, tmp_path):
    folder = shutil.copytree(converted.folder, tmp_path / "checkpoint")
    change(folder / "scheduler" / "scheduler_config.json", prediction_type="v_prediction")
    with pytest.raises(CheckpointError, match="epsilon, got 'v_prediction'"):
        read_instruct_facts(folder)
