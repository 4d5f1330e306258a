"""Which parameters decay, and which learn faster."""

import torch
from torch import nn

from e2e_depth_ros.training.optimiser import build_optimiser, set_learning_rate
from e2e_depth_ros.training.recipe import OptimiserRecipe


def model():
    unet = nn.Module()
    unet.conv = nn.Conv2d(2, 3, 1)
    unet.class_embedding = nn.Sequential(nn.Linear(2, 3))
    frozen = nn.Linear(2, 2).requires_grad_(False)
    return nn.ModuleDict({"unet": unet, "vae": frozen})


def groups(recipe):
    network = model()
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    optimiser = build_optimiser(network, recipe)
    set_learning_rate(optimiser, 0.5)
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimiser.param_groups
        for parameter in group["params"]
    }


def test_vectors_decay_only_when_asked():
    assert groups(OptimiserRecipe(steps=1, weight_decay=0.1)) == {
        "unet.conv.weight": (0.5, 0.1),
        "unet.conv.bias": (0.5, 0.0),
        "unet.class_embedding.0.weight": (0.5, 0.1),
        "unet.class_embedding.0.bias": (0.5, 0.0),
    }
    every = groups(OptimiserRecipe(steps=1, weight_decay=0.1, decay_vectors=True))
    assert set(every.values()) == {(0.5, 0.1)}


def test_class_embedding_learns_faster():
    found = groups(OptimiserRecipe(steps=1, weight_decay=0.1, class_embedding=10.0))
    assert found == {
        "unet.conv.weight": (0.5, 0.1),
        "unet.conv.bias": (0.5, 0.0),
        "unet.class_embedding.0.weight": (5.0, 0.1),
        "unet.class_embedding.0.bias": (5.0, 0.0),
    }


def test_is_fused_adamw():
    optimiser = build_optimiser(model(), OptimiserRecipe(steps=1, betas=(0.8, 0.9)))
    assert isinstance(optimiser, torch.optim.AdamW)
    assert all(group["fused"] and group["betas"] == (0.8, 0.9) for group in optimiser.param_groups)
