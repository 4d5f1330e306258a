"""The learning rate over the steps of a training."""

from __future__ import annotations

import math

from e2e_depth_ros.training.recipe import OptimiserRecipe


def schedule_step(step: int, seconds: float, recipe: OptimiserRecipe) -> int:
    """Return where in its schedule a training is: 0 at its start, `steps` once it is over.

    Args:
        step: Optimiser steps done.
        seconds: Time that they took.
        recipe: Its length, in steps or by the clock.
    """
    if not recipe.minutes:
        return step
    return min(recipe.steps, int(recipe.steps * seconds / (60 * recipe.minutes)))


def learning_rate(step: int, recipe: OptimiserRecipe) -> float:
    """Return the learning rate of a step: linear warm-up, constant, decay over the last steps.

    The constant part lets a run be prolonged: with more `steps` it continues where it stopped. The paper's
    schedule (E2E-FT: exponential from the end of the warm-up to 0.01 x) is `decay: exponential` with
    `decay_steps` = `steps` - `warmup_steps`.

    Args:
        step: 0 for the first optimiser step; see `schedule_step`.
        recipe: The schedule.

    Returns:
        The learning rate, > 0.
    """
    rate = recipe.learning_rate * min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    begin = recipe.steps - recipe.decay_steps - recipe.final_steps
    if step < begin or recipe.decay_steps == 0:
        return rate
    fraction = min(1.0, (step - begin + 1) / recipe.decay_steps)
    final = recipe.final_fraction
    if recipe.decay == "exponential":
        return float(rate * final**fraction)
    remaining = 1 - fraction if recipe.decay == "linear" else (1 + math.cos(math.pi * fraction)) / 2
    return rate * (final + (1 - final) * remaining)
