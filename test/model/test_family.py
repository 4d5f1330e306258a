"""Every published checkpoint is known by its layout alone: the folder's name says nothing here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import e2e_depth_ros
from e2e_depth_ros.model.facts import read_facts
from e2e_depth_ros.model.family import Family, default_steps, family_of

_TRAILING = {"timestep_spacing": "trailing"}
_LEADING = {"timestep_spacing": "leading"}


@pytest.mark.parametrize(
    ("hub_id", "layout", "family", "steps"),
    [
        ("GonzaloMG/marigold-e2e-ft-depth", "e2e_ft_depth", Family.ONE_STEP, 1),
        ("GonzaloMG/marigold-e2e-ft-normals", "e2e_ft_normals", Family.ONE_STEP, 1),
        ("GonzaloMG/stable-diffusion-e2e-ft-depth", "e2e_ft_depth", Family.ONE_STEP, 1),
        ("GonzaloMG/stable-diffusion-e2e-ft-normals", "e2e_ft_normals", Family.ONE_STEP, 1),
        ("GonzaloMG/marigold-normals", "leading_and_silent", Family.DIFFUSION, 4),
        ("prs-eth/marigold-depth-v1-0", "marigold_depth_v1_0", Family.DIFFUSION, 10),
        ("prs-eth/marigold-depth-v1-1", "marigold_depth_v1_1", Family.DIFFUSION, 4),
        ("prs-eth/marigold-depth-lcm-v1-0", "marigold_depth_lcm", Family.CONSISTENCY, 1),
        ("prs-eth/marigold-normals-v0-1", "marigold_normals_v0_1", Family.DIFFUSION, 10),
        ("prs-eth/marigold-normals-v1-1", "marigold_normals_v1_1", Family.DIFFUSION, 4),
        ("prs-eth/marigold-normals-lcm-v0-1", "marigold_normals_lcm", Family.CONSISTENCY, 1),
        ("lemonaddie/geowizard", "geowizard_v1", Family.JOINT_DIFFUSION, 10),
        ("its second version", "geowizard_v2", Family.JOINT_DIFFUSION, 10),
        ("GonzaloMG/geowizard-e2e-ft", "geowizard_e2e_ft", Family.JOINT_ONE_STEP, 1),
        ("embedded", "embedded", Family.ONE_STEP, 1),
    ],
)
def test_published_layouts(
    tiny_checkpoint: Callable[..., Path], hub_id: str, layout: str, family: Family, steps: int
) -> None:
    facts = read_facts(tiny_checkpoint(layout))
    assert (facts.family, facts.steps) == (family, steps), hub_id


def test_where_the_index_is_silent_the_spacing_decides() -> None:
    assert family_of({}, _TRAILING, {}) is Family.ONE_STEP
    assert family_of({}, _LEADING, {}) is Family.DIFFUSION
    assert family_of({"default_denoising_steps": 10}, _TRAILING, {}) is Family.DIFFUSION
    assert family_of({"default_denoising_steps": 1}, _LEADING, {}) is Family.ONE_STEP
    assert (
        family_of({"default_denoising_steps": 1}, {"original_inference_steps": 50}, {}) is Family.CONSISTENCY
    )


def test_class_names_decide_nothing() -> None:
    assert family_of({"_class_name": "MarigoldDepthPipeline"}, _TRAILING, {}) is Family.ONE_STEP
    assert family_of({"_class_name": "StableDiffusionPipeline"}, _LEADING, {}) is Family.DIFFUSION


def test_steps_where_unsaid() -> None:
    assert default_steps({}, Family.DIFFUSION) == 4
    assert default_steps({"default_denoising_steps": None}, Family.CONSISTENCY) == 1
    assert default_steps({"default_denoising_steps": 7}, Family.DIFFUSION) == 7


def test_only_the_place_that_chooses_asks_for_a_family_by_name() -> None:
    """Elsewhere its properties tell, such as `is_joint`, so that a new family needs no search."""
    package = Path(e2e_depth_ros.__file__).parent
    asks = re.compile(r"(\bis|\bis not|==|!=|\bin \(|\bin \{|\bcase)\s*Family\.[A-Z]")
    asking = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if asks.search(path.read_text(encoding="utf-8"))
    }
    assert asking == {"model/family.py", "model/networks.py"}
