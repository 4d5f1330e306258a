import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from e2e_depth_ros.ros.clouds import allocate_cloud, points_from_message
from e2e_depth_ros.ros.refusal import RefusedMessageError


def make_cloud(points, layout="<f4", offsets=(0, 4, 8), point_step=16, height=1, row_padding=0):
    """A cloud whose x, y, z lie at any offset, with rubbish in between."""
    count = len(points)
    width = count // height
    row_step = width * point_step + row_padding
    data = np.full((height, row_step), 171, np.uint8)
    size = np.dtype(layout).itemsize
    for index, point in enumerate(points):
        row, column = divmod(index, width)
        for value, offset in zip(point, offsets, strict=True):
            at = column * point_step + offset
            data[row, at : at + size] = np.frombuffer(np.array(value, layout).tobytes(), np.uint8)
    datatype = PointField.FLOAT32 if size == 4 else PointField.FLOAT64
    return PointCloud2(
        header=Header(frame_id="lidar"),
        height=height,
        width=width,
        fields=[
            PointField(name=name, offset=offset, datatype=datatype, count=1)
            for name, offset in zip("xyz", offsets, strict=True)
        ],
        is_bigendian=layout[0] == ">",
        point_step=point_step,
        row_step=row_step,
        data=data.tobytes(),
    )


POINTS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"offsets": (9, 1, 20), "point_step": 27},
        {"layout": ">f4", "offsets": (4, 8, 0)},
        {"layout": "<f8", "offsets": (0, 8, 16), "point_step": 32},
        {"layout": ">f8", "offsets": (3, 11, 19), "point_step": 30, "height": 3, "row_padding": 5},
        {"height": 4, "row_padding": 11},
    ],
)
def test_points_are_read_from_any_layout(layout):
    np.testing.assert_array_equal(points_from_message(make_cloud(POINTS, **layout)), POINTS)


def test_empty_cloud_has_no_points():
    assert points_from_message(make_cloud(POINTS[:0])).shape == (0, 3)


def test_nan_points_are_kept():
    points = POINTS.copy()
    points[3] = np.nan
    np.testing.assert_array_equal(points_from_message(make_cloud(points)), points)


def test_missing_field_is_named():
    cloud = make_cloud(POINTS)
    cloud.fields = cloud.fields[:2]
    with pytest.raises(RefusedMessageError, match="expected fields x, y, z, got x, y") as refusal:
        points_from_message(cloud)
    assert refusal.value.reason == "cloud: fields"


@pytest.mark.parametrize("datatype", [PointField.INT16, PointField.UINT32, 0, 99])
def test_wrong_field_type_is_refused(datatype):
    cloud = make_cloud(POINTS)
    cloud.fields[2].datatype = datatype
    with pytest.raises(RefusedMessageError, match="expected z to be one FLOAT32 or FLOAT64") as refusal:
        points_from_message(cloud)
    assert refusal.value.reason == "cloud: field type"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"point_step": 11}, "cloud: point step"),
        ({"row_step": 100, "height": 2}, "cloud: row step"),
        ({"width": 13}, "cloud: data length"),
        ({"data": b""}, "cloud: data length"),
        ({"height": 2**32 - 1, "width": 2**32 - 1}, "cloud: size"),
    ],
)
def test_malformed_cloud_is_refused_by_reason(change, reason):
    cloud = make_cloud(POINTS)
    for name, value in change.items():
        setattr(cloud, name, value)
    with pytest.raises(RefusedMessageError, match="expected") as refusal:
        points_from_message(cloud)
    assert refusal.value.reason == reason


def test_written_cloud_is_organised_with_rgb_and_nan():
    points = np.arange(5 * 7 * 3, dtype=np.float32).reshape(5, 7, 3)
    points[1, 2] = np.nan
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    cloud, xyz = allocate_cloud(rgb, Header(frame_id="camera"))
    xyz[...] = points
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (5, 7, 16, 112)
    assert cloud.is_dense is False
    assert cloud.header.frame_id == "camera"
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("rgb", 12, PointField.FLOAT32, 1),
    ]
    np.testing.assert_array_equal(points_from_message(cloud).reshape(5, 7, 3), points)
    packed = np.frombuffer(cloud.data, np.uint32).reshape(5, 7, 4)[..., 3]
    red, green, blue = (rgb[..., i].astype(np.uint32) for i in range(3))
    np.testing.assert_array_equal(packed, red << 16 | green << 8 | blue)
