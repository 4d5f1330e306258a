"""The place that chooses the objective that a recipe names."""

from __future__ import annotations

from collections.abc import Callable

from e2e_depth_ros.training.objectives.autoencoder import Autoencoder
from e2e_depth_ros.training.objectives.base import Objective
from e2e_depth_ros.training.objectives.completion import Completion
from e2e_depth_ros.training.objectives.diffusion import Diffusion
from e2e_depth_ros.training.objectives.end_to_end import EndToEnd
from e2e_depth_ros.training.objectives.geowizard import GeoWizardEndToEnd
from e2e_depth_ros.training.objectives.image_diffusion import ImageDiffusion
from e2e_depth_ros.training.recipe import Recipe

_OBJECTIVES: dict[str, Callable[[Recipe], Objective]] = {
    "end_to_end": EndToEnd,
    "completion": Completion,
    "geowizard": GeoWizardEndToEnd,
    "diffusion": Diffusion,
    "image_diffusion": ImageDiffusion,
    "autoencoder": Autoencoder,
}


def build_objective(recipe: Recipe) -> Objective:
    """Build what a recipe's training minimises, with its network on the CPU in training mode.

    Raises:
        CheckpointError: The checkpoint to start from isn't there or isn't whole.
        InvalidInputError: The network can't be trained so, or can't see the batches' sizes.
    """
    objective = _OBJECTIVES[recipe.objective](recipe)
    recipe.check_sizes(objective.down_factor)
    return objective.train()
