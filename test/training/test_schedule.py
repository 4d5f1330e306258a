"""The learning rate, step by step."""

import itertools

import pytest

from e2e_depth_ros.training.recipe import OptimiserRecipe
from e2e_depth_ros.training.schedule import learning_rate, schedule_step


def rates(**options):
    recipe = OptimiserRecipe(**{"steps": 100, "learning_rate": 2.0, "warmup_steps": 10, **options})
    return [learning_rate(step, recipe) for step in range(recipe.steps)]


def test_warm_up_is_linear_and_never_zero():
    rate = rates()
    assert rate[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert rate[9:] == pytest.approx([2.0] * 91)
    assert rates(warmup_steps=0) == pytest.approx([2.0] * 100)


@pytest.mark.parametrize("decay", ["linear", "cosine", "exponential"])
def test_decay_ends_at_the_final_fraction(decay):
    rate = rates(decay=decay, decay_steps=40, final_fraction=0.01)
    assert rate[59] == pytest.approx(2.0)
    assert rate[60] < 2.0
    assert all(later < earlier for earlier, later in itertools.pairwise(rate[59:]))
    assert rate[99] == pytest.approx(0.02)


def test_halfway_through_the_decay():
    half = {
        decay: rates(decay=decay, decay_steps=40, final_fraction=0.01)[79] for decay in ("linear", "cosine")
    }
    assert half == pytest.approx({"linear": 1.01, "cosine": 1.01})
    assert rates(decay="exponential", decay_steps=40, final_fraction=0.01)[79] == pytest.approx(0.2)


def test_papers_schedule():
    # E2E-FT: 100 steps up, then exponentially down to 1 % at step 20,000.
    recipe = OptimiserRecipe(steps=20_000, decay="exponential", decay_steps=19_900)
    assert learning_rate(99, recipe) == pytest.approx(3e-5)
    assert learning_rate(19_999, recipe) == pytest.approx(3e-7)


def test_prolonging_changes_nothing_before_the_decay():
    short, long = (rates(steps=steps, decay_steps=20) for steps in (100, 200))
    assert short[:80] == long[:80]


def test_marigolds_schedule_stays_at_its_lowest_rate():
    rate = rates(decay="exponential", decay_steps=60, final_steps=30, final_fraction=0.01)
    assert rate[9] == pytest.approx(2.0)
    assert rate[10 + 30 - 1] == pytest.approx(0.2)
    assert rate[69:] == pytest.approx([0.02] * 31)


@pytest.mark.parametrize(
    ("step", "seconds", "minutes", "expected"), [(7, 99.0, 0.0, 7), (7, 30.0, 2.0, 25), (7, 500.0, 2.0, 100)]
)
def test_a_schedule_counts_steps_or_goes_by_the_clock(step, seconds, minutes, expected):
    recipe = OptimiserRecipe(steps=100, minutes=minutes)
    assert schedule_step(step, seconds, recipe) == expected
