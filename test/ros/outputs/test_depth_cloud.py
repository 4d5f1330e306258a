import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from std_msgs.msg import Header

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.cloud_filters import CloudFilterSettings
from e2e_depth_ros.core.errors import KindError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.ros.declarations.declaration import settings_from_parameters
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.outputs.depth_cloud import cloud_from_depth

SIZE = (31, 47)
CAMERA = Camera(SIZE, np.array([[40.0, 0, 21], [0, 42, 14], [0, 0, 1]]))
ROW, COLUMN = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
RGB = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
HEADER = Header(frame_id="camera")


def metric(values):
    return DepthMap(np.broadcast_to(np.float32(values), SIZE), np.ones(SIZE, bool), DepthKind.METRIC)


def cloud(depth, **parameters):
    settings = settings_from_parameters(CloudFilterSettings, Parameters(**parameters))
    message = cloud_from_depth(depth, CAMERA, RGB, HEADER, settings)
    return message, points_from_message(message).reshape(message.height, message.width, 3)


def test_every_parameter_of_the_filters_reaches_them():
    values = {
        "min_depth": 0.3,
        "max_depth": 9.0,
        "confidence_threshold": 0.4,
        "remove_edges": False,
        "decimation": 3,
        "voxel_size": 0.05,
        "noise_filter_radius": 0.2,
        "noise_filter_min_neighbors": 4,
        "far_returns": True,
    }
    assert settings_from_parameters(CloudFilterSettings, Parameters(**values)) == CloudFilterSettings(
        **values
    )
    default = CloudFilterSettings()
    assert all(getattr(default, name) != value for name, value in values.items())


@pytest.mark.parametrize("decimation", [1, 2, 3])
def test_decimated_cloud_is_every_nth_point_of_the_whole_one(decimation):
    depth = metric(2 + 0.01 * COLUMN + 0.02 * ROW)
    message, points = cloud(depth, decimation=decimation)
    rows, columns = -(-SIZE[0] // decimation), -(-SIZE[1] // decimation)
    assert (message.height, message.width) == (rows, columns)
    _, whole = cloud(depth)
    np.testing.assert_allclose(points, whole[::decimation, ::decimation], rtol=1e-5)
    assert np.isfinite(points).all()
    packed = np.frombuffer(message.data, np.uint8).reshape(rows, columns, 16)
    np.testing.assert_array_equal(packed[..., 14:11:-1], RGB[::decimation, ::decimation])
    assert message.row_step * rows == len(message.data)


def test_points_between_surfaces_go():
    depth = metric(np.where(COLUMN < 20, 1.0, 3.0))
    _, points = cloud(depth)
    assert np.isnan(points[:, 19:21]).all()
    assert np.isfinite(points[:, :12]).all()
    assert np.isfinite(cloud(depth, remove_edges=False)[1]).all()


def test_a_voxel_keeps_one_point():
    _, points = cloud(metric(2.0), voxel_size=0.5)
    kept = points[np.isfinite(points[..., 2])]
    cells = np.floor(kept / 0.5)
    assert 1 < len(kept) == len(np.unique(cells, axis=0))


def test_lonely_points_go_also_when_decimated():
    values = np.full(SIZE, 2.0, np.float32)
    values[12, 20] = 1.0
    _, points = cloud(metric(values), remove_edges=False, noise_filter_radius=0.3, decimation=2)
    assert np.isnan(points[6, 10]).all()
    assert np.isnan(points).any(axis=-1).sum() == 1


def test_far_returns_lie_at_the_limit():
    _, points = cloud(metric(np.where(COLUMN < 20, 3.0, 30.0)), max_depth=8.0, far_returns=True)
    np.testing.assert_allclose(points[:, 30:, 2], 8.0)


def test_confidence_threshold():
    settings = settings_from_parameters(CloudFilterSettings, Parameters(confidence_threshold=0.5))
    confidence = np.where(COLUMN < 10, 0.4, 0.6).astype(np.float32)
    message = cloud_from_depth(metric(2.0), CAMERA, RGB, HEADER, settings, confidence=confidence)
    z = points_from_message(message)[:, 2].reshape(SIZE)
    np.testing.assert_array_equal(np.isfinite(z), COLUMN >= 10)


def test_relative_depth_makes_no_cloud():
    relative = DepthMap(np.full(SIZE, 0.5, np.float32), np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT)
    with pytest.raises(KindError):
        cloud(relative)
