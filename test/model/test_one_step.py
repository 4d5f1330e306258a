from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint import load_checkpoint
from e2e_depth_ros.model.estimate import depth_from_decoded, normals_from_decoded
from e2e_depth_ros.model.latent_network import LatentNetwork
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


def test_each_image_may_have_its_own_task(model: LatentNetwork) -> None:
    images = _images(2)
    with torch.no_grad():
        mixed = model(images, [Task.NORMALS, Task.DEPTH])
        normals, depth = model(images, Task.NORMALS), model(images, Task.DEPTH)
    torch.testing.assert_close(mixed, torch.stack([normals[0], depth[1]]), rtol=0, atol=1e-5)
    assert (normals - depth).abs().max() > 1e-3


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


def test_depth_is_the_clipped_mean_from_near_0_to_far_1() -> None:
    decoded = torch.tensor(
        [[-4.0, -1.0, -0.5, 0.2, 5.0], [-3.0, -1.0, 0.5, 0.4, 5.0], [-2.0, -1.0, 0.3, 0.0, 5.0]]
    )
    depth = depth_from_decoded(decoded.view(1, 3, 1, 5))
    torch.testing.assert_close(depth, torch.tensor([[[0.0, 0.0, 0.55, 0.6, 1.0]]]))


def test_convention_normals_leave_in_the_optical_frame() -> None:
    # Marigold's axes: x right, y up, z towards the camera. A floor's normal points up, a wall's to us.
    floor, wall, facing_right = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.6, 0.0, 0.8)
    decoded = torch.tensor([floor, wall, facing_right]).T.reshape(1, 3, 1, 3)
    optical = normals_from_decoded(decoded)[0, :, 0].T
    torch.testing.assert_close(optical, torch.tensor([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [0.6, 0.0, -0.8]]))


def test_normals_have_length_one_whatever_was_decoded() -> None:
    decoded = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)) * 2
    for full in (True, False):
        length = normals_from_decoded(decoded, full_z_range=full).norm(dim=1)
        torch.testing.assert_close(length, torch.ones(2, 5, 7))


def test_nan_stays_nan() -> None:
    decoded = torch.zeros(1, 3, 1, 2)
    decoded[0, 1, 0, 0] = torch.nan
    assert depth_from_decoded(decoded).isnan().tolist() == [[[True, False]]]
    assert normals_from_decoded(decoded).isnan().any(dim=1).tolist() == [[[True, False]]]
