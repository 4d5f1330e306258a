"""From samples to the correction: choose those to believe, and condition it on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel, value_range
from e2e_depth_ros.alignment.evidence.edges import edge_doubt
from e2e_depth_ros.alignment.evidence.gate import GateSettings, gate_samples
from e2e_depth_ros.alignment.evidence.neighbours import are_supported
from e2e_depth_ros.alignment.fitting.correction import Correction, are_a_crowd, crowding, fit_correction
from e2e_depth_ros.alignment.fitting.field import points_of
from e2e_depth_ros.alignment.fitting.fit import RobustFit
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.maps import DepthMap

_CERTAIN = 30  # samples; fewer can't tell outliers from errors of the network
_AGREED = 0.7  # share of agreeing samples from which such few may be corrected by all the same
_UNANIMOUS = 0.93  # the same, below which others of them may be outliers that look honest
_CROWDED = 0.4  # distance between samples over that of evenly spread ones, below which it is of one object
_CAUTION = 0.5  # share of the correction that is made then
_MOST_WRONG = 1.0  # of any network, in log depth: samples beyond it support each other by chance, or all lie


def are_worth_a_correction(fit: RobustFit, samples: Samples, size: tuple[int, int]) -> bool:
    """Whether a correction by these samples would help rather than harm.

    Few samples that disagree tell nothing about the network's local errors. Many that crowd, and scatter
    about the fit, tell about the one object where they are: a plant whose leaves and background they mix up.

    Args:
        fit: To the samples.
        samples: On valid pixels.
        size: (H, W) of the image.
    """
    if len(samples) < _CERTAIN:
        return fit.inlier_ratio > _AGREED
    place = np.stack([samples.u_px, samples.v_px], axis=1) / size[1]
    return fit.sigma <= GateSettings.poor_sigma or crowding(place, size) >= _CROWDED


def correction_from_samples(
    model: AffineModel,
    fit: RobustFit,
    samples: Samples,
    values: NDArray[np.float64],
    relative: DepthMap,
    image: NDArray[np.uint8] | None,
    previous: Correction | None,
) -> tuple[Correction | None, Samples, NDArray[np.bool_]]:
    """Fit the correction to the samples that are consistent.

    Args:
        model: From relative to metric; the correction is to what it gives.
        fit: To the samples, which says how much they scatter.
        samples: On valid pixels.
        values: (N,), relative depth at them.
        relative: The whole map.
        image: (H, W, 3), RGB, that it is of; None where it isn't to be followed.
        previous: That of an earlier frame, whose layout is taken over if it serves.

    Returns:
        The correction, if there are enough samples for one; the samples, with those counted as dropped that
        it refuses; and which, (N,), agree.
    """
    # In an order of their own, so that the given one can't matter.
    order = np.lexsort((samples.depth_m, samples.v_px, samples.u_px))
    u, v = samples.u_px[order], samples.v_px[order]
    log_depth = model.log_depth(values[order])
    log_ratio = np.log(samples.depth_m[order].astype(np.float64)) - log_depth
    gate = gate_samples(u, v, log_depth, log_ratio, fit.sigma, model, relative.values)
    doubt = edge_doubt(u, v, relative.values, model)
    outlier = np.where(gate.keep, gate.doubt, 1.0)
    seen = ~gate.behind
    supported = seen.copy()
    supported[seen] = are_supported(u[seen], v[seen], (log_depth + log_ratio)[seen])
    bounds = model.log_depth(np.array(value_range(relative)))
    points = points_of(u, v, log_depth, log_ratio, doubt, outlier, relative.size[1])
    correction = fit_correction(
        points,
        supported,
        seen,
        model.log_depth(relative.values),
        (float(bounds.min()), float(bounds.max())),
        image=image,
        like=previous,
    )
    if correction is not None and len(samples) < _CERTAIN and fit.inlier_ratio < _UNANIMOUS:
        correction = correction.faded(_CAUTION)
    dropped = dict(samples.dropped)
    for reason, count in (("disagree", gate.gross), ("occluded", gate.occluded), ("isolated", gate.lonely)):
        if count:
            dropped[reason] = dropped.get(reason, 0) + count
    agree = gate.keep & fit.inliers[order]
    # That neighbours in a crowd support each other says nothing of the rest of the image.
    if not are_a_crowd(points.place[supported], relative.size):
        agree |= gate.keep & supported & (np.abs(log_ratio) < _MOST_WRONG)
    in_given_order = np.empty_like(agree)
    in_given_order[order] = agree
    return correction, replace(samples, dropped=dropped), in_given_order
