"""Which is believed between samples: the network's surfaces or the image's outlines."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.alignment.evidence.neighbours import are_supported
from e2e_depth_ros.alignment.fitting.correction import fit_correction
from e2e_depth_ros.alignment.fitting.field import points_of
from helpers.known_scene import SIZE, abs_rel, draw, metric_from, scene_relative, smooth_error

RELATIVE = scene_relative()
TRUTH = metric_from(RELATIVE)
# By a network that misses the box.
MISSED = np.where(RELATIVE == 0, 3.5, TRUTH).astype(np.float32)
IMAGE = np.where((RELATIVE == 0)[..., None], np.uint8([60, 80, 200]), np.uint8([210, 190, 60]))


def corrected(fitted, truth, count, *, image=IMAGE, like=None, outliers=0.0, seed=0, width=SIZE[1], more=()):
    """Correct by samples of the image's left part, and at more places (u, v)."""
    u, v, z, _ = draw(truth[:, :width], count, np.random.default_rng(seed), noise=0.01, outliers=outliers)
    for column, row in more:
        u, v, z = np.append(u, column), np.append(v, row), np.append(z, truth[row, column])
    count = len(z)
    log_depth = np.log(fitted[v.astype(int), u.astype(int)].astype(np.float64))
    nothing = np.zeros(count)
    samples = points_of(u, v, log_depth, np.log(z) - log_depth, nothing, nothing, SIZE[1])
    supported = are_supported(*samples.pixels(SIZE[1]), samples.place[:, 2] + samples.value)
    everywhere = np.log(fitted).astype(np.float32)
    bounds = float(everywhere.min()), float(everywhere.max())
    correction = fit_correction(
        samples, supported, np.ones(count, bool), everywhere, bounds, image=image, like=like
    )
    return correction, fitted * np.exp(correction.log_factor(everywhere))


def test_a_network_that_misses_the_box_leaves_it_to_the_image():
    correction, depth_m = corrected(MISSED, TRUTH, 400)
    blind, without_image = corrected(MISSED, TRUTH, 400, image=None)
    assert blind.outlined is None
    assert correction.outlined is not None
    assert abs_rel(depth_m, TRUTH) < 0.6 * abs_rel(without_image, TRUTH)


def test_in_a_crowd_planes_serve_near_it_alone_and_are_no_surer_than_the_field():
    correction, depth_m = corrected(MISSED, TRUTH, 300, width=50)
    field, by_field = corrected(MISSED, TRUTH, 300, image=None, width=50)
    crowd, beyond = np.s_[:, :50], np.s_[:, 70:]
    assert abs_rel(depth_m[crowd], TRUTH[crowd]) < 0.6 * abs_rel(by_field[crowd], TRUTH[crowd])
    np.testing.assert_array_equal(depth_m[beyond], by_field[beyond])
    assert correction.outlined_share()[beyond].max() == 0
    variances = [one.variance(np.log(MISSED), 0.01) for one in (correction, field)]
    np.testing.assert_array_equal(*variances)


def test_a_sample_outside_of_a_crowd_is_no_crowd():
    correction, _ = corrected(MISSED, TRUTH, 300, width=50, more=[(100, 20), (90, 70)])
    assert correction.outlined_share()[:, :40].max() > 0
    assert correction.outlined_share()[:, 70:].max() == 0


def test_planes_fade_out_without_a_step():
    """Neighbours of pixels are shared in cells of the grid, which must not be seen."""
    share = corrected(MISSED, TRUTH, 300, width=50)[0].outlined_share()
    steps = np.abs(np.diff(share, axis=1))[:, 50:]
    assert 0 < steps.max() < 0.25 * share.max()


def test_planes_come_and_go_by_a_share():
    with_planes, _ = corrected(MISSED, TRUTH, 400)
    without, _ = corrected(MISSED, TRUTH, 400, image=None)
    log_depth = np.log(MISSED)
    for now, before in ((with_planes, without), (without, with_planes)):
        expected = 0.75 * before.log_factor(log_depth) + 0.25 * now.log_factor(log_depth)
        np.testing.assert_allclose(now.blended(before, 0.25).log_factor(log_depth), expected, atol=1e-5)


def test_a_good_network_is_not_harmed():
    truth = metric_from(RELATIVE) * np.exp(smooth_error(np.random.default_rng(3)))
    _, depth_m = corrected(metric_from(RELATIVE), truth, 400)
    _, without_image = corrected(metric_from(RELATIVE), truth, 400, image=None)
    assert abs_rel(depth_m, truth) < 1.02 * abs_rel(without_image, truth)


def test_where_many_are_wrong_support_decides():
    truth = metric_from(RELATIVE)
    flat = np.full(SIZE, np.float32(np.median(truth)))
    clean, spoilt = (abs_rel(corrected(flat, truth, 400, outliers=share)[1], truth) for share in (0, 0.3))
    assert spoilt < 2.5 * clean


def test_few_samples_have_no_judges():
    truth = metric_from(RELATIVE)
    assert corrected(truth, truth, 12)[0].outlined is None


def test_it_moves_by_a_share_and_fades():
    first, _ = corrected(MISSED, TRUTH, 400)
    second, _ = corrected(MISSED, TRUTH, 400, like=first, seed=1)
    log_depth = np.log(MISSED)
    blended = second.blended(first, 0.25).log_factor(log_depth)
    expected = 0.75 * first.log_factor(log_depth) + 0.25 * second.log_factor(log_depth)
    np.testing.assert_allclose(blended, expected, atol=1e-5)
    np.testing.assert_allclose(
        first.faded(0.5).log_factor(log_depth), 0.5 * first.log_factor(log_depth), atol=1e-5
    )
    np.testing.assert_allclose(first.faded(0.5).outlined_share(), 0.5 * first.outlined_share(), atol=1e-6)
    assert second.blended(None, 0.25) is second


@pytest.mark.parametrize("count", [60, 500])
def test_the_standard_deviation_tells_the_error(count):
    correction, depth_m = corrected(MISSED, TRUTH, count)
    std = np.sqrt(correction.variance(np.log(MISSED), 0.1**2))
    assert std.min() > 0
    assert np.mean(np.abs(np.log(depth_m / TRUTH)) < 2 * std) > 0.85


def test_samples_of_which_none_is_supported_lay_no_planes():
    truth = metric_from(RELATIVE)
    u, v, z, _ = draw(truth, 60, np.random.default_rng(0))
    log_depth, nothing = np.log(z), np.zeros(60)
    samples = points_of(u, v, log_depth, nothing, nothing, nothing, SIZE[1])
    everywhere = np.log(truth).astype(np.float32)
    none = np.zeros(60, bool)
    correction = fit_correction(samples, none, ~none, everywhere, (0.2, 1.6), image=IMAGE)
    assert correction is not None
    assert correction.outlined is None
