"""A whole recipe: every number of a training, checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.recipe.checks import check, check_choice
from e2e_depth_ros.training.recipe.completion import CompletionRecipe
from e2e_depth_ros.training.recipe.data import AugmentationRecipe, DataRecipe
from e2e_depth_ros.training.recipe.diffusion import DiffusionRecipe, ReconstructionRecipe
from e2e_depth_ros.training.recipe.loss import LossRecipe
from e2e_depth_ros.training.recipe.model import ModelRecipe
from e2e_depth_ros.training.recipe.run import OptimiserRecipe, RunRecipe

OBJECTIVES = ("end_to_end", "completion", "geowizard", "diffusion", "image_diffusion", "autoencoder")
"""What a training can minimise."""
_OF_MAPS = ("end_to_end", "geowizard")
"""Those that compare decoded depth with the truth."""


@dataclass(frozen=True)
class Recipe:
    """All of a training run: the same recipe, seed, data and machine give the same weights.

    Attributes:
        objective: What is minimised: "end_to_end" (E2E-FT: the losses on what is decoded after one step);
            "completion" (from measured depth, too, in place of zeros);
            "geowizard" (the same for a GeoWizard, whose depth and normals attend to each other);
            "diffusion" (Marigold: the error of the output for noisy latents of depth or normals);
            "image_diffusion" (the same for images alone: a Stable Diffusion to start from); "autoencoder"
            (the error of what comes back from latents). The weights in `loss` choose the tasks of each; of
            its terms only the first two read more.
        completion: Read by "completion".
        diffusion: Read by both kinds of diffusion.
        reconstruction: Read by "autoencoder".
    """

    data: DataRecipe
    optimiser: OptimiserRecipe
    seed: int = 0
    objective: str = "end_to_end"
    model: ModelRecipe = field(default_factory=ModelRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    completion: CompletionRecipe = field(default_factory=CompletionRecipe)
    diffusion: DiffusionRecipe = field(default_factory=DiffusionRecipe)
    reconstruction: ReconstructionRecipe = field(default_factory=ReconstructionRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)

    def __post_init__(self) -> None:
        check_choice("objective", self.objective, OBJECTIVES)
        check(
            self.objective in _OF_MAPS or all(source.outlines for source in self.data.train),
            "outlines",
            f"true where the objective is {self.objective}: {' and '.join(_OF_MAPS)} can do without",
        )
        check(
            all(source.outlines for source in self.data.validation),
            "data.validation: outlines",
            "true: it is how sources train, and scores heed no such thing",
        )
        if not (self.model.start or self.model.autoencoder.start):
            self.check_sizes(self.model.autoencoder.down_factor)

    def check_sizes(self, factor: int) -> None:
        """Refuse batches that the network can't see.

        Args:
            factor: Of the autoencoder, pixels for one latent; a start's is known only once it is read.

        Raises:
            InvalidInputError: A size is no multiple of it.
        """
        for height, width in self.batch_sizes:
            if height % factor or width % factor or min(height, width) < factor:
                raise InvalidInputError(
                    f"expected sizes of batches in multiples of the autoencoder's factor {factor}, "
                    f"got {height} x {width}"
                )

    @property
    def batch_sizes(self) -> list[tuple[int, int]]:
        """(H, W), pixels, of all batches that there may be."""
        of_sources = [(source.height, source.width) for source in self.data.train if source.height]
        return [(size.height, size.width) for size in self.data.sizes] + of_sources

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What is trained: each task whose loss has a weight."""
        weights = {Task.DEPTH: self.loss.depth.weight, Task.NORMALS: self.loss.normals.weight}
        return tuple(task for task, weight in weights.items() if weight > 0)
