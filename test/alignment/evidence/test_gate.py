"""Which samples the correction believes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.evidence.gate import gate_samples, outlier_width
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import affine_model


@pytest.fixture(scope="module")
def model(scene) -> AffineModel:
    return affine_model(scene.scale, scene.shift_m, 0.0, 1.0, DepthKind.AFFINE_INVARIANT)


def gated(scene, model, samples, sigma=0.02):
    relative = scene.relative.values
    rows, columns = samples.v_px.astype(int), samples.u_px.astype(int)
    log_depth = model.log_depth(relative[rows, columns].astype(np.float64))
    log_ratio = np.log(samples.depth_m.astype(np.float64)) - log_depth
    return gate_samples(samples.u_px, samples.v_px, log_depth, log_ratio, sigma, model, relative)


def test_true_samples_are_kept(scene, model):
    gate = gated(scene, model, scene.samples(300))
    assert gate.keep.all()
    assert (gate.gross, gate.occluded, gate.lonely) == (0, 0, 0)


def test_gross_samples_are_dropped_and_counted(scene, model):
    samples = scene.samples(300)
    depth_m = samples.depth_m.copy()
    depth_m[::10] *= 1.5
    gate = gated(scene, model, type(samples)(samples.u_px, samples.v_px, depth_m))
    assert gate.gross + gate.lonely == 30  # one or two may look alike by chance, until the neighbours speak
    np.testing.assert_array_equal(gate.keep, np.arange(300) % 10 != 0)


def test_a_sample_that_only_its_neighbours_contradict_is_lonely(scene, model):
    # A poor fit (sigma 0.1) lets 30 % pass; the neighbours, which agree among each other, do not.
    samples = scene.samples(300)
    rows, columns = samples.v_px.astype(int), samples.u_px.astype(int)
    alone = int(np.flatnonzero(~scene.box[rows, columns] & (columns > 80))[0])
    depth_m = samples.depth_m.copy()
    depth_m[alone] *= 0.75
    gate = gated(scene, model, type(samples)(samples.u_px, samples.v_px, depth_m), sigma=0.1)
    assert (gate.gross, gate.occluded, gate.lonely) == (0, 0, 1)
    np.testing.assert_array_equal(np.flatnonzero(~gate.keep), [alone])


def test_background_measured_on_the_foreground_near_its_edge_is_occluded(scene):
    # Farther away than usual, so that the step from the box to the wall behind it is small enough for
    # the global fit to let it pass.
    model = affine_model(3.5, 3.5, 0.0, 1.0, DepthKind.AFFINE_INVARIANT)
    depth_m = scene.depth_m - scene.shift_m + 3.5
    samples = scene.samples(300, depth_m=depth_m)
    u, v, z = samples.u_px.copy(), samples.v_px.copy(), samples.depth_m.copy()
    u[0], v[0], z[0] = 31, 75, depth_m[75, 28]  # on the box, but what lies 3 pixels beside it
    assert scene.box[75, 31]
    assert not scene.box[75, 28]
    gate = gated(scene, model, type(samples)(u, v, z), sigma=0.1)
    assert (gate.gross, gate.occluded) == (0, 1)
    assert not gate.keep[0]
    assert gate.keep[1:].all()


def test_samples_on_an_object_that_the_network_misses_are_kept(scene, model):
    samples = scene.samples(400)
    inside = (np.abs(samples.u_px - 40) < 20) & (np.abs(samples.v_px - 60) < 20)
    assert inside.sum() > 12
    depth = np.where(inside, np.float32(0.5), samples.depth_m)  # a box there, at half a metre
    missed = replace(samples, depth_m=depth)
    assert gated(scene, model, missed).keep[inside].mean() > 0.9


def test_outliers_are_spread_as_widely_as_what_was_measured():
    rng = np.random.default_rng(9)
    room_m, street_m = rng.uniform(1, 2.5, 400), np.exp(rng.uniform(0, 6, 400))
    assert outlier_width(np.log(room_m)) == pytest.approx(np.log(2.5), rel=0.15)
    assert outlier_width(np.log(street_m)) == 2.5
    assert outlier_width(np.full(30, 1.2)) == 0.3
