"""What configs tell of a network; that each published layout is told from all others: test_registry.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.layout import Configs, IncompleteCheckpointError, read_configs
from helpers.published import RECOGNISED

_UNET = {"in_channels": 8, "out_channels": 4}


def _configs(
    index: dict[str, Any] | None = None,
    unet: dict[str, Any] | None = None,
    **scheduler: Any,
) -> Configs:
    return Configs(Path("somewhere"), index or {}, _UNET | (unet or {}), {"latent_channels": 4}, scheduler)


def test_where_the_index_is_silent_the_spacing_tells_the_steps() -> None:
    assert _configs(timestep_spacing="trailing").answers_in_one_step
    assert not _configs(timestep_spacing="leading").answers_in_one_step
    assert not _configs({"default_denoising_steps": 10}, timestep_spacing="trailing").answers_in_one_step
    assert _configs({"default_denoising_steps": 1}, timestep_spacing="leading").answers_in_one_step


@pytest.mark.parametrize(
    ("index", "scheduler", "expected"),
    [
        ({"_class_name": "MarigoldDepthPipeline"}, {}, True),
        ({"_class_name": "MarigoldNormalsPipeline"}, {"_class_name": "LCMScheduler"}, True),
        ({"_class_name": "StableDiffusionPipeline", "tasks": ["depth"]}, {}, True),
        ({"scale_invariant": True}, {}, True),
        ({"_class_name": "StableDiffusionPipeline"}, {}, False),
        ({"_class_name": "MarigoldIntrinsicsPipeline", "prediction_type": "intrinsics"}, {}, False),
        ({"_class_name": "StableDiffusionInstructPix2PixPipeline", "tasks": ["depth"]}, {}, False),
        ({"_class_name": "MarigoldDepthPipeline"}, {"_class_name": "EulerDiscreteScheduler"}, False),
        ({"_class_name": ["MarigoldDepthPipeline"]}, {}, False),
    ],
)
def test_marigold_s_index_says_what_is_predicted(
    index: dict[str, Any], scheduler: dict[str, Any], expected: bool
) -> None:
    assert _configs(index, **scheduler).is_of_marigold is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"scheduler": {"prediction_type": "epsilon"}},
        {"scheduler": {"prediction_type": "v_prediction", "_class_name": "EulerDiscreteScheduler"}},
        {"unet": {"in_channels": 4}},
        {"unet": {"class_embed_type": "projection"}},
        {"index": {"_class_name": "StableDiffusionInstructPix2PixPipeline"}},
    ],
)
def test_each_sign_of_e2e_ft_is_needed(changes: dict[str, Any]) -> None:
    index, scheduler = {"_class_name": "StableDiffusionPipeline"}, {"prediction_type": "v_prediction"}
    assert _configs(index, **scheduler).is_of_e2e_ft
    changed = _configs(
        changes.get("index", index), changes.get("unet"), **changes.get("scheduler", scheduler)
    )
    assert not changed.is_of_e2e_ft


def test_a_missing_config_is_named_and_what_to_do(tmp_path: Path) -> None:
    folder = RECOGNISED[0][0].write(tmp_path)
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(
        IncompleteCheckpointError, match=r"vae/config\.json missing; is it the right"
    ) as found:
        read_configs(folder)
    assert found.value.missing.endswith("vae/config.json missing")


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model_index\.json, unet/config\.json, .* missing"):
        read_configs(tmp_path)
