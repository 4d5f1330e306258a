"""Scores of a training are those of the evaluation: one image, one scale, one shift."""

import numpy as np
import pytest
import torch

from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.validation import Predicted, fitted_depth, score


@pytest.fixture
def depth_m():
    v, u = np.mgrid[0:24, 0:40]
    depth = (2 + 0.05 * v + 0.1 * u).astype(np.float32)
    depth[:3] = 0  # the sky
    return depth


def view_of(depth_m, tilt_deg=0.0):
    normals = np.zeros((*depth_m.shape, 3), np.float32)
    angle = np.deg2rad(tilt_deg)
    normals[depth_m > 0] = (np.sin(angle), 0, -np.cos(angle))
    return View(image=np.zeros((*depth_m.shape, 3), np.uint8), depth_m=depth_m, normals=normals)


def prediction_of(relative):
    facing = torch.zeros(3, *relative.shape)
    facing[2] = -1
    return Predicted(torch.from_numpy(relative.astype(np.float32)), facing)


def test_scale_and_shift_do_not_count_and_the_unknown_does_not_either(depth_m):
    relative = np.where(depth_m > 0, 0.07 * depth_m - 0.1, 1e3)
    scores = score([view_of(depth_m, tilt_deg=30)], [prediction_of(relative)])
    assert scores.abs_rel == pytest.approx(0, abs=1e-5)
    assert scores.delta1 == 1
    assert scores.normals_deg == pytest.approx(30, abs=1e-3)
    assert scores.images == 1
    # Depth grows downwards and to the right here: guessing by the row is poor.
    assert scores.row_abs_rel > 0.1


def test_means_are_over_images_with_depth(depth_m):
    good, flat = prediction_of(depth_m), prediction_of(np.zeros_like(depth_m))
    scores = score([view_of(depth_m), view_of(depth_m), view_of(np.zeros_like(depth_m))], [good, flat, good])
    truth = depth_m[depth_m > 0].astype(np.float64)
    of_flat = np.mean(np.abs(truth.mean() - truth) / truth)
    assert scores.images == 2
    assert scores.abs_rel == pytest.approx(of_flat / 2, abs=1e-5)


def test_edges_of_all_images_count_together(depth_m):
    box = depth_m.copy()
    box[8:16, 11:31] /= 2
    found, missed = (score([view_of(box)], [prediction_of(depth)]) for depth in (box, depth_m))
    assert found.edge_f1 == 1
    assert found.rmse_m == pytest.approx(0, abs=1e-5)
    assert missed.edge_f1 == 0
    both = score([view_of(box), view_of(box)], [prediction_of(box), prediction_of(depth_m)])
    assert both.edge_f1 == pytest.approx(2 / 3)  # all that is predicted is right, half is found
    assert both.rmse_m == pytest.approx(missed.rmse_m / 2, abs=1e-5)
    assert missed.rmse_m > 0.1
    assert np.isnan(score([view_of(depth_m)], [prediction_of(box)]).edge_f1)  # there are no true edges


def test_nothing_to_score_is_nan_not_a_number_made_up(depth_m):
    scores = score([view_of(np.zeros_like(depth_m))], [prediction_of(depth_m)])
    assert scores.images == 0
    assert np.isnan(scores.abs_rel)
    assert np.isnan(scores.edge_f1)
    assert np.isnan(scores.normals_deg)


def test_fitted_depth_stays_within_what_is_seen(depth_m):
    relative = depth_m.copy()
    relative[:3] = -50
    relative[0] = 500
    fitted = fitted_depth(relative, depth_m)
    assert fitted[0].max() == depth_m.max()
    assert fitted[1].min() == pytest.approx(1e-3)
