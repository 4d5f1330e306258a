"""The parts of a recipe that only diffusion trainings and autoencoders read."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_depth_ros.training.recipe.checks import check, check_choice


@dataclass(frozen=True)
class DiffusionRecipe:
    """How latents are noised; the defaults are Marigold's (arXiv 2312.02145, section 3.3).

    Attributes:
        noise: "annealed": of many scales at the last timestep, ever more Gaussian towards the first;
            or "gaussian".
        strength: Of the coarse scales at the last timestep.
        zero_terminal_snr: Leave no signal at the last timestep (Lin et al., arXiv 2305.08891), as Marigold
            1.1 does; otherwise as the start does.
        steps: Denoising steps, of trailing spacing, to validate with, and the checkpoint's default.
    """

    noise: str = "annealed"
    strength: float = 0.9
    zero_terminal_snr: bool = False
    steps: int = 10

    def __post_init__(self) -> None:
        check_choice("noise", self.noise, ("annealed", "gaussian"))
        check(0 <= self.strength <= 1, "strength", f"in 0..1, got {self.strength}")
        check(self.steps > 1, "steps", f"> 1, got {self.steps}")


@dataclass(frozen=True)
class ReconstructionRecipe:
    """What an autoencoder learns to pass through its latents.

    Attributes:
        image: Weight of the image's mean absolute error.
        depth: Weight of the error of depth, as three equal channels in -1..1.
        normals: Weight of the error of normals.
        moments: Weight of what keeps each channel of the latents at mean 0 and variance 1, over a batch:
            diffusion takes that for granted.
        noise: Standard deviation of noise on the latents that the decoder gets, so that it bears the errors
            of what predicts them.
    """

    image: float = 1.0
    depth: float = 1.0
    normals: float = 0.0
    moments: float = 0.1
    noise: float = 0.1
