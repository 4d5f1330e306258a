import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import find_frames
from e2e_depth_ros.core.targets import read_camera_of, read_depth_target, smooth_normals

SIZE = (40, 56)
INTRINSICS = np.array([[50.0, 0, 29], [0, 46, 18], [0, 0, 1]])


def frame_with(write_frame, folder, **measurements):
    (frame,) = find_frames([write_frame(folder, **measurements)])
    return frame


def test_dense_depth_counts_within_the_range(tmp_path, write_frame):
    depth = np.full(SIZE, np.nan)
    depth[3, 5], depth[7, 11], depth[20, 40] = 2.0, 79.0, 81.0
    target = read_depth_target(frame_with(write_frame, tmp_path / "f", depth=depth), SIZE)
    assert (target.row.tolist(), target.column.tolist()) == ([3, 7], [5, 11])
    np.testing.assert_array_equal(target.depth_m, np.float32([2, 79]))
    assert target.source == "depth"


def test_points_are_scored_where_they_appear(tmp_path, write_frame):
    # In the sensor's frame x is forward, y left, z up, and the sensor is 0.5 m above the camera.
    camera_from_points = np.array([[0, -1, 0, 0], [0, 0, -1, -0.5], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    points = [
        [2, 0, -0.5],  # ahead: (cx, cy)
        [4, -0.8, -0.5],  # 0.8 m to the right at 4 m: u = 29 + 10
        [4, 0, 0.5],  # 1 m above the camera at 4 m: v = 18 - 11.5, seen at row 6 (6.5 rounds to even)
        [3, 0, -0.5],  # behind the first: hidden in its pixel
        [-2, 0, 0],  # behind the camera
        [1, 5, 0],  # outside of the image
        [90, 0, -0.5],  # too far
        [np.nan, 0, 0],
    ]
    frame = frame_with(write_frame, tmp_path / "f", points=points, camera_from_points=camera_from_points)
    target = read_depth_target(frame, SIZE)
    assert target.source == "points"
    found = sorted(zip(target.row.tolist(), target.column.tolist(), target.depth_m.tolist(), strict=True))
    assert found == [(6, 29, 4.0), (18, 29, 2.0), (18, 39, 4.0)]


def test_frames_without_usable_measurements_are_refused(tmp_path, write_frame):
    with pytest.raises(InvalidInputError, match="neither"):
        read_depth_target(frame_with(write_frame, tmp_path / "a"), SIZE)
    with pytest.raises(InvalidInputError, match="found none"):
        read_depth_target(frame_with(write_frame, tmp_path / "b", depth=np.full(SIZE, np.nan)), SIZE)
    with pytest.raises(InvalidInputError, match=r"\(40, 56\).*\(40, 50\)"):
        read_depth_target(frame_with(write_frame, tmp_path / "c", depth=np.ones((40, 50))), SIZE)
    with pytest.raises(InvalidInputError, match=r"\(80, 112\)"):
        read_depth_target(frame_with(write_frame, tmp_path / "d", points=[[0, 0, 2]]), (80, 112))


def test_a_calibration_of_another_image_is_none_of_this_one(tmp_path, write_frame):
    frame = frame_with(write_frame, tmp_path / "f")
    assert read_camera_of(frame, SIZE).fx == 50
    with pytest.raises(InvalidInputError, match=r"of the image's size \(80, 112\) in f, got \(40, 56\)"):
        read_camera_of(frame, (80, 112))
    (tmp_path / "f" / "camera_info.yaml").unlink()
    with pytest.raises(InvalidInputError, match=r"expected camera_info.yaml in f, found none"):
        read_camera_of(frame, SIZE)


@pytest.mark.parametrize("distortion", [(), (-0.3, 0.1, 0.002, -0.001, 0.0)])
def test_normals_of_a_noisy_plane(distortion):
    size = (120, 168)
    camera = Camera(
        size=size,
        intrinsics=np.array([[150.0, 0, 87], [0, 138, 54], [0, 0, 1]]),
        distortion_model=DistortionModel.PLUMB_BOB if distortion else DistortionModel.NONE,
        distortion=distortion,
    )
    normal = np.array([0.3, -0.6, -0.74])
    normal /= np.linalg.norm(normal)
    x, y = (np.broadcast_to(grid, size) for grid in camera.normalized_grid)
    depth = -1.7 / (normal[0] * x + normal[1] * y + normal[2])
    depth = depth * (1 + np.random.default_rng(0).normal(0, 3e-4, size))
    depth[50:60, 70:80] = np.nan
    found = smooth_normals(depth, camera)
    assert 0.5 < found.valid.mean() < 0.99
    assert not found.valid[50:60, 70:80].any()
    inside = found.valid & (depth > 0)
    angle = np.rad2deg(np.arccos(np.clip(found.values[inside] @ normal, -1, 1)))
    assert np.median(angle) < 1
    assert np.quantile(angle, 0.99) < 3


def test_edges_have_no_smooth_normals():
    camera = Camera(size=SIZE, intrinsics=INTRINSICS)
    depth = np.full(SIZE, 3.0)
    depth[:, 30:] = 2.0
    found = smooth_normals(depth, camera)
    assert not found.valid[:, 29:31].any()
    assert found.valid[20, 10]
    np.testing.assert_allclose(found.values[20, 10], [0, 0, -1], atol=1e-6)


def test_depth_of_another_size_is_refused():
    with pytest.raises(InvalidInputError, match=r"\(40, 56\).*\(56, 40\)"):
        smooth_normals(np.ones((56, 40)), Camera(size=SIZE, intrinsics=INTRINSICS))


@pytest.mark.parametrize("size", [(1, 1), (1, 20), (20, 1)])
def test_a_line_of_pixels_has_no_normals(size):
    camera = Camera(size, np.array([[20.0, 0, 0], [0, 20, 0], [0, 0, 1]]))
    assert not smooth_normals(np.ones(size, np.float32), camera).valid.any()
