"""One frame to one scale and shift, with what samples at edges and in crowds are worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel, upper_end
from e2e_depth_ros.alignment.evidence.edges import EdgeSettings, edge_doubt
from e2e_depth_ros.alignment.evidence.neighbours import coherent_samples
from e2e_depth_ros.alignment.fitting.fit import RobustFit, agreeing, fit_affine
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior
from e2e_depth_ros.alignment.fitting.verdict import FitCase, VerdictSettings, rank_correlation_of
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.core.pixels import cells_of


@dataclass(frozen=True)
class FrameSettings:
    """What samples of a frame are worth. Values are choices where no measurement is told."""

    # Variance of log depth at which a sample at an edge counts half in the fit:
    trusted_doubt: float = 0.05**2
    # Share of samples confirmed by neighbours, from which the network is wrong. Outliers: 0.06.
    confirmed: float = 0.15
    least_extent: float = 0.06  # of the samples, image widths: the standard deviation of a fifth of the width
    cells: int = 8  # over the width, in each of which the errors of a network are alike
    alike_within: float = 0.3  # image widths, over which errors of a network are no longer alike
    coarse_columns: int = 40  # of the grid that tells how far samples are
    # Spearman's, of confirmed samples and relative depth that is really disparity:
    inverse_correlation: float = -0.7


_SETTINGS = FrameSettings()


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
    rough = AffineModel(ends[0], upper_end(*ends), 1.0, prior.mean, relative.kind)
    doubt = edge_doubt(samples.u_px, samples.v_px, relative.values, rough)
    trust = _SETTINGS.trusted_doubt / (_SETTINGS.trusted_doubt + doubt)
    trust *= shares_of_cells(samples.u_px, samples.v_px, relative.size[1])
    # At depth edges an error of a pixel or two says nothing of the network, if there are others.
    fitting = doubt <= EdgeSettings.certain_doubt
    if np.count_nonzero(fitting) < EdgeSettings.enough_certain:
        fitting[:] = True

    def fitted(values: NDArray[np.float64], least_sigma: float = 0.0) -> RobustFit:
        return fit_affine(
            values[fitting],
            samples.depth_m[fitting],
            relative.kind,
            value_range=ends,
            prior=prior,
            trust=trust[fitting],
            least_sigma=least_sigma,
        )

    fit = fitted(values)
    if fit.case is FitCase.NO_SPREAD:
        # How the network varies over one depth is its error, and says nothing of the shift.
        alike = fitted(np.full_like(values, np.median(values[fitting])))
        fit = replace(fit, information=alike.information, covered=alike.covered, least_offset=prior.mean)
    elif fit.case is FitCase.WELL_POSED and _extent(samples, relative.size[1]) < _SETTINGS.least_extent:
        fit = replace(fit, case=FitCase.NO_SPREAD)
    if fit.case in {FitCase.OUTLIERS, FitCase.FLIPPED} and _is_network_wrong(fit, samples, values):
        fit = replace(fit, case=FitCase.UNEXPLAINED)
    if fit.case is FitCase.UNEXPLAINED:
        # Honest samples that the fit leaves out as outliers would be anywhere.
        fit = replace(fitted(values, VerdictSettings.most_sigma), case=fit.case)
    if fit.model is None:
        return fit
    error = np.log(samples.depth_m.astype(np.float64)) - fit.model.log_depth(values)
    inliers = agreeing(error, np.hypot(fit.sigma, np.sqrt(doubt)))
    return replace(fit, inliers=inliers, remoteness=_remoteness(samples, relative.size))


def _remoteness(samples: Samples, size: tuple[int, int]) -> NDArray[np.float32]:
    """Share of a network's error that no sample tells of, 0..1, over a grid: the farther away, the more."""
    columns = _SETTINGS.coarse_columns
    scale = columns / size[1]
    empty = np.full((max(1, round(size[0] * scale)), columns), 255, np.uint8)
    column, row = ((np.stack([samples.u_px, samples.v_px]) + 0.5) * scale).astype(np.intp)
    empty[np.clip(row, 0, len(empty) - 1), np.clip(column, 0, columns - 1)] = 0
    distance = cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_5) / columns
    return np.asarray(1 - np.exp(-np.square(distance / _SETTINGS.alike_within)), dtype=np.float32)


def _extent(samples: Samples, width: int) -> float:
    """Standard deviation of the samples' places along their longest axis, in image widths."""
    place = np.stack([samples.u_px, samples.v_px]).astype(np.float64) / width
    return float(np.sqrt(np.linalg.eigvalsh(np.cov(place))[-1]))


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
    cell = cells_of(u_px, v_px, width, _SETTINGS.cells)
    return np.asarray(2 / (1 + np.bincount(cell)[cell]))


def _is_network_wrong(fit: RobustFit, samples: Samples, values: NDArray[np.float64]) -> bool:
    """Whether samples that contradict the image are right, as their neighbours confirm them."""
    confirmed = coherent_samples(samples.u_px, samples.v_px, samples.depth_m)
    if confirmed.mean() < _SETTINGS.confirmed:
        return False
    if fit.case is not FitCase.FLIPPED:
        return True
    # A network that takes a wall for a corridor may have it the wrong way round, but never as consistently
    # as one whose output is the inverse of what it is taken for.
    order = np.argsort(values[confirmed], kind="stable")
    depth_m = samples.depth_m[confirmed][order].astype(np.float64)
    correlation = rank_correlation_of(-depth_m if fit.model and fit.model.is_disparity else depth_m)
    return correlation > _SETTINGS.inverse_correlation
