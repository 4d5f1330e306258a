"""One frame to one scale and shift, with what samples at edges and in crowds are worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.evidence.edges import CERTAIN_DOUBT, ENOUGH_CERTAIN, edge_doubt
from e2e_depth_ros.alignment.evidence.neighbours import coherent_samples
from e2e_depth_ros.alignment.fitting.fit import RobustFit, agreeing, fit_affine
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior
from e2e_depth_ros.alignment.fitting.verdict import MOST_COST_SIGMA, FitCase, rank_correlation_of
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.maps import DepthMap

_TRUSTED_DOUBT = 0.05**2  # variance of log depth at which a sample at an edge counts half in the fit
_CONFIRMED = 0.15  # share of samples confirmed by neighbours, from which the network is wrong. Outliers: 0.06
_CELLS = 8  # over the width, in each of which the errors of a network are alike
_INVERSE_CORRELATION = -0.7  # Spearman's, of confirmed samples and relative depth that is really disparity


def fit_frame(
    relative: DepthMap,
    samples: Samples,
    values: NDArray[np.float64],
    ends: tuple[float, float],
    prior: OffsetPrior,
) -> RobustFit:
    """Fit scale and shift to the samples of a frame.

    Args:
        relative: The network's output for the frame.
        samples: On valid pixels.
        values: (N,), relative depth at them.
        ends: Range of relative values.
        prior: What is known of the offset.

    Returns:
        The fit, with all samples told in or out.
    """
    rough = AffineModel(ends[0], max(ends[1], ends[0] + 1e-9), 1.0, prior.mean, relative.kind)
    doubt = edge_doubt(samples.u_px, samples.v_px, relative.values, rough)
    trust = _TRUSTED_DOUBT / (_TRUSTED_DOUBT + doubt)
    trust *= shares_of_cells(samples.u_px, samples.v_px, relative.size[1])
    # At depth edges an error of a pixel or two says nothing of the network, if there are others.
    fitting = doubt <= CERTAIN_DOUBT
    if np.count_nonzero(fitting) < ENOUGH_CERTAIN:
        fitting[:] = True

    def fitted(least_sigma: float) -> RobustFit:
        return fit_affine(
            values[fitting],
            samples.depth_m[fitting],
            relative.kind,
            value_range=ends,
            prior=prior,
            trust=trust[fitting],
            least_sigma=least_sigma,
        )

    fit = fitted(0.0)
    if fit.case in {FitCase.OUTLIERS, FitCase.FLIPPED} and _is_network_wrong(fit, samples, values):
        fit = replace(fit, case=FitCase.UNEXPLAINED)
    if fit.case is FitCase.UNEXPLAINED:
        # Honest samples that the fit leaves out as outliers would be anywhere.
        fit = replace(fitted(MOST_COST_SIGMA), case=fit.case)
    if fit.model is None:
        return fit
    error = np.log(samples.depth_m.astype(np.float64)) - fit.model.log_depth(values)
    return replace(fit, inliers=agreeing(error, np.hypot(fit.sigma, np.sqrt(doubt))))


def shares_of_cells(u_px: NDArray[np.float32], v_px: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Weight of each sample, so that many close together count little more than one.

    Corners and scan lines crowd: n samples in a cell of an eighth of the width have one error of the network
    in common, and together are worth 2 n / (n + 1) of a sample alone, at most two.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        width: Of the image, pixels.

    Returns:
        (N,), in 0..1.
    """
    column, row = (np.maximum([u_px, v_px], 0) * (_CELLS / width)).astype(np.intp)
    cell = row * (_CELLS + 1) + column
    return np.asarray(2 / (1 + np.bincount(cell)[cell]))


def _is_network_wrong(fit: RobustFit, samples: Samples, values: NDArray[np.float64]) -> bool:
    """Whether samples that contradict the image are right, as their neighbours confirm them."""
    confirmed = coherent_samples(samples.u_px, samples.v_px, samples.depth_m)
    if confirmed.mean() < _CONFIRMED:
        return False
    if fit.case is not FitCase.FLIPPED:
        return True
    # A network that takes a wall for a corridor may have it the wrong way round, but never as consistently
    # as one whose output is the inverse of what it is taken for.
    order = np.argsort(values[confirmed], kind="stable")
    depth_m = samples.depth_m[confirmed][order].astype(np.float64)
    correlation = rank_correlation_of(-depth_m if fit.model and fit.model.is_disparity else depth_m)
    return correlation > _INVERSE_CORRELATION
