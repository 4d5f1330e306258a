from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.families.family import LatentNetwork, in_batches
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.task import Task


@pytest.fixture
def model(tiny_checkpoint: Callable[..., Path]) -> LatentNetwork:
    return load_checkpoint(tiny_checkpoint("embedded")).model


def _images(batch: int = 3) -> torch.Tensor:
    return torch.rand(batch, 3, 12, 20, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_forward_is_repeatable_and_keeps_the_size(model: LatentNetwork) -> None:
    with torch.no_grad():
        first, second = model(_images(), Task.DEPTH), model(_images(), Task.DEPTH)
    assert first.shape == (3, 3, 12, 20)
    assert torch.equal(first, second)


def test_prompts_lie_in_one_order_whatever_that_of_the_tasks(model: LatentNetwork) -> None:
    """Processes that train together hand them over by their place, and sets have an order of each process."""
    names = [
        [name for name, _ in LatentNetwork(model.unet, model.vae, prompts, model.sampler).named_buffers()]
        for tasks in (list(Task), list(Task)[::-1])
        for prompts in [{task: model.prompt_embedding(task) for task in tasks}]
    ]
    assert names[0] == names[1]
    assert len(names[0]) == 2


def test_each_image_may_have_its_own_task(model: LatentNetwork) -> None:
    images = _images(2)
    with torch.no_grad():
        mixed = model(images, [Task.NORMALS, Task.DEPTH])
        normals, depth = model(images, Task.NORMALS), model(images, Task.DEPTH)
    torch.testing.assert_close(mixed, torch.stack([normals[0], depth[1]]), rtol=0, atol=1e-5)
    assert (normals - depth).abs().max() > 1e-3


def test_what_was_measured_takes_the_place_of_zeros(model: LatentNetwork) -> None:
    with torch.no_grad():
        latents = model.encode(_images())
        from_zeros = model.predict(latents, Task.DEPTH)
        torch.testing.assert_close(model.complete(latents, Task.DEPTH, torch.zeros_like(latents)), from_zeros)
        measured = latents.flip(0) * torch.tensor([1.0, 0.0, 1.0])[:, None, None, None]
        completed = model.complete(latents, Task.DEPTH, measured)
    changed = (completed - from_zeros).abs().amax(dim=(1, 2, 3))
    assert (changed > 1e-3).tolist() == [True, False, True]


def test_gradients_reach_every_part(model: LatentNetwork) -> None:
    model.train()
    model(_images(), [Task.DEPTH, Task.NORMALS, Task.DEPTH]).square().mean().backward()
    without = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    # The posterior's variance isn't used: of the last layer of the encoder half the outputs are idle,
    # but the layer itself has a gradient.
    assert without == []


def test_gradient_checkpointing_changes_no_gradient(model: LatentNetwork) -> None:
    def gradient() -> torch.Tensor:
        model.zero_grad()
        model(_images(2), Task.DEPTH).square().mean().backward()
        found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        return torch.cat([part.flatten() for part in found])

    model.train()
    plain = gradient()
    model.enable_gradient_checkpointing()
    torch.testing.assert_close(gradient(), plain, rtol=1e-4, atol=1e-7)


def test_state_holds_the_prompts(model: LatentNetwork) -> None:
    state = model.state_dict()
    assert state["prompt_depth"].shape == state["prompt_normals"].shape == (1, 2, 12)


def test_refuses_a_task_it_does_not_serve(tiny_checkpoint: Callable[..., Path]) -> None:
    depth_only = load_checkpoint(tiny_checkpoint("marigold_depth")).model
    with pytest.raises(InvalidInputError, match=r"\['depth'\], got 'normals'"):
        depth_only(torch.zeros(1, 3, 16, 8), Task.NORMALS)


def test_refuses_too_few_tasks(model: LatentNetwork) -> None:
    with pytest.raises(InvalidInputError, match="each of 3 images, got 2"):
        model(_images(3), [Task.DEPTH, Task.DEPTH])


def test_in_batches_keeps_order() -> None:
    left, right = torch.arange(7.0), torch.arange(7.0) * 10
    sizes: list[int] = []

    def add(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        sizes.append(len(a))
        return a + b

    assert in_batches(add, 3, left, right).tolist() == (left + right).tolist()
    assert in_batches(add, None, left, right).tolist() == (left + right).tolist()
    assert sizes == [3, 3, 1, 7]
