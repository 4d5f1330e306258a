"""CLIP's tokenizer is written as transformers reads it, or asked for."""

from __future__ import annotations

import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.transformer import load_tokenizer
from e2e_depth_ros.model.instruct.conversion import convert_checkpoint
from e2e_depth_ros.model.instruct.tokenizer import write_tokenizer


def test_a_missing_tokenizer_is_asked_for(converted, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"name a folder with vocab\.json and merges\.txt"):
        convert_checkpoint(converted.source, tmp_path / "out", tokenizer="no-one/has-this")
    assert not (tmp_path / "out").exists()


def test_transformers_reads_what_is_written(converted, tmp_path):
    folder = tmp_path / "checkpoint" / "tokenizer"
    write_tokenizer(folder, converted.tokenizer, {"vocab_size": 514, "max_position_embeddings": 77})
    tokenizer = load_tokenizer(folder.parent)
    assert tokenizer.model_max_length == 77
    first, *_, last = tokenizer("ab").input_ids
    first_token, last_token = tokenizer.convert_ids_to_tokens([first, last])
    assert (first_token, last_token) == ("<|startoftext|>", "<|endoftext|>")
    assert tokenizer.pad_token == last_token
    assert tokenizer("AB").input_ids == tokenizer("ab").input_ids


def test_a_vocabulary_of_another_size_is_refused(converted, tmp_path):
    folder = tmp_path / "tokenizer"
    with pytest.raises(CheckpointError, match=r"vocabulary of 49408 tokens.* got 514"):
        write_tokenizer(folder, converted.tokenizer, {"vocab_size": 49408, "max_position_embeddings": 77})
    assert not folder.exists()
