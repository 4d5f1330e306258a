"""Consistency models are told by their distillation, and have timesteps of their own."""

from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.layout import Configs
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.consistency import CONSISTENCY, consistency_scheduler
from e2e_depth_ros.model.families.registry import read_facts
from e2e_depth_ros.model.sampling import Sampling


def configs(**scheduler):
    return Configs(Path("somewhere"), {"_class_name": "MarigoldDepthPipeline"}, {}, {}, scheduler)


def test_only_what_was_distilled_is_one():
    assert CONSISTENCY.recognises(configs(original_inference_steps=50))
    assert not CONSISTENCY.recognises(configs(original_inference_steps=None))
    assert not CONSISTENCY.recognises(configs())


def test_a_spacing_that_it_would_ignore_is_refused(tiny_checkpoint):
    facts = read_facts(tiny_checkpoint("marigold_depth_lcm"))
    CONSISTENCY.check_sampling(facts, Sampling(steps=4))
    with pytest.raises(InvalidInputError, match="'trailing', which it ignores, got 'leading'"):
        CONSISTENCY.check_sampling(facts, Sampling(spacing="leading"))


@pytest.mark.parametrize(("steps", "expected"), [(None, 1), (4, 4)])
def test_steps_are_the_checkpoints_own_or_those_asked_for(tiny_checkpoint, steps, expected):
    folder = tiny_checkpoint("marigold_depth_lcm")
    assert read_facts(folder).family is CONSISTENCY
    estimator = Estimator.load(folder, device="cpu", processing_resolution=32, sampling=Sampling(steps=steps))
    assert estimator.steps == expected
    image = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)
    assert estimator.estimate(image).depth.valid.all()


def test_its_timesteps_are_among_those_it_was_distilled_to(tiny_checkpoint):
    config = read_facts(tiny_checkpoint("marigold_depth_lcm")).scheduler_config
    scheduler = consistency_scheduler(config)
    scheduler.set_timesteps(4)
    distilled = {1000 // 50 * step - 1 for step in range(1, 51)}
    assert set(scheduler.timesteps.tolist()) <= distilled
