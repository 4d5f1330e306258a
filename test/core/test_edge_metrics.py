"""Depth edges are matched as on paper: two pixels a jump, within a tolerance, where the truth is known."""

import numpy as np
import pytest

from e2e_depth_ros.core.edge_metrics import EdgeMatches, is_dense, match_edges
from e2e_depth_ros.core.errors import InvalidInputError

SIZE = (40, 60)  # its diagonal is 72 pixels: edges match within one


def step_at(column, size=SIZE, near_m=1.0, far_m=2.0):
    """A near part to the left of a column, a far part from it on."""
    return np.where(np.arange(size[1]) < column, near_m, far_m)[None].repeat(size[0], axis=0)


@pytest.mark.parametrize(
    ("column", "precision", "recall"), [(20, 1, 1), (21, 1, 1), (22, 0.5, 0.5), (23, 0, 0), (18, 0.5, 0.5)]
)
def test_a_jump_may_be_off_by_the_tolerance(column, precision, recall):
    # The true edge is columns 19 and 20; one at column 22 is 21 and 22, and 21 is next to 20.
    scores = match_edges(step_at(column), step_at(20)).scores()
    assert (scores.precision, scores.recall) == (precision, recall)
    assert scores.f1 == (precision + recall) / 2
    assert scores.pixels == 2 * SIZE[0]


def test_precision_and_recall_are_not_exchanged():
    truth, prediction = step_at(20), step_at(20)
    prediction[10:] = 1  # a quarter of the outline is found, and below it an edge that isn't there
    truth[:, 50:] = 6  # another edge, not found
    matches = match_edges(prediction, truth)
    assert matches.true == 2 * 40 + 2 * 40
    # Columns 19 and 20: rows 0 to 9, row 10, and (11, 20). Columns 49 and 50: rows 8 to 11.
    assert matches.true_found == 20 + 2 + 1 + 2 * 4
    # Columns 19 and 20 to row 9; columns 20 to 59 of rows 9 and 10; (9, 20) belongs to both.
    assert matches.predicted == 20 + 2 * 40 - 1
    # Of rows 9 and 10 columns 20 and 21, and 48 to 51.
    assert matches.predicted_right == 20 + (2 * 2 - 1) + 2 * 4
    assert matches.scores().recall < matches.scores().precision


def test_a_flat_prediction_finds_nothing_and_no_truth_gives_no_score():
    scores = match_edges(np.ones(SIZE), step_at(20)).scores()
    assert (scores.precision, scores.recall, scores.f1) == (0, 0, 0)
    assert match_edges(step_at(20), np.ones(SIZE)).scores() is None
    assert match_edges(step_at(20), np.full(SIZE, np.nan)) == EdgeMatches()


@pytest.mark.parametrize("unknown", [0, np.nan])
def test_pixels_near_unknown_depth_do_not_count(unknown):
    truth = step_at(20)
    truth[:10] = unknown
    matches = match_edges(step_at(20), truth)
    assert (matches.true, matches.predicted) == (2 * 29, 2 * 29)  # nor row 10, next to the unknown
    truth[:, 22:] = unknown  # columns 19 and 20 are still away from it, columns 21 and 22 of an edge are not
    assert match_edges(step_at(22), truth) == EdgeMatches(0, 0, 2 * 29, 2 * 29 // 2)


def test_the_resolution_does_not_matter():
    rng = np.random.default_rng(3)
    truth, prediction = np.full((120, 160), 5.0), np.full((120, 160), 5.0)
    for _ in range(9):
        top, left = rng.integers(0, 90), rng.integers(0, 130)
        depth, shift = rng.uniform(1, 4), rng.integers(-3, 4)
        truth[top : top + 25, left : left + 12] = depth
        prediction[top + shift : top + shift + 25, left : left + 12] = depth * rng.uniform(0.9, 1.2)
    matches = match_edges(prediction, truth)
    assert 0.2 < matches.scores().f1 < 0.95
    assert match_edges(np.kron(prediction, np.ones((3, 3))), np.kron(truth, np.ones((3, 3)))) == matches
    assert match_edges(prediction.T, truth.T) == matches


def test_slopes_and_wide_ramps_are_no_edges():
    v = np.mgrid[0 : SIZE[0], 0 : SIZE[1]][0]
    floor = 40 / (v + 1.0)  # from 40 m to 1 m: neighbouring rows differ by up to a factor of 2
    truth = np.where(np.arange(SIZE[1]) < 20, 0.5, floor)
    assert match_edges(truth, truth).true < 2.5 * SIZE[0]
    ramp = 1 / np.interp(np.arange(SIZE[1]), [10, 34], [1, 0.5])[None].repeat(SIZE[0], axis=0)
    assert match_edges(ramp, step_at(20)).predicted == 0


def test_a_jump_is_a_tenth_of_the_nearer_depth():
    assert match_edges(step_at(20, far_m=1.11), step_at(20)).predicted == 2 * SIZE[0]
    assert match_edges(step_at(20, far_m=1.09), step_at(20)).predicted == 0


def test_predictions_are_moved_into_the_range_of_the_truth():
    prediction = step_at(20)
    prediction[:, :7] = 1e-3  # where a fit has gone below zero
    prediction[:, 50:] = 90
    scores = match_edges(prediction, step_at(20)).scores()
    assert (scores.precision, scores.recall) == (1, 1)


def test_matches_are_pooled():
    pooled = match_edges(step_at(22), step_at(20)) + match_edges(np.ones(SIZE), step_at(20))
    scores = pooled.scores()
    assert (scores.precision, scores.recall, scores.f1) == (0.5, 0.25, pytest.approx(1 / 3))


def test_shapes_must_agree():
    with pytest.raises(InvalidInputError, match=r"\(40, 60\) and \(60, 40\)"):
        match_edges(np.ones(SIZE), np.ones(SIZE[::-1]))
    with pytest.raises(InvalidInputError, match=r"\(5,\)"):
        match_edges(np.ones(5), np.ones(5))


def scan_lines(sweeps, size=(176, 300)):
    """Where a LiDAR of 64 beams measures, a point every second pixel, lines bent as the car moves."""
    rng = np.random.default_rng(5)
    known = np.zeros(size, bool)
    for sweep in range(sweeps):
        for line in np.linspace(60, size[0] - 4, 64):
            columns = np.arange(rng.integers(0, 2), size[1], 2)
            rows = line + rng.uniform(-1, 1) + 2 * np.sin(columns / 60 + sweep)
            known[np.round(rows).astype(int).clip(0, size[0] - 1), columns] = rng.random(len(columns)) < 0.8
    return known


def depth_camera(size=(176, 300)):
    """Where a depth camera measures: not in shadows and far parts, nor at a twentieth of all other pixels."""
    known = np.random.default_rng(6).random(size) > 0.05
    known[:, 40:52] = known[100:130, 200:260] = False
    return known


@pytest.mark.parametrize("sweeps", [1, 3, 6])
def test_the_points_of_a_lidar_have_no_edges(sweeps):
    known = scan_lines(sweeps)
    assert known.mean() > 0.1
    assert not is_dense(known)
    truth = np.where(known, step_at(150, known.shape), np.nan)
    assert match_edges(step_at(150, known.shape), truth) == EdgeMatches()


def test_dense_depth_with_holes_has_edges():
    known = depth_camera()
    assert is_dense(known)
    known |= np.abs(np.arange(300) - 150) < 9  # speckles take away what lies within the tolerance of them
    truth = np.where(known, step_at(150, known.shape), np.nan)
    assert match_edges(step_at(150, known.shape), truth).scores().f1 == 1


def test_no_depth_at_all_is_not_dense_and_a_full_image_is():
    assert not is_dense(np.zeros((7, 9), bool))
    assert is_dense(np.ones((1, 9), bool))
