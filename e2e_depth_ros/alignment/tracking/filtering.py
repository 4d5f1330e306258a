"""The filter behind the tracker: one affine model with its covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel, upper_end
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior

_CHANGE_SIGMAS = 4.5  # a fit this far from the state is a real change, and is followed at once


@dataclass(frozen=True, eq=False)
class AffineEstimate:
    """A model with the covariance (2, 2) of its (log extent, log offset).

    Without a shift only the extent counts.
    """

    model: AffineModel
    covariance: NDArray[np.float64]

    @classmethod
    def start(
        cls, model: AffineModel, information: NDArray[np.float64], prior: OffsetPrior
    ) -> AffineEstimate:
        """Begin with a measured model, of this information (inverse covariance)."""
        total = information + np.diag([1e-6, 1 / prior.log_std**2])
        return cls(model, np.asarray(np.linalg.inv(total), dtype=np.float64))

    def over(self, low: float, high: float) -> AffineEstimate:
        """Express the same estimate over another range of relative values."""
        model, jacobian = self.model.over(low, upper_end(low, high))
        return AffineEstimate(model, self.covariance * np.outer(jacobian, jacobian))

    def drifted(self, variance: float) -> AffineEstimate:
        """Add what may have changed meanwhile."""
        return replace(self, covariance=self.covariance + variance * np.eye(2))

    def offset_prior(self, widest: OffsetPrior) -> OffsetPrior:
        """What this knows of the offset, as a prior no wider than `widest`."""
        if not self.model.has_shift:
            return widest
        log_std = float(np.clip(np.sqrt(self.covariance[1, 1]), 0.02, widest.log_std))
        return OffsetPrior(self.model.offset, log_std, unsampled=widest.unsampled)

    def updated(self, measured: AffineModel, information: NDArray[np.float64]) -> tuple[AffineEstimate, bool]:
        """Take one Kalman step; a measurement may determine the extent alone.

        Args:
            measured: The model fitted to new samples, over the same range.
            information: Its inverse covariance; singular where it determines less than both.

        Returns:
            The new estimate, and whether the change was too large for noise and was followed at once.
        """
        has_shift = self.model.has_shift
        active = slice(0, 2 if has_shift else 1)
        offsets = measured.offset / self.model.offset if has_shift else 1.0
        change = np.log([measured.extent / self.model.extent, offsets])[active]
        covariance, precision = self.covariance[active, active], information[active, active]
        unit = np.eye(len(change))
        # change' (covariance + 1 / precision)^-1 change, without inverting the precision.
        surprise = float(change @ precision @ np.linalg.solve(unit + covariance @ precision, change))
        jumped = surprise > _CHANGE_SIGMAS**2
        if jumped:
            covariance = covariance + np.outer(change, change) + 0.1 * float(change @ change) * unit
        gain = np.linalg.solve(unit + covariance @ precision, covariance @ precision)
        step = gain @ change
        left = (unit - gain) @ covariance
        total = self.covariance.copy()
        total[active, active] = 0.5 * (left + left.T)
        model = replace(
            self.model,
            extent=float(self.model.extent * np.exp(step[0])),
            offset=float(self.model.offset * np.exp(step[1])) if has_shift else 0.0,
        )
        return AffineEstimate(model, total), jumped

    def variance(self, relative: NDArray[np.float32]) -> NDArray[np.float32]:
        """Variance that the estimate's own uncertainty gives log depth, of the shape of `relative`."""
        (extent, both), (_, offset) = self.covariance.tolist()
        slope = self.model.offset_sensitivity(relative)
        variance = extent + slope * (2 * both + slope * offset)
        return np.asarray(np.maximum(variance, 0), dtype=np.float32)
