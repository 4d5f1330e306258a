import numpy as np
import pytest

from e2e_depth_ros.core.cloud_filters import CloudFilterSettings, filtered_depth, kept_points
from e2e_depth_ros.core.errors import InvalidInputError, KindError
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import as_map

ALL = CloudFilterSettings(min_depth=0, max_depth=100, remove_edges=False)


def metric(values):
    return as_map(values, DepthKind.METRIC)


def test_range():
    depth = metric([[0.05, 0.5, 3.0, 9.0, np.nan]])
    settings = CloudFilterSettings(min_depth=0.1, max_depth=5, remove_edges=False)
    assert filtered_depth(depth, settings).valid.tolist() == [[False, True, True, False, False]]


def test_far_returns_clear_up_to_the_limit_only_where_depth_is_known():
    depth = metric([[0.5, 9.0, np.nan]])
    settings = CloudFilterSettings(max_depth=5, remove_edges=False, far_returns=True)
    cloud = filtered_depth(depth, settings)
    np.testing.assert_allclose(cloud.values, [[0.5, 5.0, np.nan]])


def test_far_returns_outlast_the_other_filters():
    depth = np.full((20, 30), 50.0, dtype=np.float32)
    depth[:, 15:] = 2.0
    confidence = np.full((20, 30), 0.05, dtype=np.float32)
    settings = CloudFilterSettings(max_depth=5, confidence_threshold=0.5, far_returns=True)
    cloud = filtered_depth(metric(depth), settings, confidence=confidence)
    np.testing.assert_allclose(cloud.values[:, :15], 5.0)
    assert not cloud.valid[:, 15:].any()


def test_confidence():
    settings = CloudFilterSettings(confidence_threshold=0.5, remove_edges=False)
    depth = metric([[1.0, 2.0, 3.0]])
    confidence = np.float32([[0.49, 0.5, 1.0]])
    assert filtered_depth(depth, settings, confidence=confidence).valid.tolist() == [[False, True, True]]
    with pytest.raises(InvalidInputError, match=r"\(1, 3\) for a threshold, got None"):
        filtered_depth(depth, settings)


def test_flying_pixels_at_depth_edges_go():
    depth = np.full((40, 60), 2.0, dtype=np.float32)
    depth[:, 30:] = 4.0
    depth[:, 29:31] = [2.7, 3.3]
    valid = filtered_depth(metric(depth), CloudFilterSettings()).valid
    assert not valid[:, 29:31].any()
    assert valid[:, :25].all()
    assert valid[:, 35:].all()
    given = np.zeros((40, 60), dtype=bool)
    given[3, 4] = True
    assert np.count_nonzero(~filtered_depth(metric(depth), CloudFilterSettings(), edges=given).valid) == 1


def test_decimation_keeps_every_nth_row_and_column():
    settings = CloudFilterSettings(min_depth=0, max_depth=100, remove_edges=False, decimation=3)
    rows, columns = np.nonzero(filtered_depth(metric(np.ones((7, 8))), settings).valid)
    assert sorted(set(rows)) == [0, 3, 6]
    assert sorted(set(columns)) == [0, 3, 6]


def test_only_metric_depth_makes_a_cloud():
    with pytest.raises(KindError, match="affine"):
        filtered_depth(as_map(np.ones((2, 3))), ALL)


def cloud(seed=0, size=(40, 50)):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-3, 3, (*size, 3)).astype(np.float32)
    points[rng.random(size) < 0.1] = np.nan
    return points


@pytest.mark.parametrize("voxel_size", [0.05, 0.4, 3.0])
def test_each_voxel_keeps_exactly_one_point(voxel_size):
    points = cloud()
    keep = kept_points(points, CloudFilterSettings(voxel_size=voxel_size))
    voxels = np.floor(points * np.float32(1 / voxel_size))
    before = {tuple(voxel) for voxel in voxels[np.isfinite(points[..., 2])]}
    after = [tuple(voxel) for voxel in voxels[keep]]
    assert len(after) == len(set(after))
    assert set(after) == before


def plane_with_loners():
    v, u = np.mgrid[:40, :50].astype(np.float32)
    points = np.stack([0.02 * u, 0.02 * v, np.full_like(u, 2.0)], axis=-1)
    points[10, 10, 2] = 1.2
    points[30, 45, 2] = 5.0
    points[0, 0] = np.nan
    return points


def test_isolated_points_go_and_the_rest_stays():
    points = plane_with_loners()
    keep = kept_points(points, CloudFilterSettings(noise_filter_radius=0.05, noise_filter_min_neighbors=3))
    assert sorted(zip(*np.nonzero(~keep), strict=True)) == [(0, 0), (10, 10), (30, 45)]


def test_neighbours_are_counted_within_the_radius():
    points = plane_with_loners()
    settings = CloudFilterSettings(noise_filter_radius=0.021, noise_filter_min_neighbors=4)
    keep = kept_points(points, settings)
    assert keep[20, 20]
    assert not keep[39, 20]  # at the border only three are so near
    assert not keep[10, 11]  # one of its four is the loner


def test_isolation_is_judged_in_the_decimated_cloud():
    points = plane_with_loners()
    points[1::2] = points[:, 1::2] = np.nan
    settings = CloudFilterSettings(decimation=2, noise_filter_radius=0.05, noise_filter_min_neighbors=3)
    keep = kept_points(points, settings)
    assert keep[20, 20]
    assert not keep[10, 10]


def test_an_empty_cloud_stays_empty():
    points = np.full((4, 5, 3), np.nan, dtype=np.float32)
    assert not kept_points(points, CloudFilterSettings(voxel_size=0.1, noise_filter_radius=0.1)).any()
    with pytest.raises(InvalidInputError, match=r"\(H, W, 3\)"):
        kept_points(points[0], ALL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_depth": 3.0, "max_depth": 2.0},
        {"confidence_threshold": 1.5},
        {"decimation": 0},
        {"voxel_size": -0.1},
        {"noise_filter_min_neighbors": 0},
    ],
)
def test_settings_are_checked(wrong):
    with pytest.raises(InvalidInputError, match="expected"):
        CloudFilterSettings(**wrong)
