"""Every published checkpoint is known by its layout alone: the folder's name says nothing here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e_depth_ros.model.checkpoint.configs import Configs
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families import registry
from e2e_depth_ros.model.families.consistency import CONSISTENCY
from e2e_depth_ros.model.families.family import NetworkFamily, Sampler
from e2e_depth_ros.model.families.geowizard import JOINT_DIFFUSION, JOINT_ONE_STEP
from e2e_depth_ros.model.families.multi_step import DIFFUSION
from e2e_depth_ros.model.families.one_step import ONE_STEP, OneStepSampler, denoising_step
from e2e_depth_ros.model.families.registry import family_of, read_facts
from e2e_depth_ros.model.sampling import Sampling

_TRAILING = {"timestep_spacing": "trailing"}
_LEADING = {"timestep_spacing": "leading"}


@pytest.mark.parametrize(
    ("hub_id", "layout", "family", "steps"),
    [
        ("GonzaloMG/marigold-e2e-ft-depth", "e2e_ft_depth", ONE_STEP, 1),
        ("GonzaloMG/marigold-e2e-ft-normals", "e2e_ft_normals", ONE_STEP, 1),
        ("GonzaloMG/stable-diffusion-e2e-ft-depth", "e2e_ft_depth", ONE_STEP, 1),
        ("GonzaloMG/stable-diffusion-e2e-ft-normals", "e2e_ft_normals", ONE_STEP, 1),
        ("GonzaloMG/marigold-normals", "leading_and_silent", DIFFUSION, 4),
        ("prs-eth/marigold-depth-v1-0", "marigold_depth_v1_0", DIFFUSION, 10),
        ("prs-eth/marigold-depth-v1-1", "marigold_depth_v1_1", DIFFUSION, 4),
        ("prs-eth/marigold-depth-lcm-v1-0", "marigold_depth_lcm", CONSISTENCY, 1),
        ("prs-eth/marigold-normals-v0-1", "marigold_normals_v0_1", DIFFUSION, 10),
        ("prs-eth/marigold-normals-v1-1", "marigold_normals_v1_1", DIFFUSION, 4),
        ("prs-eth/marigold-normals-lcm-v0-1", "marigold_normals_lcm", CONSISTENCY, 1),
        ("lemonaddie/geowizard", "geowizard_v1", JOINT_DIFFUSION, 10),
        ("its second version", "geowizard_v2", JOINT_DIFFUSION, 10),
        ("GonzaloMG/geowizard-e2e-ft", "geowizard_e2e_ft", JOINT_ONE_STEP, 1),
        ("embedded", "embedded", ONE_STEP, 1),
    ],
)
def test_published_layouts(
    tiny_checkpoint: Callable[..., Path], hub_id: str, layout: str, family: NetworkFamily, steps: int
) -> None:
    facts = read_facts(tiny_checkpoint(layout))
    assert (facts.family, facts.steps) == (family, steps), hub_id


def _family(index: Mapping[str, Any], scheduler: Mapping[str, Any]) -> NetworkFamily:
    return family_of(Configs(Path("somewhere"), index, {}, {}, scheduler))


def test_where_the_index_is_silent_the_spacing_decides() -> None:
    assert _family({}, _TRAILING) is ONE_STEP
    assert _family({}, _LEADING) is DIFFUSION
    assert _family({"default_denoising_steps": 10}, _TRAILING) is DIFFUSION
    assert _family({"default_denoising_steps": 1}, _LEADING) is ONE_STEP
    assert _family({"default_denoising_steps": 1}, {"original_inference_steps": 50}) is CONSISTENCY


def test_class_names_decide_nothing() -> None:
    assert _family({"_class_name": "MarigoldDepthPipeline"}, _TRAILING) is ONE_STEP
    assert _family({"_class_name": "StableDiffusionPipeline"}, _LEADING) is DIFFUSION


def test_the_user_s_own_index_tells_the_steps(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("marigold_depth_v1_1"), tmp_path / "copy")
    index = json.loads((folder / "model_index.json").read_text())
    for said, expected in ((7, 7), (None, 4)):
        (folder / "model_index.json").write_text(json.dumps({**index, "default_denoising_steps": said}))
        leading = {**json.loads((folder / "scheduler" / "scheduler_config.json").read_text()), **_LEADING}
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(leading))
        assert read_facts(folder).steps == expected


class _Hasty(NetworkFamily):
    """A family that isn't here: it asks its network early, where others say that there is little noise."""

    def recognises(self, configs: Configs) -> bool:
        return bool(configs.scheduler["num_train_timesteps"] == 1000)

    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> Sampler:  # noqa: ARG002 - no choice
        return OneStepSampler(denoising_step({**facts.scheduler_config, "num_train_timesteps": 500}))


def test_a_family_is_a_line_in_the_registry(
    tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = _Hasty("one early step", is_one_step=True)
    folder, image = tiny_checkpoint("marigold_depth_v1_1"), np.full((21, 34, 3), 90, np.uint8)
    monkeypatch.setattr(registry, "FAMILIES", (hasty, *registry.FAMILIES))
    estimator = Estimator.load(folder, device="cpu")
    assert estimator.facts.family is hasty
    seen = []
    unet = estimator.engine.network.unet.forward
    monkeypatch.setattr(
        estimator.engine.network.unet, "forward", lambda *a, **k: seen.append(int(a[1])) or unet(*a, **k)
    )
    assert estimator.estimate(image).depth is not None
    assert seen == [499]
