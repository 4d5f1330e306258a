"""Several predictions of one image become one, and their disagreement an uncertainty."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind

_MAX_ROUNDS = 50
_TOLERANCE = 1e-9  # of the scales, between two rounds
_MIN_RANGE = 1e-6  # less is rounding
_MIN_DISAGREEMENT = 1e-7  # of two members that agree: their pair must not weigh infinitely
_WITHOUT_SHIFT = (DepthKind.SCALE_INVARIANT, DepthKind.METRIC)


class Ensemble(NamedTuple):
    """What an ensemble agreed on.

    Attributes:
        values: (C, h, w): depth (C = 1) in 0..1, or unit normals (C = 3).
        uncertainty: (h, w). Of depth: the median absolute deviation, in units of the depth's 0..1. Of
            normals: the mean angle to the mean direction, divided by pi.
    """

    values: Tensor
    uncertainty: Tensor


def ensemble_depth(depths: Tensor, kind: DepthKind = DepthKind.AFFINE_INVARIANT) -> Ensemble:
    """Align depth predictions to each other and take their median (Ke et al., arXiv 2312.02145, 3.3).

    Args:
        depths: (E, h, w), predictions of one image; a pixel that is NaN in one is NaN in the result.
        kind: What they leave open: a scale, or a scale and a shift.

    Returns:
        The median, stretched to 0..1 (without a shift: to at most 1), and its uncertainty.

    Raises:
        InvalidInputError: The predictions have another shape.
    """
    scales, shifts = align_members(depths, kind)
    aligned = torch.addcmul(shifts[:, None, None], depths.float(), scales[:, None, None])
    values = aligned.median(dim=0).values  # the lower of two, as Marigold's
    uncertainty = (aligned - values).abs_().median(dim=0).values
    finite = values[torch.isfinite(values)]
    if finite.numel() == 0:
        return Ensemble(values[None], uncertainty)
    low = 0.0 if kind in _WITHOUT_SHIFT else finite.min()
    span = (finite.max() - low).clamp(min=_MIN_RANGE)
    return Ensemble(((values - low) / span)[None], uncertainty / span)


def align_members(depths: Tensor, kind: DepthKind = DepthKind.AFFINE_INVARIANT) -> tuple[Tensor, Tensor]:
    """Find the scale and shift of each prediction that bring all closest together.

    Minimised is the sum over all pairs of the root mean squared difference, the cost that Marigold's
    ensembling hands to a general minimiser. It sees the images only through their means and covariances:
    the best shifts give all members one mean (here 0), whatever the scales, and then
    RMSE_ij^2 = s_i^2 K_ii + s_j^2 K_jj - 2 s_i s_j K_ij. The sum of these roots is convex in s, and
    reweighted least squares finds its minimum in rounds of one n x n system. All scales zero would be best
    of all (Marigold's regulariser is too weak to forbid it): the sum of the scaled standard deviations is
    held at E instead. A common scale and shift means nothing, as the result is stretched to 0..1.

    Args:
        depths: (E, h, w); pixels that are NaN in one are left out.
        kind: Without a shift the covariances are taken about zero, and all shifts are 0.

    Returns:
        Scales and shifts, each (E,), float32, on the device of the predictions.

    Raises:
        InvalidInputError: The predictions have another shape.
    """
    if depths.ndim != 3 or depths.numel() == 0:
        raise InvalidInputError(f"expected predictions of shape (E, h, w), got {tuple(depths.shape)}")
    members = depths.float().flatten(1)  # (E, h * w)
    finite = torch.isfinite(members).all(dim=0)
    if not finite.all():
        members = members[:, finite]
    if members.shape[1] == 0:
        return torch.ones_like(depths[:, 0, 0]), torch.zeros_like(depths[:, 0, 0])
    has_shift = kind not in _WITHOUT_SHIFT
    means = members.mean(dim=1) if has_shift else torch.zeros_like(members[:, 0])
    centred = members - means[:, None]
    covariance = (centred @ centred.T / members.shape[1]).double().cpu()  # (E, E)
    scales = _closest_scales(covariance).to(depths.device)
    return scales.float(), (-scales * means.double()).float()


def _closest_scales(covariance: Tensor) -> Tensor:
    """Minimise the sum of pairwise distances over the scales, (E, E) -> (E,).

    In u = s * sigma, so with correlations instead of covariances: sum(u) = E, and a member's own scale and
    brightness play no part.
    """
    deviation = covariance.diagonal().clamp(min=0).sqrt()
    constant = deviation < _MIN_RANGE
    deviation = deviation.where(~constant, torch.ones_like(deviation))
    correlation = covariance / deviation.outer(deviation)
    correlation.fill_diagonal_(1.0)
    members = len(deviation)
    ones = torch.ones(members, dtype=covariance.dtype)
    u = ones
    for _ in range(_MAX_ROUNDS):
        squared = u[:, None] ** 2 + u[None, :] ** 2 - 2 * u.outer(u) * correlation
        weights = squared.clamp(min=_MIN_DISAGREEMENT**2).rsqrt()
        weights.fill_diagonal_(0)
        system = torch.diag(weights.sum(dim=1)) - weights * correlation
        # Where all agree the system is singular along u itself; a trace of identity settles that.
        system += torch.eye(members, dtype=covariance.dtype) * (1e-12 * weights.sum() + 1e-300)
        direction = torch.linalg.solve(system, ones)
        improved = direction * (members / direction.sum())
        settled = bool((improved - u).abs().max() < _TOLERANCE)
        u = improved
        if settled:
            break
    return u / deviation


def ensemble_normals(normals: Tensor) -> Ensemble:
    """Take at each pixel the member that is closest to the mean direction (Marigold, arXiv 2505.09358).

    Args:
        normals: (E, 3, h, w), unit vectors; a pixel that is NaN in one is NaN in the result.

    Returns:
        The chosen normals and the uncertainty.

    Raises:
        InvalidInputError: The predictions have another shape.
    """
    if normals.ndim != 4 or normals.shape[1] != 3 or normals.numel() == 0:
        raise InvalidInputError(f"expected normals of shape (E, 3, h, w), got {tuple(normals.shape)}")
    mean = normals.mean(dim=0)
    mean = mean / mean.norm(dim=0).clamp(min=_MIN_RANGE)  # (3, h, w)
    cosines = (normals * mean).sum(dim=1).clamp(-1, 1)  # (E, h, w)
    closest = cosines.argmax(dim=0)
    chosen = normals.gather(0, closest[None, None].expand(1, 3, -1, -1))[0]
    uncertainty = cosines.arccos().mean(dim=0) / math.pi
    return Ensemble(chosen.where(~torch.isnan(uncertainty), torch.nan), uncertainty)
