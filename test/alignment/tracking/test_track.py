"""What is remembered between frames: how much may have changed, and what is carried to another."""

from dataclasses import replace

import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.fitting.correction import Correction
from e2e_depth_ros.alignment.fitting.field import fit_field, points_of
from e2e_depth_ros.alignment.fitting.fit import fit_affine
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior
from e2e_depth_ros.alignment.samples import COMMON_LOG_STD
from e2e_depth_ros.alignment.tracking.filtering import AffineEstimate
from e2e_depth_ros.alignment.tracking.glimpse import Glimpse
from e2e_depth_ros.alignment.tracking.states import Agreement
from e2e_depth_ros.alignment.tracking.track import Track, Wandering, Wanderings
from e2e_depth_ros.core.maps import DepthKind

SIZE = (60, 80)


def test_wandering_adds_up_and_never_falls_below_nothing():
    one, other = Wandering(0.5, 2.0), Wandering(0.25, 3.0)
    assert one + other == Wandering(0.75, 5.0)
    assert one - other == Wandering(0.25, 0.0)


def test_wanderings_count_the_frames_after_a_stamp():
    wanderings = Wanderings()
    for stamp, motion in ((10, 0.1), (20, 0.2), (30, 0.3)):
        wanderings.add(stamp, motion, Wandering(motion, stamp))
    assert wanderings.since(30) == Wandering()
    assert wanderings.since(10) == Wandering(0.5, 50)
    assert wanderings.since(0).staleness == 60
    assert (wanderings.motion_at(20), wanderings.motion_at(25)) == (0.2, 1.0)
    wanderings.clear()
    assert wanderings.since(0) == Wandering()
    assert wanderings.motion_at(20) == 1.0


@pytest.fixture
def track():
    rng = np.random.default_rng(0)
    values = rng.random(50)
    fit = fit_affine(values, 1.25 + 3.5 * values, DepthKind.AFFINE_INVARIANT, value_range=(0, 1))
    zeros = np.zeros(50)
    place = rng.uniform(0, 59, 50)
    samples = points_of(place, place, zeros, 0.1 + zeros, zeros, zeros, SIZE[1])
    correction = Correction(fit_field(samples, samples, SIZE, (-1.0, 1.0)))
    return Track(
        estimate=AffineEstimate.start(fit.model, fit.information, OffsetPrior()),
        correction=correction,
        staleness=1.0,
        glimpse=Glimpse(np.zeros((3, 4), np.float32)),
        stamp_ns=5,
        used_ns=4,
        fit=fit,
        source="lidar",
        agreement=Agreement(50, 1.0, 1.0),
    )


def test_it_is_carried_with_its_doubt_and_keeps_scale_and_shift(track):
    later = track.carried(SIZE, (-0.2, 0.7), Wandering(0.04, 2.5))
    assert later.correction is track.correction
    assert later.staleness == 3.5
    model: AffineModel = later.estimate.model
    assert (model.low, model.high) == (-0.2, 0.7)
    assert (model.scale, model.shift_m) == pytest.approx((3.5, 1.25), rel=1e-3)
    values = np.float32([[0.1, 0.5]])
    std, before = (replace(one, correction=None).log_std(values) for one in (later, track))
    assert (std > before + 0.05).all()
    assert (later.stamp_ns, later.used_ns, later.source) == (5, 4, "lidar")


def test_a_correction_of_another_size_is_left_behind(track):
    assert track.carried((80, 60), (0, 1), Wandering()).correction is None


def test_the_deviation_is_the_root_of_the_variance_of_smooth_depth(track):
    track = replace(track, correction=None)
    row, column = np.mgrid[0:90, 0:131].astype(np.float32)
    relative = 0.1 + 0.8 * (0.6 * row / 90 + 0.4 * column / 131)
    left = track.fit.left_variance(track.estimate.model.log_depth(relative), track.estimate.model)
    expected = np.sqrt(track.estimate.variance(relative) + left)
    expected = np.hypot(expected, COMMON_LOG_STD)
    np.testing.assert_allclose(track.log_std(relative), expected, rtol=0.05)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (47, 33)])
def test_unknown_pixels_leave_the_deviation_finite_and_their_neighbours_no_more_certain(track, size):
    relative = np.full(size, 0.5, np.float32)
    relative[size[0] // 2 :, size[1] // 2 :] = np.nan
    known = np.isfinite(relative)
    for one in (track, replace(track, correction=None)):
        std, even = one.log_std(relative), one.log_std(np.full(size, np.float32(0.5)))
        assert std.shape == size
        assert np.isfinite(std).all()
        assert (std[known] > 0.99 * even[known]).all()
