"""The part of a recipe that says what is minimised."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_depth_ros.training.recipe.checks import check, check_choice


@dataclass(frozen=True)
class DepthLossRecipe:
    """The depth loss; the defaults are the paper's (E2E-FT, arXiv 2409.11355, section 4).

    Attributes:
        weight: Of the whole loss; 0 trains no depth.
        target: "metres", or "quantiles": each image's 2nd to 98th percentile mapped to -1..1.
        clip_target: Clamp true depth to each image's 2nd and 98th percentile, as E2E-FT's data are; only with
            target metres.
        clamp_prediction: Clamp predictions to -1..1 before the fit. It stops gradients outside: for
            networks that are trained already.
        min_variance: Predictions that vary less (squared, in their own unit) count as if they varied so
            much, which bounds the gradient of constant ones.
        near_weighting: 0..1; 1 weighs errors about as 1 / depth, so that far surfaces do not dominate.
        near_softening: Share of the median depth that is added to the depth there: bounds the weight of
            the very nearest.
        span_weighting: 0..1; power of an image's span of depth over its depth, by which its errors count.
            With near_weighting 1, 1 makes them relative errors, as AbsRel has them: streets count more than
            rooms. Only with target quantiles.
        fit_weighting: 0..1; power of the errors' weights in the fit of scale and shift. 0 is the plain
            least-squares fit that the zero-shot protocol scores after, where far surfaces decide how near
            ones are scored; 0.5 keeps the scale of the near ones.
        anchor: Weight of the distance to the target before scale and shift are fitted: fixes sign and
            range of networks that start from nothing. Only with target quantiles.
        gradient_matching: Weight of the error's differences between neighbours: sharp edges, flat planes.
        far: Weight of pixels without depth (sky) being predicted nearer than the farthest surface.
    """

    weight: float = 1.0
    target: str = "metres"
    clip_target: bool = False
    clamp_prediction: bool = True
    min_variance: float = 1e-4
    near_weighting: float = 0.0
    near_softening: float = 0.5
    span_weighting: float = 0.0
    fit_weighting: float = 0.5
    anchor: float = 0.0
    gradient_matching: float = 0.0
    far: float = 0.0

    def __post_init__(self) -> None:
        check_choice("target", self.target, ("metres", "quantiles"))
        check(self.min_variance > 0, "min_variance", f"> 0, got {self.min_variance}")
        for name in ("near_weighting", "span_weighting", "fit_weighting"):
            check(0 <= getattr(self, name) <= 1, name, f"in 0..1, got {getattr(self, name)}")
        check(self.near_softening > 0, "near_softening", f"> 0, got {self.near_softening}")
        check(self.target == "metres" or not self.clip_target, "clip_target", "false with target quantiles")
        if self.target == "metres":
            for name in ("anchor", "far", "span_weighting"):
                check(getattr(self, name) == 0, name, f"0 with target metres, got {getattr(self, name)}")


@dataclass(frozen=True)
class NormalsLossRecipe:
    """The normals loss; the defaults are the paper's.

    Attributes:
        weight: Of the whole loss; 0 trains no normals.
        length: Weight of the squared difference of the decoded length to 1: decoders of pictures can't
            show more.
        share: Share of each batch's images that normals are predicted for, where depth is trained too.
            Depth is the harder task: a small share leaves it the time.
    """

    weight: float = 1.0
    length: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        check(0 < self.share <= 1, "share", f"in (0, 1], got {self.share}")


@dataclass(frozen=True)
class LossRecipe:
    """What is minimised: the weighted sum of both losses."""

    depth: DepthLossRecipe = field(default_factory=DepthLossRecipe)
    normals: NormalsLossRecipe = field(default_factory=NormalsLossRecipe)
