import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from e2e_depth_ros.ros.messages.clouds import allocate_cloud, cloud_from_coordinates, points_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError


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
    with pytest.raises(
        RefusedMessageError, match="expected fields x, y, z, once each, got 'x', 'y'"
    ) as refusal:
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
        ({"height": 2**16, "width": 2**16}, "cloud: size"),  # 0 in 32 bits
        ({"height": 0}, "cloud: size"),
        ({"point_step": 0}, "cloud: point step"),
        ({"point_step": 2**32 - 1}, "cloud: point step"),
        ({"row_step": 0, "height": 3, "width": 4}, "cloud: row step"),
        ({"row_step": 2**32 - 1, "height": 3, "width": 4}, "cloud: data length"),
    ],
)
def test_malformed_cloud_is_refused_by_reason(change, reason):
    cloud = make_cloud(POINTS)
    for name, value in change.items():
        setattr(cloud, name, value)
    with pytest.raises(RefusedMessageError, match="expected") as refusal:
        points_from_message(cloud)
    assert refusal.value.reason == reason


def field(name, offset, datatype=PointField.FLOAT32, count=1):
    return PointField(name=name, offset=offset, datatype=datatype, count=count)


@pytest.mark.parametrize("name", ["x", "y", "z"])
def test_a_field_that_is_there_twice_is_refused(name):
    cloud = make_cloud(POINTS)
    cloud.fields = [*cloud.fields, field(name, 12)]
    with pytest.raises(
        RefusedMessageError, match=f"got 2 of {name} among 'x', 'y', 'z', '{name}'"
    ) as refusal:
        points_from_message(cloud)
    assert refusal.value.reason == "cloud: fields"


@pytest.mark.parametrize(
    ("offsets", "kinds", "message"),
    [
        ((0, 0, 8), (7, 7, 7), "x in bytes 0 to 3 of a point and y from byte 0 on"),
        ((0, 2, 8), (7, 7, 7), "x in bytes 0 to 3 of a point and y from byte 2 on"),
        ((0, 4, 8), (7, 8, 7), "y in bytes 4 to 11 of a point and z from byte 8 on"),
        ((8, 4, 5), (7, 7, 7), "y in bytes 4 to 7 of a point and z from byte 5 on"),
        ((4, 12, 0), (8, 7, 8), "z in bytes 0 to 7 of a point and x from byte 4 on"),
    ],
)
def test_fields_that_overlap_are_refused(offsets, kinds, message):
    cloud = make_cloud(POINTS)
    cloud.fields = [
        field(name, offset, kind) for name, offset, kind in zip("xyz", offsets, kinds, strict=True)
    ]
    with pytest.raises(
        RefusedMessageError, match=f"expected x, y, z apart from each other, got {message}"
    ) as refusal:
        points_from_message(cloud)
    assert refusal.value.reason == "cloud: field offset"


def test_what_other_fields_claim_does_not_matter():
    cloud = make_cloud(POINTS)
    others = [
        field("rgb", 12),
        field("rgba", 12),
        field("rgb", 999),
        field("a", 0, 99, 2**32 - 1),
        field("", 8),
    ]
    cloud.fields = [*others, *cloud.fields]
    np.testing.assert_array_equal(points_from_message(cloud), POINTS)


def test_a_count_of_zero_is_one():
    cloud = make_cloud(POINTS)
    for one in cloud.fields:
        one.count = 0
    np.testing.assert_array_equal(points_from_message(cloud), POINTS)
    cloud.fields[1].count = 2
    with pytest.raises(RefusedMessageError, match="expected y to be one FLOAT32 or FLOAT64, got 2 FLOAT32"):
        points_from_message(cloud)


def test_one_row_may_claim_any_row_step():
    for row_step in (0, 1, 2**32 - 1):
        cloud = make_cloud(POINTS)
        cloud.row_step = row_step
        np.testing.assert_array_equal(points_from_message(cloud), POINTS)


def test_fields_of_both_sizes_may_be_mixed():
    cloud = make_cloud(POINTS, point_step=24)
    cloud.fields = [field("x", 16, PointField.FLOAT64), *cloud.fields[1:]]
    data = np.frombuffer(bytes(cloud.data), np.uint8).reshape(-1, 24).copy()
    data[:, 16:] = (POINTS[:, :1].astype(np.float64) + 1).view(np.uint8)
    cloud.data = data.tobytes()
    np.testing.assert_allclose(points_from_message(cloud), POINTS + np.array([1, 0, 0]), rtol=1e-6)


@pytest.mark.filterwarnings("error")
def test_what_float32_cannot_hold_is_infinite_without_a_word():
    points = np.array([[1e300, -1e300, np.nan], [np.inf, 1, 2]])
    read = points_from_message(make_cloud(points, layout="<f8", offsets=(0, 8, 16), point_step=24))
    np.testing.assert_array_equal(read, np.array([[np.inf, -np.inf, np.nan], [np.inf, 1, 2]], np.float32))


def test_long_names_are_cut():
    cloud = make_cloud(POINTS)
    cloud.fields = [field("a" * 10**6 + "\n[ERROR] forged", 0)] * 1000
    with pytest.raises(RefusedMessageError) as refusal:
        points_from_message(cloud)
    assert len(str(refusal.value)) < 500
    assert "\n" not in str(refusal.value)


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
    at_once, written = cloud_from_coordinates(np.moveaxis(points, -1, 0), rgb, cloud.header)
    assert bytes(at_once.data) == bytes(cloud.data)
    np.testing.assert_array_equal(written, points)


def test_a_cloud_of_no_points_is_one():
    message, points = allocate_cloud(np.zeros((1, 0, 3), np.uint8), Header(frame_id="camera"))
    assert (message.height, message.width, len(message.data), points.shape) == (1, 0, 0, (1, 0, 3))
    assert points_from_message(message).shape == (0, 3)
