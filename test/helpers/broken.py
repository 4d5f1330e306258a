"""Checkpoints that were changed, and how they are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.families.registry import load_checkpoint


def refused(folder: Path, message: str, dtype: torch.dtype = torch.float32) -> None:
    with pytest.raises(CheckpointError, match=message) as refusal:
        load_checkpoint(folder, dtype=dtype)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1500


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
