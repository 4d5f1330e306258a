"""The part of a recipe that says how measured depth is shown to a network in training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from e2e_depth_ros.training.recipe.checks import check


@dataclass(frozen=True)
class SamplesRecipe:
    """How views are sampled. Probabilities, unless said otherwise.

    Attributes:
        random: Weight of 20 to 1,000 pixels at random, relative to the other two.
        lidar: Weight of 2 to 64 scan lines.
        corners: Weight of 30 to 400 pixels, most of them where the image changes.
        missing: No samples within a rectangle.
        parallax: Samples beside edges see what is behind.
        outliers: Some samples are wrong.
        most_outliers: Largest share of them.
        max_depth_m: Metres, beyond which nothing is measured.
    """

    random: float = 0.45
    lidar: float = 0.33
    corners: float = 0.22
    missing: float = 0.3
    parallax: float = 0.12
    outliers: float = 0.5
    most_outliers: float = 0.35
    max_depth_m: float = 80.0

    def __post_init__(self) -> None:
        check(self.max_depth_m > 0, "max_depth_m", f"> 0, got {self.max_depth_m}")
        for name in (f.name for f in dataclasses.fields(self) if f.name != "max_depth_m"):
            check(0 <= getattr(self, name) <= 1, name, f"in 0..1, got {getattr(self, name)}")
        check(self.random + self.lidar + self.corners > 0, "random", "a weight of one pattern at least")


@dataclass(frozen=True)
class CompletionRecipe:
    """What `objective: completion` reads beside the losses.

    Attributes:
        share: Of a batch's images that start from measured depth; the others start from zeros.
        gradient_matching: Weight of the differences of errors between neighbours.
        kept: Weight of what is predicted from zeros differing from what the start predicted: depth from the
            image alone is not to suffer.
        samples: How depth is measured.
    """

    share: float = 0.75
    gradient_matching: float = 0.25
    kept: float = 1.0
    samples: SamplesRecipe = field(default_factory=SamplesRecipe)

    def __post_init__(self) -> None:
        check(0 < self.share <= 1, "share", f"in (0, 1], got {self.share}")
        for name in ("gradient_matching", "kept"):
            check(getattr(self, name) >= 0, name, f">= 0, got {getattr(self, name)}")
