"""Fixtures that every room's tests may use."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`tiny_checkpoint(layout="embedded", seed=0)`: the folder of a checkpoint with tiny random weights.

    It is written once a session: copy it before changing it. The layouts: test/model/tiny.py.
    """
    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent / "model" / "tiny.py")
    tiny = importlib.util.module_from_spec(spec)
    sys.modules["tiny"] = tiny  # dataclasses look their module up there
    spec.loader.exec_module(tiny)
    folders: dict[tuple[str, int], Path] = {}

    def write(layout: str = "embedded", seed: int = 0) -> Path:
        if (layout, seed) not in folders:
            folder = tmp_path_factory.mktemp("checkpoints") / f"{layout.replace('_', '-')}-{seed}"
            folders[layout, seed] = tiny.write_tiny_checkpoint(folder, layout, seed)
        return folders[layout, seed]

    return write
