"""Measurements none of which is of use: the words say which mistake that usually is."""

import numpy as np
import pytest

from e2e_depth_ros.alignment import align
from e2e_depth_ros.alignment.shortfall import shortfall

LIMITS = "sparse_min_depth", "sparse_max_depth"


@pytest.mark.parametrize(
    ("source", "dropped", "facts"),
    [
        ("sparse_points", {}, ["0 points"]),
        ("sparse_points", {"behind_camera": 0}, ["0 points"]),
        ("sparse_depth", {}, ["no pixel"]),
        ("sparse_points + sparse_depth", {}, ["0 samples"]),
        ("sparse_points", {"not_finite": 9}, ["9 points, all NaN"]),
        ("sparse_points", {"behind_camera": 400}, ["400 points, all behind", "optical?"]),
        ("sparse_points", {"too_far": 308}, ["all 308 ", "sparse_max_depth", "millimetres?"]),
        ("sparse_depth", {"too_far": 308}, ["all 308 ", "sparse_max_depth", "millimetres?"]),
        ("sparse_depth", {"too_near": 5}, ["all 5 ", "sparse_min_depth", "metres"]),
        ("sparse_points", {"outside_image": 7}, ["7 points, all outside", "pose"]),
        ("sparse_depth", {"masked": 4}, ["4 samples, all masked"]),
        ("sparse_points", {"some_new": 4}, ["4 points, all some_new"]),
        ("sparse_points", {"not_finite": 600, "behind_camera": 400}, ["400 points, all behind", "600 NaN"]),
        (  # the largest part comes first
            "sparse_points",
            {"outside_image": 10, "behind_camera": 250, "occluded": 1, "not_finite": 3},
            ["261 points", "250 behind", "10 outside", "1 hidden", "3 NaN"],
        ),
    ],
)
def test_source_counts_and_parameters_are_named(source, dropped, facts):
    words = shortfall(source, dropped, LIMITS)
    assert words.startswith(f"{source}: ")
    places = [words.find(fact) for fact in facts]
    assert -1 not in places, words
    assert places == sorted(places), words


@pytest.mark.parametrize(
    ("depth_m", "words"),
    [
        (2500.0, "samples: all 9 samples beyond max_depth_m: millimetres?"),
        (np.nan, "samples: 9 samples, all NaN, infinite or 0"),
        (-2.0, "samples: 9 samples, all behind the camera: is the frame optical?"),
        (0.05, "samples: all 9 samples nearer than min_depth_m"),
    ],
)
def test_one_image_tells_why_no_sample_is_left(depth_m, words):
    relative = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    alignment = align(relative, np.arange(9), np.arange(9), np.full(9, depth_m))

    assert alignment.depth is None
    assert words in alignment.reason
