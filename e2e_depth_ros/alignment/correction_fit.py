"""From samples to the correction: choose those to believe, and condition it on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel, value_range
from e2e_depth_ros.alignment.correction import Correction, fit_correction
from e2e_depth_ros.alignment.fit import RobustFit
from e2e_depth_ros.alignment.gate import POOR_SIGMA, are_crowded, edge_doubt, gate_samples
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.maps import DepthMap

_CERTAIN = 30  # samples; fewer can't tell outliers from errors of the network
_AGREED = 0.7  # share of agreeing samples from which such few may be corrected by all the same
_UNANIMOUS = 0.93  # the same, below which others of them may be outliers that look honest
_CAUTION = 0.5  # share of the correction that is made then


def are_worth_a_correction(fit: RobustFit, samples: Samples, size: tuple[int, int]) -> bool:
    """Whether a correction by these samples would help rather than harm.

    Few samples that disagree tell nothing about the network's local errors. Many that crowd, and scatter
    about the fit, tell about the one object where they are: a plant whose leaves and background they mix up.

    Args:
        fit: To the samples.
        samples: On valid pixels.
        size: (H, W) of the image.
    """
    if len(samples) < _CERTAIN and fit.inlier_ratio <= _AGREED:
        return False
    return fit.sigma <= POOR_SIGMA or not are_crowded(samples.u_px, samples.v_px, size)


def correction_from_samples(
    model: AffineModel,
    fit: RobustFit,
    samples: Samples,
    values: NDArray[np.float64],
    relative: DepthMap,
    previous: Correction | None,
) -> tuple[Correction | None, Samples, int]:
    """Fit the correction to the samples that are consistent.

    Args:
        model: From relative to metric; the correction is to what it gives.
        fit: To the samples, which says how much they scatter.
        samples: On valid pixels.
        values: (N,), relative depth at them.
        relative: The whole map.
        previous: That of an earlier frame, whose layout is taken over if it serves.

    Returns:
        The correction, if there are enough samples for one; the samples, with those counted as dropped that
        it refuses; and the number of those that it uses.
    """
    log_depth = model.log_depth(values)
    log_ratio = np.log(samples.depth_m.astype(np.float64)) - log_depth
    gate = gate_samples(samples.u_px, samples.v_px, log_depth, log_ratio, fit.sigma, model, relative.values)
    u, v = samples.u_px[gate.keep], samples.v_px[gate.keep]
    bounds = model.log_depth(np.array(value_range(relative)))
    correction = fit_correction(
        u,
        v,
        log_depth[gate.keep],
        log_ratio[gate.keep],
        edge_doubt(u, v, relative.values, model),
        gate.doubt[gate.keep],
        relative.size,
        (float(bounds.min()), float(bounds.max())),
        like=previous,
    )
    if correction is not None and len(samples) < _CERTAIN and fit.inlier_ratio < _UNANIMOUS:
        correction = correction.faded(_CAUTION)
    dropped = dict(samples.dropped)
    for reason, count in (("disagree", gate.gross), ("occluded", gate.occluded), ("isolated", gate.lonely)):
        if count:
            dropped[reason] = dropped.get(reason, 0) + count
    return correction, replace(samples, dropped=dropped), int(np.count_nonzero(gate.keep))
