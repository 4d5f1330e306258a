"""Who may read the weights that are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from e2e_depth_ros.model.checkpoint.saving import save_tensors


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_the_umask_says_who_may_read(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "x.safetensors"
    path.touch(0o600)  # what was there has no say
    before = os.umask(umask)
    try:
        save_tensors({"a": torch.arange(6.0).reshape(2, 3)}, path, {"format": "pt"})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert torch.equal(file.get_tensor("a"), torch.arange(6.0).reshape(2, 3))
