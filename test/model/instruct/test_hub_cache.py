"""A checkpoint that paints by instruction in the hub's cache: whole it serves offline, half is refused."""

from __future__ import annotations

import shutil

import huggingface_hub.constants
import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.instruct.facts import read_instruct_facts

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(converted, tmp_path, monkeypatch):
    """The cache holds the checkpoint as org/painter; the network is off."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--org--painter"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return shutil.copytree(converted.folder, repository / "snapshots" / COMMIT)


def test_a_whole_one_serves_offline_by_its_id(snapshot):
    assert find_checkpoint("org/painter") == snapshot
    assert read_instruct_facts(snapshot).name == "org/painter"


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("text_encoder/model.safetensors", r"text_encoder: expected model\.safetensors"),
        ("vae/diffusion_pytorch_model.safetensors", r"vae: expected diffusion_pytorch_model\.safetensors"),
        ("tokenizer/merges.txt", r"tokenizer: expected merges\.txt"),
    ],
)
def test_half_of_one_is_named(snapshot, missing, words):
    (snapshot / missing).unlink()
    with pytest.raises(CheckpointError, match=words):
        find_checkpoint("org/painter")
