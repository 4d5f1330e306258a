"""Mutated calibrations: each gives a camera that can be used, or is refused; nothing else comes out.

How many are tried, `fuzz` tells: 300 always, 100,000 with E2E_DEPTH_STRESS=1.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import CameraInfo, RegionOfInterest

from e2e_depth_ros.core.rectifier import Rectifier
from e2e_depth_ros.ros.messages.camera_info import camera_from_message, message_from_camera
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from helpers.fuzzing import EXAMPLES, fuzz

LARGEST = 64  # side of an image that is rectified here; a camera of any size is read

SIZES = st.one_of(st.integers(0, 70), st.sampled_from([2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))
NUMBERS = st.one_of(
    st.floats(-500, 500),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 1e-300, 5e-324, 1e154, 1e308, -1e308, np.inf, -np.inf, np.nan]),
)
MODELS = st.one_of(
    st.sampled_from(["", "plumb_bob", "rational_polynomial", "equidistant", "thin_prism_fisheye", "fisheye"]),
    st.sampled_from(["radtan", "PLUMB_BOB", "none", "pinhole", "plumb_bob\n", "x" * 100_000]),
    st.text(max_size=5).map(lambda name: name.replace("\0", "")),
)
MUTATIONS = st.one_of(
    st.tuples(st.sampled_from(["height", "width", "binning_x", "binning_y"]), SIZES),
    st.tuples(st.sampled_from(["x_offset", "y_offset", "roi height", "roi width"]), SIZES),
    st.tuples(st.just("distortion_model"), MODELS),
    st.tuples(st.just("d"), st.lists(st.one_of(st.floats(-2, 2), NUMBERS), max_size=15)),
    st.tuples(st.sampled_from("krp"), st.tuples(st.integers(0, 11), NUMBERS)),
    st.tuples(st.sampled_from("krp"), NUMBERS),
)


def camera_info() -> CameraInfo:
    """A lens with distortion, 48 x 64."""
    return CameraInfo(
        height=48,
        width=64,
        distortion_model="plumb_bob",
        d=[-0.2, 0.05, 0.001, -0.001, 0.0],
        k=[60.0, 0.0, 31.5, 0.0, 61.0, 23.5, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[55.0, 0.0, 31.5, 0.0, 0.0, 56.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def mutate(message: CameraInfo, what: str, value: object) -> None:
    if what in "krp":
        numbers = np.array(getattr(message, what), dtype=np.float64)
        if isinstance(value, tuple):
            numbers[value[0] % len(numbers)] = value[1]
        else:
            numbers[:] = value
        setattr(message, what, numbers)
    elif what in {"x_offset", "y_offset", "roi height", "roi width"}:
        roi = message.roi
        parts = {name: getattr(roi, name) for name in ("x_offset", "y_offset", "height", "width")}
        message.roi = RegionOfInterest(**{**parts, what.removeprefix("roi "): value})
    else:
        setattr(message, what, value)


@fuzz(st.lists(MUTATIONS, max_size=4), examples=max(EXAMPLES, 300))
@pytest.mark.stress
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_mutated_calibration_is_a_camera_or_refused(mutations: list[tuple[str, object]]) -> None:
    message = camera_info()
    for what, value in mutations:
        mutate(message, what, value)
    try:
        camera = camera_from_message(message)
    except RefusedMessageError as refusal:
        assert refusal.reason.startswith("camera_info: ")  # noqa: PT017 - most are refused
        return
    written = message_from_camera(camera, message.header)
    for numbers in (camera.intrinsics, camera.rectification, written.k, written.r, written.p):
        assert np.isfinite(numbers).all()
    if max(camera.size) > LARGEST:
        return
    rectifier = Rectifier(camera)
    assert rectifier(np.full((*camera.size, 3), 9, np.uint8)).shape == (*camera.size, 3)
    assert rectifier.camera.size == camera.size
    assert np.isfinite(rectifier.camera.intrinsics).all()
