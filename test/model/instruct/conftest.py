"""Tiny checkpoints of the instructed family, in both layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from e2e_depth_ros.model.instruct.conversion import Conversion, convert_checkpoint
from helpers.ldm_tiny import LdmCheckpoint, make_ldm_checkpoint, write_tokenizer


@dataclass(frozen=True)
class Converted:
    original: LdmCheckpoint
    source: Path
    tokenizer: Path
    conversion: Conversion

    @property
    def folder(self) -> Path:
        return self.conversion.folder


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """A tiny checkpoint as InstructDiffusion's tools write it, and what conversion made of it."""
    folder = tmp_path_factory.mktemp("instruct")
    original = make_ldm_checkpoint()
    source = folder / "tiny.ckpt"
    torch.save({"state_dict": original.tensors}, source)
    tokenizer = write_tokenizer(folder / "clip")
    return Converted(
        original, source, tokenizer, convert_checkpoint(source, folder / "out", tokenizer=tokenizer)
    )


@pytest.fixture
def save_ldm(tmp_path: Path) -> Callable[..., Path]:
    """`save_ldm(tensors)`: the path of a .ckpt with them."""

    def save(tensors: object, name: str = "changed.ckpt") -> Path:
        path = tmp_path / name
        torch.save({"state_dict": tensors}, path)
        return path

    return save
