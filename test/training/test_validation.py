"""Scores of a training are those of the evaluation: one image, one scale, one shift."""

import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.frames import find_frames, write_frame
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.evaluation.report import evaluate
from e2e_depth_ros.evaluation.sources import EstimatorSource
from e2e_depth_ros.model.engine.torch_engine import TorchEngine
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.validation import Predicted, fitted_depth, predict_views, score


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
    everywhere = np.ones(relative.shape, np.bool_)
    facing = np.broadcast_to(np.array([0, 0, -1], np.float32), (*relative.shape, 3))
    depth = DepthMap(relative.astype(np.float32), everywhere, DepthKind.AFFINE_INVARIANT)
    return Predicted(depth, NormalMap(facing.copy(), everywhere))


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


def test_fitted_depth_stays_within_the_range_of_evaluations(depth_m):
    relative = depth_m.copy()
    relative[:3] = -50
    relative[0] = 500
    fitted = fitted_depth(prediction_of(relative).depth, depth_m)
    assert (fitted[0] == 80).all()
    assert fitted[1] == pytest.approx(1e-3)
    np.testing.assert_allclose(fitted[3:], depth_m[3:], rtol=1e-5)


@pytest.mark.parametrize("resolution", [0, 45])
def test_validation_equals_estimator(tiny_checkpoint, every_layout, resolution):
    """Cropping, clipping, axes, the range of z and the noise are one decision each, taken once."""
    loaded = load_checkpoint(tiny_checkpoint(every_layout))
    facts = loaded.facts
    image = np.random.default_rng(1).integers(0, 255, (38, 59, 3)).astype(np.uint8)
    view = View(image, np.ones((38, 59), np.float32), np.zeros((38, 59, 3), np.float32))
    (validated,) = predict_views(loaded.model, [view], resolution, facts)
    estimator = Estimator(TorchEngine(loaded), processing_resolution=resolution)
    estimate = estimator.estimate(image, tasks=facts.tasks)
    assert validated.depth or validated.normals
    for found, expected in (
        (validated.depth, estimate.outlined_depth),
        (validated.normals, estimate.normals),
    ):
        assert (found is None) == (expected is None)
        if found:
            assert expected.values.std() > 1e-3
            # Rounding, which normals of short vectors enlarge; any other decision changes the third digit.
            np.testing.assert_allclose(found.values, expected.values, atol=1e-4, rtol=0)


@pytest.mark.parametrize("layout", ["embedded", "marigold_depth"])
def test_a_training_says_what_evaluate_says(tiny_checkpoint, tmp_path, layout):
    """The same scores of the same network on the same frames, however far off it is.

    Both take depth as its users do: of a checkpoint that says so, along the outlines of the image.
    """
    resolution = 24
    loaded = load_checkpoint(tiny_checkpoint(layout))
    estimator = Estimator(TorchEngine(loaded), processing_resolution=resolution)
    camera = Camera((24, 40), np.array([[50, 0, 21], [0, 46, 11], [0, 0, 1.0]]))
    views = []
    for number, far_m in enumerate((60, 120, 20)):
        image = np.random.default_rng(number).integers(0, 255, (24, 40, 3)).astype(np.uint8)
        estimate = estimator.estimate(image)
        assert (estimate.outlines is not None) == (layout == "embedded")
        relative = estimate.outlined_depth.values
        share = (relative - relative.min()) / np.ptp(relative)
        truth = (1 + far_m * share).astype(np.float32)
        farthest = share > np.quantile(share, 0.8)
        truth[farthest] = 0  # but for a few: there the fit lies beyond the farthest truth
        truth[farthest & (np.arange(40) % 7 == 0)] = 2
        truth[3, :5], truth[4, :5] = 0, 5e-4
        views.append(View(image, truth, np.zeros((24, 40, 3), np.float32)))
        measured = np.where(truth > 0, truth, np.nan)
        write_frame(tmp_path / str(number), image, camera, depth_m=measured)
    frames = find_frames([tmp_path])
    found = evaluate(frames, [EstimatorSource(estimator)]).sources[0].mean_of_frames()
    scores = score(views, predict_views(loaded.model, views, resolution, loaded.facts))
    assert scores.images == len(frames) == 3
    assert scores.abs_rel > 0.1
    assert scores.abs_rel == found["abs_rel"]
    assert (scores.delta1, scores.rmse_m, scores.edge_f1) == (
        found["delta1"],
        found["rmse_m"],
        found["edge_f1"],
    )
