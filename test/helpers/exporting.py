"""Exported tiny checkpoints, and which of them can be exported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from e2e_depth_ros.model.engine.openvino_runtime import has_bfloat16
from e2e_depth_ros.model.export.folder import export
from e2e_depth_ros.model.families.registry import load_checkpoint

REFUSED = {
    "marigold_depth_v1_0": "10 times",
    "marigold_depth_v1_1": "4 times",
    "marigold_depth_lcm": "times",
    "marigold_normals_v0_1": "10 times",
    "marigold_normals_v1_1": "4 times",
    "marigold_normals_lcm": "times",
    "geowizard_v1": "times",
    "geowizard_v2": "times",
    "geowizard_e2e_ft": "CLIP",
    "lotus_g_depth": "gaussian noise",
}
"""Layouts of tiny checkpoints that no graph expresses, and a word of why."""

EXPORTABLE = (
    *("e2e_ft_depth", "e2e_ft_normals", "marigold_depth", "marigold_normals", "marigold_normals_half_z"),
    *("zero_snr", "epsilon", "sample", "four_channels", "tiny_vae", "fp16", "sharded", "embedded"),
    *("lotus_d_depth", "lotus_d_disparity", "lotus_d_normals"),
    *("genpercept_depth", "genpercept_disparity", "genpercept_normals"),
    "geowizard_v2_e2e_ft",
)
"""All others."""


needs_bfloat16 = pytest.mark.skipif(
    find_spec("openvino") is None or not has_bfloat16(),
    reason="needs OpenVINO, and a CPU that computes in bfloat16",
)


def write_export(
    checkpoint: Path, folder: Path, precision: str = "float32", size: tuple[int, int] | None = None
) -> Path:
    """Export a checkpoint into a folder; return the folder."""
    export(load_checkpoint(checkpoint), folder, precision=precision, size=size)
    return folder
