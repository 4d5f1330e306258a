"""Messages laid out as in driver_layouts.py, packed byte by byte from a known truth."""

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from helpers.driver_layouts import CameraLayout, CloudLayout, DepthLayout, ImageLayout

DATATYPES = {"u1": PointField.UINT8, "u2": PointField.UINT16, "u4": PointField.UINT32}
DATATYPES |= {"f4": PointField.FLOAT32, "f8": PointField.FLOAT64}
K = (60.0, 0.0, 30.0, 0.0, 62.0, 25.0, 0.0, 0.0, 1.0)
BLOCK = 8  # the pictures' blocks of one colour, in pixels
JUNK = 171


def cloud_message(layout: CloudLayout, points, header=None, seed=3):
    """Lay out points, (rows, columns, 3); the other fields hold anything, and so do the bytes between."""
    rng = np.random.default_rng(seed)
    fields = [(name, 4 * axis, "f4") for axis, name in enumerate("xyz")] + list(layout.fields)
    if not layout.is_organised:
        points = points.reshape(1, -1, 3)
    height, width = points.shape[:2]
    cells = rng.integers(0, 256, (height, width, layout.point_step), dtype=np.uint8)
    for axis in range(3):
        cells[..., 4 * axis : 4 * axis + 4] = points[..., axis, None].astype("<f4").view(np.uint8)
    return PointCloud2(
        header=header or Header(frame_id=layout.frame_id),
        height=height,
        width=width,
        fields=[
            PointField(name=name, offset=offset, datatype=DATATYPES[kind], count=1)
            for name, offset, kind in fields
        ],
        point_step=layout.point_step,
        row_step=width * layout.point_step,
        is_dense=layout.none is None,
        data=cells.tobytes(),
    )


def blocks(size, seed=0):
    """A picture of blocks of one colour each, (H, W, 3), RGB."""
    rng = np.random.default_rng(seed)
    rows, columns = (-(-length // BLOCK) for length in size)
    colours = rng.integers(30, 226, (rows, columns, 3), dtype=np.uint8)
    return colours.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[: size[0], : size[1]]


def image_message(layout: ImageLayout, rgb, header=None):
    """Pack a picture, (H, W, 3), of an even height and width; grey encodings take its first channel."""
    planes = [_padded(plane, layout) for plane in _planes(layout, rgb)]
    data = b"".join(plane.tobytes() for plane in planes)
    height, width = rgb.shape[:2]
    step = len(data) // height if layout.step_of_all_planes else planes[0].shape[1]
    return Image(
        header=header or Header(),
        height=height,
        width=width,
        encoding=layout.encoding,
        is_bigendian=layout.is_bigendian,
        step=step,
        data=data,
    )


def _padded(plane, layout):
    """Bytes of the rows of a plane, with what lies behind each; the planes of colour are padded alike."""
    rows = np.ascontiguousarray(plane).view(np.uint8).reshape(plane.shape[0], -1)
    return np.pad(rows, ((0, 0), (0, layout.padding)), constant_values=JUNK)


def _planes(layout, rgb):
    """The planes of an encoding, each (rows, ...)."""
    encoding = layout.encoding
    if encoding.endswith("16"):
        values = rgb.astype(np.uint16)
        # All 12 bits of a sample are used, or all 16.
        values = values * 257 if layout.shift is None else (values * 257 // 16) << layout.shift
        rgb, encoding = values.astype("<u2"), encoding[:-2] + "8"
    if encoding == "mono8":
        return [rgb[..., 0]]
    if encoding.startswith("bayer"):
        pattern = encoding.removeprefix("bayer_").removesuffix("8")
        mosaic = np.empty(rgb.shape[:2], rgb.dtype)
        for at, colour in enumerate(pattern):
            mosaic[at // 2 :: 2, at % 2 :: 2] = rgb[at // 2 :: 2, at % 2 :: 2, "rgb".index(colour)]
        return [mosaic]
    if encoding.startswith(("rgb", "bgr")):
        order = ["rgb".index(colour) for colour in encoding[:3]]
        alpha = [np.full(rgb.shape[:2], 77, rgb.dtype)] if encoding[3] == "a" else []
        return [np.stack([rgb[..., channel] for channel in order] + alpha, axis=-1)]
    return _yuv(encoding, rgb)


def _yuv(encoding, rgb):
    """ITU-R BT.601 in studio range; blocks of one colour make it the same where colour is sampled."""
    red, green, blue = (rgb[..., channel] / 255 for channel in range(3))
    y = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    u = 128 - 37.797 * red - 74.203 * green + 112 * blue
    v = 128 + 112 * red - 93.786 * green - 18.214 * blue
    y, u, v = (np.rint(plane).astype(np.uint8) for plane in (y, u, v))
    pairs = u[:, ::2], v[:, ::2]
    quarters = u[::2, ::2], v[::2, ::2]
    if encoding == "yuv422_yuy2":
        return [np.stack([y[:, ::2], pairs[0], y[:, 1::2], pairs[1]], axis=-1)]
    if encoding == "yuv422":
        return [np.stack([pairs[0], y[:, ::2], pairs[1], y[:, 1::2]], axis=-1)]
    if encoding == "nv21":
        return [y, np.stack(quarters[::-1], axis=-1)]
    if encoding == "nv24":
        return [y, np.stack([u, v], axis=-1)]
    return [y, *(plane.reshape(-1, rgb.shape[1]) for plane in quarters)]  # YUV420: two rows in one


def depth_message(layout: DepthLayout, depth_m, header=None):
    """Lay out metres, (H, W); NaN where nothing was measured."""
    none = np.isnan(depth_m)
    if layout.encoding == "32FC1":
        values = np.where(none, layout.none, depth_m).astype("<f4")
    else:
        values = np.where(none, layout.none, np.rint(1000 * depth_m)).astype("<u2")
    return Image(
        header=header or Header(),
        height=values.shape[0],
        width=values.shape[1],
        encoding=layout.encoding,
        step=values.strides[0],
        data=values.tobytes(),
    )


def camera_message(layout: CameraLayout, size, header=None):
    """Describe a lens."""
    values = {
        "k": K,
        "r": np.eye(3).ravel(),
        "p": (*K[:3], 0.0, *K[3:6], 0.0, *K[6:], 0.0),
        **layout.changes,
    }
    return CameraInfo(
        header=header or Header(),
        height=size[0],
        width=size[1],
        distortion_model=layout.distortion_model,
        d=list(layout.d),
        **{name: [float(number) for number in numbers] for name, numbers in values.items()},
    )


def bent(layout: CameraLayout, x, y):
    """Where a lens sends the ray (x, y, 1), by the formulas of OpenCV's documentation."""
    if layout.bends is None:
        return x, y
    k1, k2, p1, p2, k3, k4, k5, k6 = (*layout.d, 0.0, 0.0, 0.0, 0.0)[:8]
    radius2 = x * x + y * y
    if layout.bends == "equidistant":
        radius = np.sqrt(radius2)
        angle = np.arctan(radius)
        k1, k2, k3, k4 = layout.d[:4]
        angle *= 1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8
        return x * angle / radius, y * angle / radius
    radial = 1 + k1 * radius2 + k2 * radius2**2 + k3 * radius2**3
    if layout.bends == "rational_polynomial":
        radial /= 1 + k4 * radius2 + k5 * radius2**2 + k6 * radius2**3
    return (
        x * radial + 2 * p1 * x * y + p2 * (radius2 + 2 * x * x),
        y * radial + p1 * (radius2 + 2 * y * y) + 2 * p2 * x * y,
    )
