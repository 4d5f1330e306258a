"""What the user chooses of how a diffusion network samples."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_depth_ros.core.errors import InvalidInputError

SPACINGS = ("trailing", "leading", "linspace")
"""How the timesteps of fewer steps are chosen among all (Lin et al., arXiv 2305.08891, table 2)."""

DOMAINS = ("indoor", "outdoor", "object")
"""The kinds of scenes that GeoWizard tells apart."""

TARGET_NOISES = ("zeros", "gaussian", "pyramid")
"""What a network of one step may start from."""

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Sampling:
    """How to sample. Networks that answer in one deterministic step (E2E-FT) leave nothing to choose.

    Attributes:
        steps: Denoising steps; None takes the checkpoint's own number.
        spacing: One of `SPACINGS`. "trailing" starts where the noise is, at the last timestep; most saved
            configs say "leading", which with few steps tells the network of less noise than there is
            (Garcia et al., arXiv 2409.11355). Consistency models have a spacing of their own.
        ensemble_size: Predictions per image, each from its own noise, that become one. Their disagreement
            is the uncertainty; 3 is the least for which it means something.
        seed: Of the noise. Each call starts from the same noise, so the same image gives the same result and
            a video flickers less; the images of a batch have noise of their own. None draws anew each time.
        carry: Share of the last frame's latents in those that the next frame starts from, 0..1, so that a
            video flickers less; Marigold's authors take 0.1. 0 treats each image for itself.
        domain: Kind of scene, for networks that tell them apart (GeoWizard): indoor, outdoor or object.

    Raises:
        InvalidInputError: A value is impossible.
    """

    steps: int | None = None
    spacing: str = "trailing"
    ensemble_size: int = 1
    seed: int | None = 0
    carry: float = 0.0
    domain: str = "indoor"

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise InvalidInputError(f"expected at least 1 denoising step, got {self.steps}")
        if self.spacing not in SPACINGS:
            raise InvalidInputError(f"expected spacing {', '.join(SPACINGS)}, got {self.spacing!r}")
        if self.ensemble_size < 1:
            raise InvalidInputError(f"expected an ensemble of at least 1, got {self.ensemble_size}")
        if self.seed is not None and not 0 <= self.seed <= _MAX_SEED:
            raise InvalidInputError(f"expected a seed of 0 to 2^63 - 1, got {self.seed}")
        if not 0 <= self.carry <= 1:
            raise InvalidInputError(f"expected a share carried over of 0 to 1, got {self.carry:g}")
        if self.domain not in DOMAINS:
            raise InvalidInputError(f"expected a domain among {', '.join(DOMAINS)}, got {self.domain!r}")


DEFAULT_SAMPLING = Sampling()
"""How networks sample unless the user says otherwise."""
