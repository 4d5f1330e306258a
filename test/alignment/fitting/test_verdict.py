"""Each way in which samples fail to determine scale and shift has its name, and good ones have none."""

import numpy as np
import pytest

from e2e_depth_ros.alignment.fitting.fit import fit_affine
from e2e_depth_ros.alignment.fitting.verdict import FitCase
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import planted

DEPTH, DISPARITY = DepthKind.AFFINE_INVARIANT, DepthKind.AFFINE_INVARIANT_DISPARITY


def case_of(r, z, value_range=(0.0, 1.0), kind=DEPTH):
    return fit_affine(r, z, kind, value_range=value_range).case


def test_each_degenerate_case_is_named():
    rng = np.random.default_rng(5)
    r, z, _ = planted(200, noise=0.03)
    assert case_of(r, z) is FitCase.WELL_POSED
    assert case_of([], []) is FitCase.NO_SAMPLES
    assert case_of([0.3], [2.0]) is FitCase.ONE_SAMPLE
    assert case_of(r[:3], z[:3]) is FitCase.FEW_SAMPLES
    near = np.abs(r - 0.5) < 0.05
    assert case_of(r[near], z[near]) is FitCase.NO_SPREAD
    assert case_of(r, 2 + 0.02 * rng.standard_normal(200)) is FitCase.NO_SPREAD
    assert case_of(r, rng.permutation(z)) is FitCase.OUTLIERS
    assert case_of(r, 6 - z) is FitCase.FLIPPED
    assert case_of(r, 1 / z) is FitCase.FLIPPED


def test_a_weak_network_is_named_but_not_taken_for_lying_samples():
    rng = np.random.default_rng(1)
    r = rng.random(300)
    # Depth varies by 13 % all in all, and the image sees only a little of it.
    z = 3 * np.exp(0.13 * rng.standard_normal(300) + 0.1 * (r - 0.5))
    fit = fit_affine(r, z, DEPTH, value_range=(0, 1))
    assert fit.case is FitCase.UNEXPLAINED
    assert np.mean(np.abs(np.log(z / (fit.model.scale * r + fit.model.shift_m))) < 0.15) > 0.5
    # The same scatter of depth in which no depth prevails is not excused.
    assert case_of(r, 3 * np.exp(0.6 * rng.standard_normal(300))) is FitCase.OUTLIERS


@pytest.mark.parametrize("count", [50, 100, 500])
def test_good_samples_with_outliers_are_never_rejected(count):
    cases = [case_of(*planted(count, seed, noise=0.05, outliers=0.3)[:2]) for seed in range(40)]
    assert set(cases) == {FitCase.WELL_POSED}


@pytest.mark.parametrize(("outliers", "least"), [(0.7, 0.7), (0.8, 0.95), (1.0, 0.95)])
def test_mostly_outliers_are_rejected(outliers, least):
    cases = [case_of(*planted(200, seed, noise=0.05, outliers=outliers)[:2]) for seed in range(40)]
    assert np.mean([case is FitCase.OUTLIERS for case in cases]) >= least


def test_only_useless_fits_are_rejected():
    rejected = {case for case in FitCase if case.is_rejected}
    assert rejected == {FitCase.NO_SAMPLES, FitCase.OUTLIERS, FitCase.FLIPPED}
