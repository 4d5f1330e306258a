import numpy as np
import pytest

from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT
from e2e_depth_ros.alignment.samples import (
    MAX_SAMPLES,
    Samples,
    samples_from_depth,
    samples_from_pixels,
    samples_from_points,
    thin,
)
from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.errors import InvalidInputError
from helpers.known_scene import SIZE, camera

IDENTITY = np.eye(4)


def test_convention_points_project_to_pixel_centres_in_the_optical_frame():
    points = np.array([[0, 0, 2.0], [0.4, 0, 2.0], [0, 0.4, 2.0]])
    samples = samples_from_points(points, IDENTITY, camera())
    np.testing.assert_allclose(samples.u_px, [57, 77, 57])
    np.testing.assert_allclose(samples.v_px, [41, 41, 60])
    np.testing.assert_allclose(samples.depth_m, 2.0)  # Z, not the length of the ray


def test_pose_takes_the_sensor_to_the_camera():
    # A LiDAR (x forward, y left, z up) half a metre above the camera.
    pose = np.array([[0, -1, 0, 0.0], [0, 0, -1, -0.5], [1, 0, 0, 0.1], [0, 0, 0, 1]])
    samples = samples_from_points(np.array([[3.9, 0.4, -0.5]]), pose, camera())
    np.testing.assert_allclose(
        [samples.u_px[0], samples.v_px[0], samples.depth_m[0]], [47, 41, 4.0], rtol=1e-6
    )


def test_every_point_left_out_is_counted_by_its_reason():
    points = np.array(
        [
            [0, 0, 2],
            [np.nan, 0, 1],
            [0, np.inf, 1],
            [0, 0, -3],
            [0, 0, 0.01],
            [0, 0, 99],
            [5, 0, 1],
            [0, 9, 2],
        ]
    )
    samples = samples_from_points(points, IDENTITY, camera(), min_depth_m=0.1, max_depth_m=50)
    assert len(samples) == 1
    dropped = dict(samples.dropped)
    assert dropped.pop("not_finite") + dropped.pop("outside_image") == 4  # inf may count as either
    assert dropped == {"behind_camera": 1, "too_near": 1, "too_far": 1}


def test_image_border_is_half_a_pixel_beyond_the_outer_centres():
    height, width = SIZE
    u = [-0.5, -0.51, width - 0.51, width - 0.5]
    samples = samples_from_pixels(u, [0] * 4, [1] * 4, SIZE)
    np.testing.assert_allclose(samples.u_px, [-0.5, width - 0.51])
    assert samples.dropped == {"outside_image": 2}
    assert len(samples_from_pixels([0, 0], [height - 0.51, height - 0.49], [1, 1], SIZE)) == 1


def test_distortion_is_followed():
    plain = camera()
    bent = Camera(
        size=plain.size,
        intrinsics=plain.intrinsics,
        distortion_model=DistortionModel.PLUMB_BOB,
        distortion=(-0.2, 0.05, 0.0, 0.0, 0.0),
    )
    points = np.array([[0.5, -0.3, 2.0], [0.0, 0.0, 1.0]])
    u, v = bent.project(points)
    samples = samples_from_points(points, IDENTITY, bent)
    np.testing.assert_allclose(samples.u_px, u, rtol=1e-5)
    np.testing.assert_allclose(samples.v_px, v, rtol=1e-5)
    assert abs(samples.u_px[0] - samples_from_points(points, IDENTITY, plain).u_px[0]) > 0.3


def test_a_great_cloud_is_thinned_the_same_way_in_any_order():
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 2], [1, 1, 6], (150_000, 3)).astype(np.float32)
    one = samples_from_points(points, IDENTITY, camera(), cull_occluded=False)
    other = samples_from_points(points[::-1], IDENTITY, camera(), cull_occluded=False)
    assert 0.8 * MAX_SAMPLES < len(one) <= 1.1 * MAX_SAMPLES
    assert one.dropped["surplus"] > 100_000
    np.testing.assert_array_equal(np.sort(one.depth_m), np.sort(other.depth_m))


@pytest.mark.parametrize("unmeasured", [0, 65535])
def test_depth_images_in_millimetres(unmeasured):
    depth = np.full(SIZE, unmeasured, dtype=np.uint16)
    depth[10, 20], depth[30, 100] = 1500, 2500
    samples = samples_from_depth(depth, SIZE)
    np.testing.assert_allclose(samples.u_px, [20, 100])
    np.testing.assert_allclose(samples.v_px, [10, 30])
    np.testing.assert_allclose(samples.depth_m, [1.5, 2.5], rtol=1e-6)
    assert not samples.dropped


def test_depth_images_in_metres_leave_out_what_is_no_measurement():
    depth = np.full(SIZE, np.nan, dtype=np.float32)
    depth[0, :5] = [0.0, np.inf, -1.0, 300.0, 2.0]
    samples = samples_from_depth(depth, SIZE, max_depth_m=100)
    assert samples.depth_m.tolist() == [2.0]
    assert samples.dropped == {"too_far": 1}


def regular_holes():
    """Which pixels of 720 x 1280 a sensor measures that is in step with any thinning by rows and columns."""
    row, column = np.mgrid[0:720, 0:1280]
    return {
        "odd rows and columns": (row % 2 == 1) & (column % 2 == 1),
        "last of three": (row % 3 == 2) & (column % 3 == 2),
        "checkerboard": (row + column) % 2 == 1,
        "rows": row % 2 == 1,
        "lines of a LiDAR": row % 16 == 15,
        "columns": column % 4 == 3,
        "everything": row >= 0,
    }


@pytest.mark.parametrize("pattern", regular_holes())
def test_a_depth_image_with_regular_holes_is_thinned_evenly(pattern):
    measured = regular_holes()[pattern]
    depth = np.where(measured, np.float32(2), np.float32(np.nan))
    samples = samples_from_depth(depth, depth.shape)
    assert 0.7 * MAX_SAMPLES < len(samples) <= MAX_SAMPLES
    assert samples.dropped == {"surplus": np.count_nonzero(measured) - len(samples)}
    assert measured[samples.v_px.astype(int), samples.u_px.astype(int)].all()
    cells, _, _ = np.histogram2d(samples.v_px, samples.u_px, bins=[9, 16], range=[[0, 720], [0, 1280]])
    assert cells.min() > 0.75 * cells.mean()
    assert cells.max() < 1.25 * cells.mean()
    again = samples_from_depth(depth.copy(), depth.shape)
    np.testing.assert_array_equal(samples.u_px, again.u_px)


@pytest.mark.parametrize("size", [(1, 50_000), (50_000, 1), (40_000, 3)])
def test_a_depth_image_of_a_line_is_thinned(size):
    samples = samples_from_depth(np.full(size, 2, np.float32), size)
    assert 0.3 * MAX_SAMPLES < len(samples) <= MAX_SAMPLES
    assert np.ptp(samples.u_px) + np.ptp(samples.v_px) > 0.99 * max(size)


def test_one_measured_column_is_kept_whole():
    depth = np.zeros((720, 1280), np.float32)
    depth[:, 641] = 2
    assert len(samples_from_depth(depth, depth.shape)) == 720


def test_an_organised_cloud_of_a_wall_is_thinned_evenly():
    """Along a column neither the depth changes nor, times it, the place across."""
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 200), np.linspace(-0.4, 0.4, 1000))
    wall = 3 * np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)
    samples = samples_from_points(wall.reshape(-1, 3), IDENTITY, camera())
    _, counts = np.unique(np.rint(2 * samples.u_px), return_counts=True)
    assert len(counts) > 190  # of 200 columns
    assert counts.max() < 2 * np.median(counts)


def test_a_small_depth_image_measures_at_the_centres_of_its_pixels():
    samples = samples_from_depth(np.full((9, 12), 3.0, dtype=np.float32), SIZE)
    assert len(samples) == 108
    np.testing.assert_allclose(np.unique(samples.u_px), np.arange(12) * 10 + 4.5)
    np.testing.assert_allclose(np.unique(samples.v_px), np.arange(9) * 10 + 4.5)


def test_pixels_that_mix_two_surfaces_are_dropped():
    depth = np.full((9, 12), 3.0, dtype=np.float32)
    depth[:, 6:] = 6.0
    samples = samples_from_depth(depth, SIZE)
    assert samples.dropped == {"mixed_pixel": 18}
    assert set(np.unique(samples.u_px)).isdisjoint({5 * 10 + 4.5, 6 * 10 + 4.5})


def test_holes_of_a_dense_sensor_are_no_surface():
    depth = np.full((30, 40), 2.0, np.float32)
    depth[8:16, 10:20] = 0
    with np.errstate(all="raise"):
        samples = samples_from_depth(depth, SIZE)
    assert len(samples) == 30 * 40 - 8 * 10
    assert samples.dropped == {}


@pytest.mark.parametrize("shape", [(8, 8), (4, 4), (90, 121), (135, 239), (720, 1280)])
def test_depth_of_the_images_view_may_be_of_any_resolution(shape):
    size = (720, 1280) if shape[0] > 100 else (480, 640)
    assert len(samples_from_depth(np.full(shape, 2, np.float32), size)) > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: samples_from_points(np.zeros((4, 2)), IDENTITY, camera()), r"\(N, 3\), got \(4, 2\)"),
        (lambda: samples_from_points(np.zeros((4, 3)), np.eye(3), camera()), r"\(4, 4\)"),
        (lambda: samples_from_depth(np.zeros((4, 3), np.int32), SIZE), "int32"),
        (lambda: samples_from_depth(np.zeros((4, 3, 1), np.float32), SIZE), r"\(4, 3, 1\)"),
        (
            lambda: samples_from_depth(np.ones((480, 640), np.float32), (720, 1280)),
            "of 1280x720, got 640x480",
        ),
        (lambda: samples_from_depth(np.ones((64, 48), np.float32), (48, 64)), "of 64x48, got 48x64"),
        (lambda: samples_from_pixels([1], [2, 3], [1], SIZE), r"one shape"),
    ],
)
def test_wrong_input_is_refused_with_what_was_found(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


def test_no_points_give_no_samples():
    assert len(samples_from_points(np.zeros((0, 3)), IDENTITY, camera())) == 0
    assert len(samples_from_depth(np.zeros(SIZE, np.float32), SIZE)) == 0


def test_the_sensor_itself_is_no_measurement():
    """Many drivers leave a direction without a return at 0, 0, 0, which may be in view of the camera."""
    pose = np.eye(4)
    pose[2, 3] = 0.5
    points = np.array([[0, 0, 0], [0.1, 0, 2], [0, 0, 0], [0.2, 0.1, 0], [np.nan] * 3])
    samples = samples_from_points(points, pose, camera(), cull_occluded=False)
    np.testing.assert_allclose(np.sort(samples.depth_m), [0.5, 2.5])
    assert samples.dropped == {"not_finite": 3}


@pytest.mark.parametrize(
    "limits",
    [(2.0, 1.0), (float("nan"), 1.0), (0.1, float("nan")), (-1.0, 3.0), (0.1, "5"), (None, 5), (0.1, [5, 6])],
)
def test_limits_that_are_no_range_are_refused(limits):
    with pytest.raises(InvalidInputError, match="min_depth_m < max_depth_m"):
        samples_from_pixels([1.0], [1.0], [1.0], (4, 4), min_depth_m=limits[0], max_depth_m=limits[1])


def test_masked_measurements_are_none():
    depth_m = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
    samples = samples_from_pixels([1, 2, 3], [1, 1, 1], depth_m, (4, 5))

    assert samples.depth_m.tolist() == [1.0, 3.0]
    assert samples.dropped == {"not_finite": 1}


@pytest.mark.parametrize("wrong", [["near", "far"], [[1.0], [1.0, 2.0]], [None, "x"]])
def test_what_are_no_numbers_is_refused_by_name(wrong):
    with pytest.raises(InvalidInputError, match="expected numbers as depth_m, got list"):
        samples_from_pixels([1, 2], [1, 1], wrong, (4, 5))


def test_points_are_not_stretched_on_their_way_into_the_camera():
    with pytest.raises(InvalidInputError, match="expected a rotation"):
        samples_from_points(np.ones((3, 3)), np.diag([1000.0, 1000, 1000, 1]), camera())


def test_of_too_many_at_least_one_is_kept():
    for seed in range(20):
        u, v = np.random.default_rng(seed).uniform(0, 50, (2, 500))
        assert len(thin(Samples(u, v, np.ones(500)), 1)) >= 1


def test_what_is_not_in_front_of_the_camera_is_never_measured():
    """Nor where the user's least depth is 0."""
    samples = samples_from_pixels([1, 2, 3], [1, 1, 1], [0.0, 2.0, 3.0], (4, 5), min_depth_m=0)
    assert (samples.depth_m.tolist(), samples.dropped) == ([2.0, 3.0], {"not_finite": 1})
    depth = np.zeros(SIZE, np.float32)
    depth[3, 4] = 2
    assert samples_from_depth(depth, SIZE, min_depth_m=0).depth_m.tolist() == [2.0]
    points = np.array([[0.1, 0, 0], [0, 0.1, 2]])
    assert samples_from_points(points, IDENTITY, camera(), min_depth_m=0).depth_m.tolist() == [2.0]


def test_pixels_of_another_size_and_depth_of_another_unit_are_doubted():
    u, v = np.random.default_rng(0).uniform(0, [[2 * SIZE[1]], [2 * SIZE[0]]], (2, 400))
    doubled = samples_from_pixels(u, v, np.full(400, 2.0), SIZE)
    assert "of the measurements lie outside the image: are they of its size?" in doubled.doubt.reason
    assert samples_from_pixels(u / 2, v / 2, np.full(400, 2.0), SIZE).doubt == NO_DOUBT
    around = samples_from_pixels(u - SIZE[1], v - SIZE[0] / 2, np.full(400, 2.0), SIZE)
    assert around.doubt == NO_DOUBT  # of a LiDAR that looks all around
    behind = samples_from_pixels(u / 2, v / 2, np.where(np.arange(400) % 4, -2.0, 2.0), SIZE)
    assert (behind.doubt, behind.dropped["behind_camera"]) == (NO_DOUBT, 300)
    centimetres = np.full(SIZE, 60, np.uint16)  # taken for millimetres
    centimetres[: SIZE[0] // 3] = 300
    assert "of the measurements are nearer than 0.1 m" in samples_from_depth(centimetres, SIZE).doubt.reason
    assert samples_from_depth(10 * centimetres, SIZE).doubt == NO_DOUBT
