"""Mutated clouds: each is read as a plain reader would, or refused; nothing else comes out.

How many are tried, `fuzz` tells: 500 always, 100,000 with E2E_DEPTH_STRESS=1.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import strategies as st

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import PointCloud2, PointField

from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from helpers.fuzzing import EXAMPLES, fuzz

SIZES = st.one_of(st.integers(0, 20), st.sampled_from([2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1]))
NAMES = st.one_of(st.sampled_from(["x", "y", "z", "X", "rgb", "intensity", "x ", ""]), st.text(max_size=4))
FIELDS = st.builds(
    lambda name, offset, datatype, count: PointField(
        name=name.replace("\0", ""), offset=offset, datatype=datatype, count=count
    ),
    NAMES,
    SIZES,
    st.one_of(st.sampled_from([7, 8]), st.integers(0, 255)),
    st.one_of(st.sampled_from([0, 1]), SIZES),
)
MUTATIONS = st.one_of(
    st.tuples(st.sampled_from(["height", "width", "point_step", "row_step"]), SIZES),
    st.tuples(st.sampled_from(["is_bigendian", "is_dense"]), st.booleans()),
    st.tuples(st.just("fields"), st.lists(FIELDS, max_size=5)),
    st.tuples(st.just("add"), FIELDS),
    st.tuples(st.just("replace"), st.tuples(st.integers(0, 2), FIELDS)),
    st.tuples(st.just("offset"), st.tuples(st.integers(0, 2), st.integers(0, 16))),
    st.tuples(st.just("data"), st.binary(max_size=600)),
    st.tuples(st.just("cut"), st.integers(0, 200)),
)


def cloud() -> PointCloud2:
    """3 rows of 4 points, 16 bytes each, and 5 bytes between rows."""
    numbers = np.random.default_rng(0).normal(size=60).astype("<f4").tobytes()
    return PointCloud2(
        height=3,
        width=4,
        fields=[PointField(name=name, offset=4 * at, datatype=7, count=1) for at, name in enumerate("xyz")],
        point_step=16,
        row_step=69,
        data=numbers[: 3 * 69],
    )


def mutate(message: PointCloud2, what: str, value: object) -> None:
    if what == "add":
        message.fields = [*message.fields, value]
    elif what == "cut":
        message.data = bytes(message.data)[: -value or None]
    elif what in {"replace", "offset"}:
        index, change = value
        if index < len(message.fields):
            if what == "offset":
                message.fields[index].offset = change
            else:
                message.fields[index] = change
    else:
        setattr(message, what, value)


def read_plainly(message: PointCloud2) -> np.ndarray:
    """Read point by point with `struct`, which refuses to read outside of the data."""
    data, order = bytes(message.data), ">" if message.is_bigendian else "<"
    fields = {field.name: field for field in message.fields}
    points = [
        [
            struct.unpack_from(
                order + {7: "f", 8: "d"}[fields[name].datatype],
                data,
                row * message.row_step + column * message.point_step + fields[name].offset,
            )[0]
            for name in "xyz"
        ]
        for row in range(message.height)
        for column in range(message.width)
    ]
    with np.errstate(all="ignore"):
        return np.array(points).reshape(-1, 3).astype(np.float32)


@fuzz(st.lists(MUTATIONS, max_size=4), examples=max(EXAMPLES, 500))
@pytest.mark.stress
def test_a_mutated_cloud_is_read_rightly_or_refused(mutations: list[tuple[str, object]]) -> None:
    message = cloud()
    for what, value in mutations:
        mutate(message, what, value)
    try:
        points = points_from_message(message)
    except RefusedMessageError as refusal:
        assert refusal.reason.startswith("cloud: ")  # noqa: PT017 - most are refused
        assert len(str(refusal)) < 500  # noqa: PT017
        return
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, read_plainly(message))
