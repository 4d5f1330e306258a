"""The completion objective: what starts from measured depth, what from zeros, and what each is held to."""

import numpy as np
import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.hint import Hint
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.objectives.choice import build_objective
from e2e_depth_ros.training.objectives.completion import Hints, completion_loss


def batch_of(count=4):
    """Random images of walls that recede to the right."""
    random = torch.Generator().manual_seed(1)
    u = torch.arange(40).expand(count, 24, 40)
    return Batch(
        torch.randint(0, 255, (count, 3, 24, 40), generator=random, dtype=torch.uint8),
        (2 + torch.arange(count)[:, None, None]) * torch.exp(u / 40),
        torch.zeros(count, 3, 24, 40),
    )


@pytest.fixture
def objective(small, tiny_checkpoint):
    """The objective of a tiny start; keywords go into its recipe."""

    def build(**keys):
        start = {"start": str(tiny_checkpoint("embedded"))}
        return build_objective(small("completion", start, loss={}, **keys))

    return build


def test_what_starts_from_zeros_is_held_to_what_the_start_said(objective):
    trained = objective(completion={"share": 0.5})
    before = trained(batch_of(), 3)
    assert before.parts["kept_loss"].item() < 1e-6
    assert before.parts["completion_loss"].item() > 0.05
    with torch.no_grad():
        trained.model.unet.conv_out.weight.mul_(1.5)
    after = trained(batch_of(), 3)
    assert after.parts["kept_loss"].item() > 1e-3
    torch.testing.assert_close(after.total, after.parts["completion_loss"] + after.parts["kept_loss"])
    assert float(objective(completion={"share": 1.0})(batch_of(), 3).parts["kept_loss"]) == 0


def test_the_network_as_it_was_is_no_part_of_what_is_trained(objective):
    trained = objective()
    assert set(trained.parameters()) == set(trained.model.parameters())


def test_gradients_reach_the_weights_that_read_the_target(objective):
    trained = objective()
    trained(batch_of(), 0).total.backward()
    latents = trained.model.unet.config.out_channels
    gradient = trained.model.unet.conv_in.weight.grad
    assert float(gradient[:, latents:].abs().max()) > 0


def test_samples_depend_on_the_number_of_the_batch_alone(objective):
    trained = objective(completion={"share": 1.0})
    with torch.no_grad():
        losses = [float(trained(batch_of(), number).total) for number in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]


def test_views_without_depth_count_for_nothing(objective):
    trained = objective(completion={"share": 1.0})
    batch = batch_of()
    losses = trained(batch._replace(depth_m=torch.zeros_like(batch.depth_m)), 0)
    assert losses.total.item() == 0
    losses.total.backward()
    assert float(trained.model.unet.conv_in.weight.grad.abs().max()) == 0


def test_the_loss_is_the_error_of_log_depth_and_of_its_steps():
    hint = Hint(np.full((3, 4, 5), 0.05, np.float32), centre=0.5, half_range=2.0)
    decoded = torch.full((2, 3, 4, 5), 0.2)  # log depth 1, with the 0.05 that are filled in
    hints = Hints.stacked([hint, None], decoded)
    depth_m = torch.full((2, 4, 5), float(np.exp(1.2)))
    depth_m[0, 0] = 0  # unknown
    assert float(completion_loss(decoded, depth_m, hints, 0.0)) == pytest.approx(0.2)
    assert float(completion_loss(decoded, depth_m, hints, 0.7)) == pytest.approx(0.2)  # constant
    decoded[0, :, :, 2:] -= 0.05  # by 0.1 of log depth
    assert float(completion_loss(decoded, depth_m, hints, 0.0)) == pytest.approx(0.2 + 0.1 * 3 / 5)
    # In each of three rows it steps by 0.1 between one pair of neighbours, two pairs 2 apart, one 4 apart.
    with_steps = completion_loss(decoded, depth_m, hints, 1.0)
    assert float(with_steps) == pytest.approx(0.2 + 0.06 + 0.1 * 3 * (1 + 2 + 1) / 15)


@pytest.mark.parametrize("model", [None, {"reads_target": False}, {"target_noise": "gaussian"}])
def test_only_a_start_that_reads_the_target_from_zeros_can_be_taught(small, tiny_checkpoint, model):
    start = None if model is None else {"start": str(tiny_checkpoint("embedded")), **model}
    with pytest.raises(InvalidInputError, match="expected a start that reads"):
        build_objective(small("completion", start))
