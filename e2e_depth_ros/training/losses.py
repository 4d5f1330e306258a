"""End-to-end losses on decoded images: affine-invariant depth, and the angle between normals.

Both are means over the valid pixels of the whole batch. An image without valid pixels contributes exactly
nothing, and no gradient. Everything here runs in float32 (float64 where it is handed in), whatever the
network ran in.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from e2e_depth_ros.training.recipe import DepthLossRecipe, NormalsLossRecipe

_QUANTILE_PIXELS = 4096
_MIN_LENGTH = 1e-4
# What depth of soft outlines is compared over: a square of this share of the longer edge.
_COARSE = 1 / 12


class AffineFit(NamedTuple):
    """Scale and shift of each image, (B, 1, 1) each."""

    scale: Tensor
    shift: Tensor


def fit_scale_and_shift(
    prediction: Tensor, target: Tensor, weight: Tensor, *, min_variance: float = 1e-4
) -> AffineFit:
    """Fit scale * prediction + shift to the target by weighted least squares, for each image.

    The closed form of E2E-FT (arXiv 2409.11355, section 4.2; Ranftl et al., arXiv 1907.01341, equation 4)
    on centred data: scale = cov(prediction, target) / var(prediction). Uncentred, the determinant
    n * sum(p^2) - sum(p)^2 cancels in float32 as soon as the mean is large.

    Args:
        prediction: (B, H, W).
        target: (B, H, W); finite where the weight is not 0.
        weight: (B, H, W), >= 0; 0 leaves a pixel out.
        min_variance: Smaller variances of the prediction count as this one, so that a constant prediction
            has scale 0, the target's mean as shift, and a gradient that is finite (and 0: scale and what
            it multiplies both are).

    Returns:
        Scale and shift; 0 and 0 for an image without any weight. Gradients flow through both.
    """
    total = weight.sum(dim=(1, 2), keepdim=True)  # (B, 1, 1)
    share = weight / torch.where(total > 0, total, torch.ones_like(total))
    prediction_mean, prediction = _centre(prediction, share)
    target_mean, target = _centre(target, share)
    covariance = (share * prediction * target).sum(dim=(1, 2), keepdim=True)
    variance = (share * prediction.square()).sum(dim=(1, 2), keepdim=True)
    scale = covariance / variance.clamp(min=min_variance)
    return AffineFit(scale, target_mean - scale * prediction_mean)


def depth_loss(
    decoded: Tensor, depth_m: Tensor, recipe: DepthLossRecipe, has_outlines: Tensor | None = None
) -> Tensor:
    """Score decoded depth against true depth, up to each image's scale and shift.

    With a default recipe: the mean absolute error in metres after the least-squares fit, the loss of
    E2E-FT. The recipe's further terms serve networks that start from nothing; see `DepthLossRecipe`.

    Args:
        decoded: (B, 3, H, W), as the VAE decodes; near is -1, far is 1.
        depth_m: (B, H, W), metres; 0 where unknown.
        recipe: The terms and their weights.
        has_outlines: (B,), bool: whether outlines of depth are sharp. Where they are soft, errors are means
            over a square of a twelfth of the longer edge: what is too near on one side of an outline and too
            far on the other costs nothing, and the network need not learn to be soft. None: all are.

    Returns:
        A scalar; 0 without any valid pixel.
    """
    with torch.autocast(decoded.device.type, enabled=False):
        prediction = _precise(decoded).mean(dim=1)
        depth_m = depth_m.to(prediction.dtype)
        valid = depth_m > 0
        weight = valid.to(prediction.dtype)
        count = weight.sum().clamp(min=1)
        if recipe.clamp_prediction:
            prediction = prediction.clamp(-1, 1)
        if recipe.clip_target:
            low, high = _quantiles(depth_m, valid, (0.02, 0.98), pixels=depth_m[0].numel())
            depth_m = torch.where(valid, depth_m.clamp(low, high), depth_m)
        target = depth_m if recipe.target == "metres" else quantile_target(depth_m, valid)
        error_weight = weight
        if recipe.near_weighting > 0:
            error_weight = near_weights(depth_m, valid, recipe.near_weighting, recipe.near_softening)
        span = torch.ones_like(depth_m[:, :1, :1])
        if recipe.span_weighting > 0:
            span = span_over_depth(depth_m, valid, recipe.near_softening) ** recipe.span_weighting
        # 0 ** 0 is 1: invalid pixels must be left out here whatever the power.
        fit_weight = error_weight**recipe.fit_weighting * weight
        fit = fit_scale_and_shift(prediction, target, fit_weight, min_variance=recipe.min_variance)
        fitted = _fitted(prediction, target, fit_weight, fit)
        error = _told((fitted - target) * weight, weight, has_outlines) * span
        loss = (error.abs() * error_weight).sum() / count
        if recipe.anchor > 0:
            offset = _told((prediction - target) * weight, weight, has_outlines)
            loss = loss + recipe.anchor * (offset.abs() * error_weight).sum() / count
        if recipe.gradient_matching > 0:
            # A few very near pixels of a far scene would rule the differences: their weight is capped.
            capped = error * error_weight.clamp(max=2.5)
            loss = loss + recipe.gradient_matching * gradient_matching(capped, weight)
        if recipe.far > 0:
            # Only images that have depth at all have a fit that says what far means.
            sky = (~valid & valid.any(dim=2, keepdim=True).any(dim=1, keepdim=True)).to(fitted.dtype)
            loss = loss + recipe.far * (functional.relu(1 - fitted) * sky).sum() / sky.numel()
    return loss


def normals_loss(decoded: Tensor, normals: Tensor, recipe: NormalsLossRecipe | None = None) -> Tensor:
    """Return the mean angle between decoded and true normals, radians.

    The angle is ``atan2(|n x m|, n . m)`` rather than ``acos(n . m)``, whose gradient is infinite at 0 and
    180 degrees (E2E-FT, section 4.2, has acos). It doesn't depend on the lengths. At exactly 0 and 180
    degrees, where the angle has a kink, the gradient is 0.

    Convention:
        Both in the same axes; the decoded ones are the network's own (Marigold: x right, y up, z towards
        the camera), so targets in the optical frame must be turned first.

    Args:
        decoded: (B, 3, H, W), any length.
        normals: (B, 3, H, W), unit length; 0, 0, 0 where unknown.
        recipe: The weight of the term for the length; None is the paper's loss.

    Returns:
        A scalar; 0 without any valid pixel.
    """
    with torch.autocast(decoded.device.type, enabled=False):
        decoded = _precise(decoded)
        normals = normals.to(decoded.dtype)
        weight = (normals.square().sum(dim=1) > 0.25).to(decoded.dtype)
        count = weight.sum().clamp(min=1)
        loss = (angle_between(decoded, normals) * weight).sum() / count
        if recipe is not None and recipe.length > 0:
            excess = (_length(decoded) - 1) * weight
            loss = loss + recipe.length * excess.square().sum() / count
    return loss


def angle_between(vectors: Tensor, directions: Tensor) -> Tensor:
    """Return the angle between vectors of any length and unit vectors, (B, 3, H, W) -> (B, H, W), radians.

    The zero vector has no direction: its angle is 90 degrees, with a gradient that turns it the right way.
    Where the direction is 0, that is, unknown, the angle is 90 degrees too, and the gradient 0.
    """
    dot = (vectors * directions).sum(dim=1)
    cross = torch.linalg.cross(vectors, directions, dim=1)
    # The gradient of atan2 at (0, 0) is NaN in older versions of torch.
    unknown = directions.square().sum(dim=1) == 0
    zero = unknown | (vectors.square().sum(dim=1) < _MIN_LENGTH**2)
    angle = torch.atan2(_length(cross), torch.where(zero, torch.ones_like(dot), dot))
    return torch.where(zero, torch.pi / 2 - dot / _MIN_LENGTH, angle)


def quantile_target(depth_m: Tensor, valid: Tensor) -> Tensor:
    """Map each image's 2nd to 98th percentile of depth to -1..1, as Marigold does (arXiv 2312.02145, eq. 3).

    Values beyond are clamped to -1.3..1.15: one far building must not stretch the scale of a whole street.

    Args:
        depth_m: (B, H, W), metres.
        valid: (B, H, W).

    Returns:
        (B, H, W); 0 where invalid. An image of constant depth is mapped near -1.
    """
    low, _, span = _low_median_span(depth_m, valid)
    target = (2 * (depth_m - low) / span - 1).clamp(-1.3, 1.15)
    return torch.where(valid, target, torch.zeros_like(target))


def span_over_depth(depth_m: Tensor, valid: Tensor, softening: float = 0.5) -> Tensor:
    """Return what turns a near-weighted error of a quantile target into a relative error of depth.

    One unit of the target is half of the image's span, which is little of the depth of a wall, and many times
    that of the ground before a camera in a street.

    Args:
        depth_m: (B, H, W), metres.
        valid: (B, H, W).
        softening: That of `near_weights`.

    Returns:
        (B, 1, 1); 0 for an image without valid pixels.
    """
    _, median, span = _low_median_span(depth_m, valid)
    nearness = valid / (depth_m + softening * median).clamp(min=1e-6)
    count = valid.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    return 0.5 * span * nearness.sum(dim=(1, 2), keepdim=True) / count


def near_weights(depth_m: Tensor, valid: Tensor, strength: float, softening: float = 0.5) -> Tensor:
    """Weigh pixels by 1 / (depth + softening * median) ** strength, with mean 1 in each image.

    Errors then count about as they do for AbsRel, but the very nearest pixels don't take over.

    Args:
        depth_m: (B, H, W), metres.
        valid: (B, H, W).
        strength: 0 weighs all alike.
        softening: Share of the image's median depth below which nearness hardly counts any more.

    Returns:
        (B, H, W); 0 where invalid.
    """
    median = _quantiles(depth_m, valid, (0.5,))[0]
    weight = (depth_m + softening * median).clamp(min=1e-6) ** -strength * valid
    mean = weight.sum(dim=(1, 2), keepdim=True) / valid.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    return weight / torch.where(mean > 0, mean, torch.ones_like(mean))


def gradient_matching(error: Tensor, weight: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbouring errors, 1, 2 and 4 pixels apart, summed.

    After Ranftl et al., arXiv 1907.01341, equation 11 (there on halved images). Edges at the wrong place
    cost, constant offsets don't.

    Args:
        error: (B, H, W), 0 where invalid.
        weight: (B, H, W), 1 where valid, else 0.
    """
    count = weight.sum().clamp(min=1)
    loss = error.new_zeros(())
    for step in (1, 2, 4):
        for dim in (1, 2):
            length = error.shape[dim] - step
            if length <= 0:
                continue
            ahead, behind = error.narrow(dim, step, length), error.narrow(dim, 0, length)
            both = weight.narrow(dim, step, length) * weight.narrow(dim, 0, length)
            loss = loss + ((ahead - behind).abs() * both).sum() / count
    return loss


def _told(error: Tensor, weight: Tensor, has_outlines: Tensor | None) -> Tensor:
    """Return the error that depth can tell: where its outlines are soft, means over squares.

    Args:
        error: (B, H, W), 0 where invalid.
        weight: (B, H, W), 1 where valid, else 0.
        has_outlines: (B,), or None for all.
    """
    if has_outlines is None:
        return error
    radius = max(1, round(_COARSE * max(error.shape[1:]) / 2))
    coarse = weight * _box(error, radius) / torch.where(weight > 0, _box(weight, radius), 1)
    return torch.where(has_outlines[:, None, None], error, coarse)


def _box(values: Tensor, radius: int) -> Tensor:
    """Return means over squares of 2 * radius + 1 pixels, (B, H, W); outside of the image is 0."""
    length = 2 * radius + 1
    columns = functional.avg_pool2d(values, (length, 1), stride=1, padding=(radius, 0))
    return functional.avg_pool2d(columns, (1, length), stride=1, padding=(0, radius))


def _precise(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _fitted(prediction: Tensor, target: Tensor, weight: Tensor, fit: AffineFit) -> Tensor:
    """Apply a fit as scale * (p - mean p) + mean t, which keeps precision where the means are large."""
    total = weight.sum(dim=(1, 2), keepdim=True)
    share = weight / torch.where(total > 0, total, torch.ones_like(total))
    _, centred = _centre(prediction, share)
    target_mean, _ = _centre(target, share)
    return fit.scale * centred + target_mean


def _centre(values: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Return weighted mean and the rest; pixels of no share may hold anything finite."""
    mean = (share * values).sum(dim=(1, 2), keepdim=True)
    rest = values - mean
    # Twice: the first mean of large values is only as exact as float32 is.
    correction = (share * rest).sum(dim=(1, 2), keepdim=True)
    return mean + correction, rest - correction


def _length(vectors: Tensor) -> Tensor:
    """Return lengths, (B, 3, H, W) -> (B, H, W), with gradient 0 (not NaN) at the zero vector."""
    squared = vectors.square().sum(dim=1)
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, torch.ones_like(squared)).sqrt(), squared)


def _low_median_span(depth_m: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each image's 2nd and 50th percentile of depth, and 2nd to 98th: (B, 1, 1) each, metres."""
    low, median, high = _quantiles(depth_m, valid, (0.02, 0.5, 0.98))
    # A wall seen from the front has no span: its noise must not become the target.
    return low, median, torch.maximum(high - low, 0.05 * median).clamp(min=1e-6)


def _quantiles(
    depth_m: Tensor, valid: Tensor, fractions: tuple[float, ...], pixels: int = _QUANTILE_PIXELS
) -> Tensor:
    """Return quantiles of the valid pixels, or of some, evenly spread: (Q, B, 1, 1).

    0 for an image without any.
    """
    values = torch.where(valid, depth_m, torch.full_like(depth_m, torch.nan)).flatten(1)  # (B, H * W)
    step = max(1, values.shape[1] // pixels)
    step += step % 2 == 0  # an even step would walk down the same few columns
    sparse = values[:, ::step]
    sparse = torch.where(valid.flatten(1).any(dim=1, keepdim=True), sparse, torch.zeros_like(sparse))
    quantiles = torch.nanquantile(sparse, sparse.new_tensor(fractions), dim=1)
    return torch.nan_to_num(quantiles)[..., None, None]
