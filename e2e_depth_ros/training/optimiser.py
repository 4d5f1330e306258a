"""The optimiser of a recipe, for what of a model is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from e2e_depth_ros.training.recipe import OptimiserRecipe

_CLASS_EMBEDDING = ".class_embedding."


def build_optimiser(model: nn.Module, recipe: OptimiserRecipe) -> torch.optim.AdamW:
    """Return AdamW over the parameters that aren't frozen; see `set_learning_rate`."""
    groups: list[dict[str, Any]] = []
    for factor in dict.fromkeys((1.0, recipe.class_embedding)):
        trained = [
            parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
            and (recipe.class_embedding if _CLASS_EMBEDDING in name else 1.0) == factor
        ]
        matrices = [parameter for parameter in trained if parameter.ndim > 1]
        vectors = [parameter for parameter in trained if parameter.ndim <= 1]
        decay = recipe.weight_decay
        groups += [
            {"params": matrices, "weight_decay": decay, "factor": factor},
            {"params": vectors, "weight_decay": decay if recipe.decay_vectors else 0.0, "factor": factor},
        ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step; that of each group is its factor times as large."""
    for group in optimiser.param_groups:
        group["lr"] = group["factor"] * rate
