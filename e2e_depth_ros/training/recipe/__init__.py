"""Training recipes: the contents of the files in recipes/, checked. Each module here holds one part."""

from e2e_depth_ros.training.recipe.completion import CompletionRecipe, SamplesRecipe
from e2e_depth_ros.training.recipe.data import AugmentationRecipe, DataRecipe, SizeRecipe, SourceRecipe
from e2e_depth_ros.training.recipe.diffusion import DiffusionRecipe, ReconstructionRecipe
from e2e_depth_ros.training.recipe.file import (
    find_recipe,
    mapping_from_recipe,
    read_recipe,
    recipe_from_mapping,
)
from e2e_depth_ros.training.recipe.loss import DepthLossRecipe, LossRecipe, NormalsLossRecipe
from e2e_depth_ros.training.recipe.model import AutoencoderRecipe, ModelRecipe, UNetRecipe
from e2e_depth_ros.training.recipe.run import OptimiserRecipe, RunRecipe
from e2e_depth_ros.training.recipe.training import OBJECTIVES, Recipe

__all__ = [
    "OBJECTIVES",
    "AugmentationRecipe",
    "AutoencoderRecipe",
    "CompletionRecipe",
    "DataRecipe",
    "DepthLossRecipe",
    "DiffusionRecipe",
    "LossRecipe",
    "ModelRecipe",
    "NormalsLossRecipe",
    "OptimiserRecipe",
    "Recipe",
    "ReconstructionRecipe",
    "RunRecipe",
    "SamplesRecipe",
    "SizeRecipe",
    "SourceRecipe",
    "UNetRecipe",
    "find_recipe",
    "mapping_from_recipe",
    "read_recipe",
    "recipe_from_mapping",
]
