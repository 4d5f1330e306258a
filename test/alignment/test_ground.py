import numpy as np
import pytest

from e2e_depth_ros.alignment import AlignmentState, AlignmentTracker
from e2e_depth_ros.alignment.ground import find_ground, height_above_ground
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import as_map

SIZE = (240, 320)
HEIGHT_M = 0.8
CAMERA = Camera(size=SIZE, intrinsics=np.array([[260.0, 0, 150], [0, 250, 112], [0, 0, 1]]))


def direction(pitch_deg, roll_deg=0.0):
    """Down, in the optical frame of a camera that looks this far below the horizon."""
    pitch, roll = np.deg2rad([pitch_deg, roll_deg])
    return np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])


def room(down, wall_m=4.0, box=True):
    """Depth of a floor with a wall at its end, and a box upon it."""
    x, y = CAMERA.normalized_grid
    along = x * down[0] + y * down[1] + down[2]
    depth = np.minimum(np.where(along > 1e-6, HEIGHT_M / np.maximum(along, 1e-6), np.inf), wall_m)
    if box:
        depth[130:200, 60:120] = np.minimum(depth[130:200, 60:120], 0.9)
    return depth.astype(np.float32)


def relative_of(depth):
    return as_map((depth - depth.min()) / (depth.max() - depth.min()))


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (12.0, 0.0), (25.0, 4.0)])
@pytest.mark.parametrize("known", [False, True])
def test_the_floor_measures_the_room(pitch, roll, known):
    down = direction(pitch, roll)
    depth = room(down)
    ground = find_ground(relative_of(depth), CAMERA, HEIGHT_M, down=3 * down if known else None)
    assert ground.reason.startswith("ground on")
    assert ground.down @ down > np.cos(np.deg2rad(3))
    assert ground.samples.source == "ground plane"
    truth = depth[ground.samples.v_px.astype(int), ground.samples.u_px.astype(int)]
    assert np.median(np.abs(ground.samples.depth_m / truth - 1)) < 0.05
    aligned = AlignmentTracker().update(relative_of(depth), 0, ground.samples)
    # Seen from above, the floor is all at about one depth.
    assert aligned.state is (AlignmentState.FRESH if pitch < 20 else AlignmentState.DEGRADED)
    assert aligned.source == "ground plane"
    assert np.mean(np.abs(aligned.depth_m / depth - 1)) < 0.05


def test_twice_the_height_is_twice_the_depth():
    relative = relative_of(room(direction(15)))
    one, two = (find_ground(relative, CAMERA, height).samples for height in (0.4, 0.8))
    np.testing.assert_allclose(np.median(two.depth_m) / np.median(one.depth_m), 2, rtol=1e-5)


def test_disparity_needs_the_tilt():
    depth = room(direction(15))
    disparity = as_map(0.3 / depth + 0.02, DepthKind.AFFINE_INVARIANT_DISPARITY)
    assert "tilt" in find_ground(disparity, CAMERA, HEIGHT_M).reason
    ground = find_ground(disparity, CAMERA, HEIGHT_M, down=direction(15))
    truth = depth[ground.samples.v_px.astype(int), ground.samples.u_px.astype(int)]
    assert np.median(np.abs(ground.samples.depth_m / truth - 1)) < 0.03


def facing_wall():
    x, y = CAMERA.normalized_grid
    return 2 / (1 + 0.1 * x + 0.15 * y)


def clutter():
    return np.random.default_rng(0).uniform(1, 4, SIZE)


def side_wall():
    x, y = CAMERA.normalized_grid
    return np.clip(1 / np.maximum(0.3 * x + 0.2 + 0 * y, 0.05), 0, 9)


@pytest.mark.parametrize("depth", [facing_wall(), clutter(), side_wall()])
def test_without_ground_there_are_no_samples_and_a_reason(depth):
    ground = find_ground(relative_of(depth.astype(np.float32)), CAMERA, HEIGHT_M)
    assert ground.samples is None
    assert "plane" in ground.reason


def test_a_plane_against_the_known_direction_is_no_ground():
    ground = find_ground(relative_of(room(direction(30), box=False)), CAMERA, HEIGHT_M, down=direction(-20))
    assert ground.samples is None


@pytest.mark.parametrize("pitch", [5, 15, 30])
@pytest.mark.parametrize("is_known", [False, True])
def test_metric_depth_tells_the_height_of_the_camera(pitch, is_known):
    depth = as_map(1.5 * room(direction(pitch)), DepthKind.METRIC)
    height_m = height_above_ground(depth, CAMERA, down=direction(pitch) if is_known else None)
    assert height_m == pytest.approx(1.5 * HEIGHT_M, rel=0.03)


@pytest.mark.parametrize("depth", [facing_wall(), clutter(), side_wall(), np.full(SIZE, np.nan)])
def test_without_ground_there_is_no_height(depth):
    assert height_above_ground(as_map(depth, DepthKind.METRIC), CAMERA) is None


def test_wrong_input_is_refused():
    relative = relative_of(room(direction(10)))
    with pytest.raises(InvalidInputError, match="positive height"):
        find_ground(relative, CAMERA, -1.0)
    with pytest.raises(InvalidInputError, match=r"\(240, 320\), got \(5, 6\)"):
        find_ground(as_map(np.ones((5, 6))), CAMERA, 1.0)
    with pytest.raises(InvalidInputError, match=r"\(240, 320\), got \(5, 6\)"):
        height_above_ground(as_map(np.ones((5, 6)), DepthKind.METRIC), CAMERA)
    with pytest.raises(InvalidInputError, match="direction"):
        find_ground(relative, CAMERA, 1.0, down=np.zeros(3))
