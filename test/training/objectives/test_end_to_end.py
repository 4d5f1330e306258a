"""The end-to-end objective: which images of a batch are scored, and for what."""

import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.objectives.end_to_end import batch_losses
from e2e_depth_ros.training.recipe import DepthLossRecipe, LossRecipe, NormalsLossRecipe


def losses_of(model, batch, **normals):
    recipe = LossRecipe(DepthLossRecipe(), NormalsLossRecipe(**normals))
    with torch.no_grad():
        return batch_losses(model, batch, recipe, torch.ones(3))


def test_share_scores_the_first_images_normals_and_every_images_depth(tiny_checkpoint):
    model = load_checkpoint(tiny_checkpoint("embedded")).model.eval()
    random = torch.Generator().manual_seed(1)
    batch = Batch(
        torch.randint(0, 255, (4, 3, 24, 40), generator=random, dtype=torch.uint8),
        1 + torch.rand(4, 24, 40, generator=random),
        torch.nn.functional.normalize(torch.randn(4, 3, 24, 40, generator=random), dim=1),
    )
    whole = losses_of(model, batch)
    shared = losses_of(model, batch, share=0.5)
    first = losses_of(model, Batch(*(tensor[:2] for tensor in batch[:3])))
    torch.testing.assert_close(shared.parts["depth_loss"], whole.parts["depth_loss"])
    torch.testing.assert_close(shared.parts["normals_loss"], first.parts["normals_loss"])
    assert abs(float(first.parts["normals_loss"] - whole.parts["normals_loss"])) > 1e-4
    one = losses_of(model, batch, share=0.01)  # never none
    torch.testing.assert_close(
        one.parts["normals_loss"],
        losses_of(model, Batch(*(tensor[:1] for tensor in batch[:3]))).parts["normals_loss"],
    )


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_share_that_is_none_is_refused(share):
    with pytest.raises(InvalidInputError, match="share"):
        NormalsLossRecipe(share=share)
