"""A checkpoint in one file is read without trusting it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.instruct.conversion import convert_checkpoint
from e2e_depth_ros.model.instruct.single_file import read_single_file


class Harmful:
    """What runs a command where a pickle of it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


def test_a_pickle_that_could_run_code_is_refused(tmp_path):
    torch.save(
        {"state_dict": {"a": torch.zeros(1)}, "callbacks": Harmful(tmp_path / "ran")},
        tmp_path / "harmful.ckpt",
    )
    with pytest.raises(
        CheckpointError, match=r"harmful\.ckpt: .*refused to load \w+\.system, which could run code"
    ) as caught:
        convert_checkpoint(tmp_path / "harmful.ckpt", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "ran").exists()


def test_old_pickles_are_read_and_refused_alike(converted, tmp_path):
    """Before torch 1.6 they were no zip archives."""
    path = tmp_path / "old.ckpt"
    torch.save({"state_dict": converted.original.tensors}, path, _use_new_zipfile_serialization=False)
    assert convert_checkpoint(path, tmp_path / "out", tokenizer=converted.tokenizer).unused == ()
    torch.save(Harmful(tmp_path / "ran"), path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="refused to load"):
        convert_checkpoint(path, tmp_path / "other")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["tensors.ckpt", "bare.ckpt", "tensors.safetensors"])
def test_tensors_come_back_by_name_and_nothing_else(tmp_path, name):
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1, dtype=torch.float16)}
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        state = {**tensors, "steps": 7}
        torch.save(state if name == "bare.ckpt" else {"state_dict": state, "epoch": 3}, path)
    found = read_single_file(path)
    assert found.keys() == tensors.keys()
    for key, tensor in tensors.items():
        assert found[key].dtype == tensor.dtype
        torch.testing.assert_close(found[key], tensor)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_what_is_no_checkpoint_is_refused_by_its_name(tmp_path, suffix):
    path = tmp_path / f"text{suffix}"
    for content in (b"", b"no checkpoint"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=rf"text\{suffix}: expected"):
            read_single_file(path)
    with pytest.raises(CheckpointError, match="found none"):
        read_single_file(tmp_path / f"absent{suffix}")
