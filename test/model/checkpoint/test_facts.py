from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.locate import PROMPT_FILE, checkpoint_name
from e2e_depth_ros.model.families.one_step import denoising_step
from e2e_depth_ros.model.families.registry import read_facts
from e2e_depth_ros.model.task import Task

_SAYING = ("prediction_type", "scale_invariant", "shift_invariant")


@pytest.fixture
def folder(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "checkpoint")


def _change(path: Path, **changes: Any) -> None:
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value != "absent"}))


def _index(folder: Path, **changes: Any) -> CheckpointFacts:
    _change(folder / "model_index.json", **changes)
    return read_facts(folder)


def test_reads_what_marigold_saves(folder: Path) -> None:
    facts = read_facts(folder)
    assert facts.name == "checkpoint"
    assert facts.tasks == {Task.DEPTH}
    assert (facts.in_channels, facts.latent_channels, facts.down_factor, facts.embedding_size) == (
        8,
        4,
        8,
        12,
    )
    assert (facts.prediction_type, facts.processing_resolution) == ("v_prediction", 96)
    assert facts.depth_kind is DepthKind.AFFINE_INVARIANT
    assert facts.normals_signs == (1, -1, -1)
    assert denoising_step(facts.scheduler_config).timestep == 999  # though "leading" was saved


@pytest.mark.parametrize(
    ("layout", "tasks"),
    [
        ("e2e_ft_depth", {Task.DEPTH}),
        ("e2e_ft_normals", {Task.NORMALS}),
        ("marigold_normals", {Task.NORMALS}),
        ("embedded", {Task.DEPTH, Task.NORMALS}),
    ],
)
def test_finds_the_task_of_each_layout(
    tiny_checkpoint: Callable[..., Path], layout: str, tasks: set[Task]
) -> None:
    assert read_facts(tiny_checkpoint(layout)).tasks == tasks


def test_the_caller_tells_what_the_index_does_not(folder: Path) -> None:
    _change(folder / "model_index.json", **dict.fromkeys(_SAYING, "absent"))
    assert read_facts(folder, task="normals").tasks == {Task.NORMALS}
    with pytest.raises(CheckpointError, match="checkpoint: expected an index or a name"):
        read_facts(folder)


def test_the_name_decides_where_the_index_is_silent(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    source = tiny_checkpoint("e2e_ft_depth")
    cached = tmp_path / "models--org--some-e2e-ft-normals" / "snapshots" / "0123abc"
    shutil.copytree(source, cached)
    assert checkpoint_name(cached) == "org/some-e2e-ft-normals"
    assert read_facts(cached).tasks == {Task.NORMALS}


def test_depth_kinds(folder: Path) -> None:
    assert _index(folder, prediction_type="disparity").depth_kind is DepthKind.AFFINE_INVARIANT_DISPARITY
    assert (
        _index(folder, prediction_type="depth", shift_invariant=False).depth_kind is DepthKind.SCALE_INVARIANT
    )
    with pytest.raises(CheckpointError, match="scale_invariant false"):
        _index(folder, scale_invariant=False)


def test_upsampling(folder: Path) -> None:
    assert read_facts(folder).upsampling == "bilinear"
    assert _index(folder, upsampling="guided").upsampling == "guided"
    for wrong in ("auto", ["guided"]):
        with pytest.raises(CheckpointError, match="expected upsampling bilinear, guided, got"):
            _index(folder, upsampling=wrong)


@pytest.mark.parametrize(
    ("asked", "own", "chosen"),
    [
        ("auto", "guided", "guided"),
        ("auto", "bilinear", "bilinear"),
        ("guided", "bilinear", "guided"),
        ("bilinear", "guided", "bilinear"),
    ],
)
def test_the_user_chooses_the_upsampling_before_the_checkpoint(
    folder: Path, asked: str, own: str, chosen: str
) -> None:
    assert _index(folder, upsampling=own).chosen_upsampling(asked) == chosen


def test_axes_of_normals(folder: Path) -> None:
    assert _index(folder, normals_axes="left down forward").normals_signs == (-1, 1, 1)
    with pytest.raises(CheckpointError, match="'up right backward'"):
        _index(folder, normals_axes="up right backward")


@pytest.mark.parametrize(
    ("layout", "signs"),
    [
        # A wall on the left looks right: x > 0 in the optical frame. Marigold's networks say so too.
        ("marigold_normals_v1_1", (1, -1, -1)),
        # E2E-FT's say x < 0: its training negates all of the optical frame's normals.
        ("e2e_ft_normals", (-1, -1, -1)),
        ("leading_and_silent_depth", (-1, -1, -1)),
        ("geowizard_v1", (1, 1, 1)),
        ("geowizard_e2e_ft", (1, 1, 1)),
    ],
)
def test_axes_of_published_networks(
    tiny_checkpoint: Callable[..., Path], layout: str, signs: tuple[int, int, int]
) -> None:
    assert read_facts(tiny_checkpoint(layout)).normals_signs == signs


def test_resolution_follows_the_unet_where_the_index_is_silent(folder: Path) -> None:
    assert _index(folder, default_processing_resolution=None).processing_resolution == 12 * 8


@pytest.mark.parametrize(
    "missing", ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"]
)
@pytest.mark.parametrize("has_prompt", [False, True])
def test_names_the_missing_config(folder: Path, missing: str, has_prompt: bool) -> None:
    (folder / missing).unlink()
    if has_prompt:  # our own weights, and no other program's
        (folder / PROMPT_FILE).touch()
    with pytest.raises(CheckpointError, match=f"{missing} missing"):
        read_facts(folder)


@pytest.mark.parametrize("content", ['{"in_channels": 8', "[1, 2]", ""])
def test_names_the_broken_config(folder: Path, content: str) -> None:
    (folder / "unet" / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"unet/config\.json: expected a JSON object"):
        read_facts(folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("unet/config.json", {"in_channels": 9}, r"4 \(image\) or 8 .* from 9 to 4"),
        ("unet/config.json", {"out_channels": 3}, "from 8 to 3"),
        ("vae/config.json", {"latent_channels": 16}, "16 latent channels"),
        ("unet/config.json", {"class_embed_type": "timestep"}, "class_embed_type"),
        ("unet/config.json", {"class_embed_type": "projection"}, "class_embed_type"),
        ("unet/config.json", {"time_cond_proj_dim": 256}, "time_cond_proj_dim"),
        ("unet/config.json", {"cross_attention_dim": [8, 8]}, r"one cross_attention_dim.*\[8, 8\]"),
        ("vae/config.json", {"block_out_channels": "absent"}, "AutoencoderKL or AutoencoderTiny"),
        ("model_index.json", {"tasks": ["albedo"]}, "albedo"),
        ("model_index.json", {"prediction_type": "intrinsics"}, "'intrinsics'"),
        ("scheduler/scheduler_config.json", {"prediction_type": "flow"}, "'flow'"),
    ],
)
def test_refuses_what_is_no_known_family(
    folder: Path, file: str, changes: dict[str, Any], message: str
) -> None:
    _change(folder / file, **changes)
    with pytest.raises(CheckpointError, match=message):
        read_facts(folder)
