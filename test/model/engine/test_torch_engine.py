from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from e2e_depth_ros.model.engine.torch_engine import TorchEngine
from e2e_depth_ros.model.families.registry import load_checkpoint


def test_it_tells_what_it_runs_and_where(tiny_checkpoint: Callable[..., Path]) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint("embedded"), dtype=torch.bfloat16)
    engine = TorchEngine(checkpoint)
    assert (engine.place.engine, engine.place.device, engine.place.precision) == ("torch", "cpu", "bfloat16")
    assert engine.place.threads == torch.get_num_threads()
    assert (engine.bytes_per_number, engine.steps) == (2, 1)
    assert engine.facts is checkpoint.facts
    assert "unet/config.json" in engine.hashes()
    assert not any(parameter.requires_grad for parameter in engine.network.parameters())
