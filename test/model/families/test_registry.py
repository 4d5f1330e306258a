"""Every published checkpoint is known by its layout alone: the folder's name says nothing here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.layout import Configs, read_configs
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families import registry
from e2e_depth_ros.model.families.consistency import CONSISTENCY
from e2e_depth_ros.model.families.family import NetworkFamily, Sampler
from e2e_depth_ros.model.families.generator import IMAGE_GENERATOR
from e2e_depth_ros.model.families.genpercept import GENPERCEPT
from e2e_depth_ros.model.families.geowizard import JOINT_DIFFUSION, JOINT_ONE_STEP
from e2e_depth_ros.model.families.lotus import LOTUS
from e2e_depth_ros.model.families.multi_step import DIFFUSION
from e2e_depth_ros.model.families.one_step import ONE_STEP, OneStepSampler, denoising_step
from e2e_depth_ros.model.families.registry import read_facts, read_start
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from helpers.foreign import ELSEWHERE, REFUSED
from helpers.published import RECOGNISED, Published

_LEADING = {"timestep_spacing": "leading"}
_OF_WORD = {
    "depth": (Task.DEPTH, DepthKind.AFFINE_INVARIANT),
    "disparity": (Task.DEPTH, DepthKind.AFFINE_INVARIANT_DISPARITY),
    "normals": (Task.NORMALS, DepthKind.AFFINE_INVARIANT),
}
_FAMILIES = {
    "CONSISTENCY": CONSISTENCY,
    "DIFFUSION": DIFFUSION,
    "GENPERCEPT": GENPERCEPT,
    "JOINT_DIFFUSION": JOINT_DIFFUSION,
    "JOINT_ONE_STEP": JOINT_ONE_STEP,
    "LOTUS": LOTUS,
    "ONE_STEP": ONE_STEP,
}


@pytest.mark.parametrize(
    ("published", "family", "predicts", "steps"), RECOGNISED, ids=lambda value: getattr(value, "id", "")
)
def test_published_checkpoints_are_recognised(
    tmp_path: Path, published: Published, family: str, predicts: str, steps: int
) -> None:
    facts = read_facts(published.write(tmp_path))
    words = [_OF_WORD[word] for word in predicts.split()]
    assert facts.name == published.id
    assert facts.family is _FAMILIES[family]
    assert facts.tasks == {task for task, _ in words}
    assert facts.depth_kind is words[0][1]
    assert (facts.steps, facts.processing_resolution) == (steps, 768)


@pytest.mark.parametrize("published", [row[0] for row in RECOGNISED], ids=lambda value: value.id)
def test_only_one_family_takes_each_where_order_does_not_decide(tmp_path: Path, published: Published) -> None:
    """Only what answers in fewer steps stands before what would take more of the same layout."""
    configs = read_configs(published.write(tmp_path))
    taken = [family for family in registry.FAMILIES if family.recognises(configs)]
    assert set(taken[1:]) <= ({DIFFUSION, ONE_STEP} if taken[0] in (CONSISTENCY, ONE_STEP) else set())


@pytest.mark.parametrize(("published", "words"), REFUSED, ids=lambda value: getattr(value, "id", ""))
def test_foreign_checkpoints_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], published: Published, words: str
) -> None:
    folder = published.write(tmp_path)
    for task in ("auto", "depth"):  # who says what it predicts makes no network of depth of it
        with pytest.raises(CheckpointError, match="expected a checkpoint that predicts depth") as refusal:
            read_facts(folder, task=task)
        assert words in str(refusal.value)
    assert main(["checkpoint", "inspect", str(folder)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert words in told.err


@pytest.mark.parametrize("name", ELSEWHERE)
def test_folders_of_another_layout_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    files, words = ELSEWHERE[name]
    for file, content in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(content)
    for command in (["checkpoint", "verify"], ["benchmark", "--device", "cpu", "--model"]):
        assert main([*command, str(tmp_path)]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert words in told


def test_trainings_start_from_image_generators_and_from_nothing_foreign(tmp_path: Path) -> None:
    started = [
        published.id
        for published, _ in REFUSED
        if _starts(published.write(tmp_path / published.id.replace("/", "-")))
    ]
    assert started == [
        "stabilityai/stable-diffusion-2",
        "stabilityai/stable-diffusion-2-base",
        "saved trailing",
        "sd2 depth saved trailing",
        "stable-diffusion-v1-5",
        "stabilityai/sd-turbo",
    ]


def _starts(folder: Path) -> bool:
    try:
        facts = read_start(folder, frozenset({Task.DEPTH}))
    except CheckpointError:
        return False
    return facts.family is IMAGE_GENERATOR


def test_a_training_knows_genpercept_s_unet_from_the_generator_that_it_is_joined_with(tmp_path: Path) -> None:
    published = next(row[0] for row in RECOGNISED if row[0].id == "genpercept-depth-joined")
    folder = published.write(tmp_path)
    assert IMAGE_GENERATOR.recognises(read_configs(folder))
    assert read_start(folder, frozenset({Task.DEPTH})).family is GENPERCEPT


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
