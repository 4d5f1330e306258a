"""Text encoders that lie are refused before they cost memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.broken import change, refused


def test_refuses_text_encoders_that_lie(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number, (changes, message) in enumerate(
        (
            ({"hidden_size": 10**9}, "hidden_size of up to 65536"),
            ({"num_hidden_layers": 10**6}, "num_hidden_layers of 0 to 1024"),
            ({"hidden_size": "wide"}, "transformers can't build"),
            ({"hidden_size": 24}, "text_encoder: "),
        )
    ):
        folder = shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / str(number))
        change(folder / "text_encoder" / "config.json", **changes)
        refused(folder, message)
    path = folder / "text_encoder" / "model.safetensors"
    for broken, message in (
        (lambda t: t.to(torch.int32), "got I32"),
        (lambda t: t * 1e30, "values of up to"),
    ):
        shutil.rmtree(folder)
        shutil.copytree(tiny_checkpoint("marigold_depth"), folder)
        tensors = load_file(path)
        name = next(name for name in tensors if name.endswith("token_embedding.weight"))
        save_file({**tensors, name: broken(tensors[name] + 1)}, path, {"format": "pt"})
        refused(folder, f"token_embedding.*{message}")
