"""Flicker is what changes from image to image at one surface point, and nothing else."""

import json

import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.frames import find_frames
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.evaluation.flicker import (
    PosedDepth,
    corresponding_pixels,
    evaluate_flicker,
    flicker_between,
)
from e2e_depth_ros.evaluation.sources import BASELINES, Prediction

SIZE = (40, 56)  # as the frames of `write_frame`: fx = 50, fy = 46, cx = 29, cy = 18
CAMERA = Camera(SIZE, np.array([[50.0, 0, 29], [0, 46, 18], [0, 0, 1]]))


def moved(x=0.0, y=0.0, z=0.0):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def wall_and_box(x=0.0):
    """A wall at 4 m and, nearer, a box of 10 x 12 pixels at 2 m, from a camera at x."""
    depth = np.full(SIZE, 4.0, np.float32)
    left = round(20 - 50 * x / 2)
    depth[15:25, left : left + 12] = 2
    return PosedDepth(depth, CAMERA, moved(x))


def test_points_are_found_where_they_moved_to():
    # 0.16 m to the right moves the box by 4 pixels to the left, and the wall by 2.
    first, second = wall_and_box(), wall_and_box(0.16)
    here, there = corresponding_pixels(first, second)
    (row, column), (new_row, new_column) = (np.unravel_index(flat, SIZE) for flat in (here, there))
    np.testing.assert_array_equal(row, new_row)
    on_box = first.depth_m[row, column] == 2
    np.testing.assert_array_equal(column - new_column, np.where(on_box, 4, 2))
    assert on_box.sum() == 10 * 12
    # Of the wall two columns leave the image, and two hide behind the box.
    assert (~on_box).sum() == 40 * 56 - 120 - 2 * 40 - 2 * 10


def test_moving_ahead_spreads_points_and_what_is_behind_is_left_out():
    first = PosedDepth(np.full(SIZE, 1.0, np.float32), CAMERA, np.eye(4))
    second = PosedDepth(np.full(SIZE, 0.5, np.float32), CAMERA, moved(z=0.5))
    here, there = corresponding_pixels(first, second)
    offset = [np.stack(np.unravel_index(flat, SIZE)) - np.array([[18], [29]]) for flat in (here, there)]
    np.testing.assert_array_equal(offset[1], 2 * offset[0])
    behind = PosedDepth(np.full(SIZE, 0.5, np.float32), CAMERA, moved(z=3))
    assert len(corresponding_pixels(first, behind)[0]) == 0
    assert flicker_between(first.depth_m, behind.depth_m, first, behind) is None


def test_errors_that_stick_to_the_surface_do_not_flicker():
    first, second = wall_and_box(), wall_and_box(0.16)

    def wrong(truth, box=1.0, all_of_it=1.0):
        return np.where(truth.depth_m == 2, 2 * box, 4) * all_of_it

    assert flicker_between(first.depth_m, second.depth_m, first, second) == 0
    sticking = flicker_between(wrong(first, box=1.5), wrong(second, box=1.5), first, second)
    assert sticking == pytest.approx(0, abs=1e-9)
    jump = flicker_between(wrong(first), wrong(second, all_of_it=1.03), first, second)
    assert jump == pytest.approx(np.log(1.03), rel=1e-6)
    box_share = 120 / (120 + 40 * 56 - 120 - 80 - 20)
    part = flicker_between(wrong(first), wrong(second, box=0.9), first, second)
    assert part == pytest.approx(box_share * -np.log(0.9), rel=1e-6)


class Jittering:
    """Predicts relative depth, perfect up to a factor for each frame."""

    name = "jittering"

    def __init__(self, factors):
        self._factors = factors

    def predict(self, frame, rgb):
        assert rgb.shape[:2] == SIZE
        factor = self._factors[int(frame.name[-1])]
        depth = frame.read_depth() * factor / 8  # no shift: it would change the factor's meaning
        return Prediction(DepthMap(depth, np.isfinite(depth), DepthKind.AFFINE_INVARIANT))


@pytest.fixture
def sequences(tmp_path, write_frame):
    for name, xs in (("slow", (0.0, 0.08, 0.16)), ("fast", (0.0, 0.32)), ("lonely", (0.0,))):
        for index, x in enumerate(xs):
            folder = write_frame(tmp_path / name / f"{index}", depth=wall_and_box(x).depth_m)
            np.savez(folder / "pose.npz", world_from_camera=moved(x))
    return tmp_path


def test_a_perfect_prediction_has_none_and_jitter_is_told_as_it_is(sequences):
    told = []
    frames = find_frames([sequences])
    perfect = evaluate_flicker(frames, [Jittering([1, 1, 1])], on_failure=lambda *what: told.append(what))
    assert perfect.mean("jittering") == pytest.approx(0, abs=1e-6)
    assert perfect.groups == ["fast", "slow"]
    assert told == [("lonely", "expected at least two frames of a sequence, got 1")]
    assert list(perfect.failures) == ["lonely"]
    report = evaluate_flicker(frames, [Jittering([1, 1.02, 1]), *BASELINES])
    # The common fit may shift depth a little; the jump stays.
    assert report.mean("jittering", "slow") == pytest.approx(np.log(1.02), rel=0.05)
    assert report.mean("jittering") == pytest.approx(np.log(1.02), rel=0.05)
    assert report.scores["jittering"]["slow"]["slow"].pairs == 2
    assert report.mean("constant", "slow") == pytest.approx(0, abs=1e-6)  # sideways no depth changes


def test_report_is_plain_json_and_a_table(sequences):
    report = evaluate_flicker(find_frames([sequences]), [Jittering([1, 1.02, 1]), *BASELINES])
    read = json.loads(json.dumps(report.as_dict()))
    assert set(read["flicker"]) == {"jittering", "constant", "linear in row"}
    assert read["flicker"]["jittering"]["sequences"]["fast"]["pairs"] == 1
    assert read["failures"] == report.failures
    cells = [list(column.cells) for column in report.table().columns]
    assert cells[0] == ["fast", "slow", "mean of sequences"]
    assert cells[1] == ["1", "1", "2"]
    assert cells[3] == ["0.00 %"] * 3


def test_what_is_missing_is_named(sequences):
    (sequences / "fast" / "1" / "pose.npz").unlink()
    report = evaluate_flicker(find_frames([sequences]), [Jittering([1, 1, 1])])
    assert report.failures["fast"] == "expected dense depth and a pose of fast/1, found no pose"
