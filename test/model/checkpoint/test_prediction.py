"""What a checkpoint predicts: its index says, or its name, or the user; the index goes first."""

from __future__ import annotations

from typing import Any

import pytest

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.checkpoint.prediction import Prediction, axes_of, prediction_of, signs_of
from e2e_depth_ros.model.task import Task

_DEPTH = Prediction(frozenset({Task.DEPTH}))
_DISPARITY = Prediction(frozenset({Task.DEPTH}), DepthKind.AFFINE_INVARIANT_DISPARITY)
_NORMALS = Prediction(frozenset({Task.NORMALS}))
_BOTH = Prediction(frozenset(Task))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("org/marigold-e2e-ft-depth", _DEPTH),
        ("Marigold-Normals", _NORMALS),
        ("org/lotus-normal-d-v1-1", _NORMALS),
        ("lotus-depth-d-v2-0-disparity", _DISPARITY),
        ("my_disparity", _DISPARITY),
    ],
)
def test_names_tell_where_the_index_is_silent(name: str, expected: Prediction) -> None:
    assert prediction_of({}, name) == expected
    assert prediction_of({"prediction_type": "depth"}, name) == _DEPTH


@pytest.mark.parametrize("name", ["org/tuned", "checkpoint", "depth-and-normals"])
def test_what_nobody_says_is_refused_until_the_user_does(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"give the task: depth, disparity, normals \(--task, or"):
        prediction_of({}, name)
    assert prediction_of({}, name, "depth") == _DEPTH
    assert prediction_of({}, name, "disparity") == _DISPARITY
    assert prediction_of({}, name, "normals") == _NORMALS


def test_the_user_goes_before_the_name() -> None:
    assert prediction_of({}, "e2e-ft-depth", "normals") == _NORMALS


@pytest.mark.parametrize(
    ("index", "task", "message"),
    [
        (
            {"prediction_type": "normals"},
            "depth",
            "predicts normals .* expected task auto, normals, got depth",
        ),
        ({"prediction_type": "depth"}, "disparity", "predicts depth .* got disparity"),
        ({"prediction_type": "disparity"}, "depth", "predicts disparity .* got depth"),
        ({"tasks": ["depth", "normals"]}, "disparity", "predicts depth and normals .* got disparity"),
        ({}, "albedo", "a task among auto, depth, disparity, normals, got 'albedo'"),
    ],
)
def test_nobody_contradicts_the_index(index: dict[str, Any], task: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        prediction_of(index, "checkpoint", task)


def test_the_user_may_leave_out_a_task() -> None:
    assert prediction_of({"tasks": ["depth", "normals"]}, "checkpoint") == _BOTH
    assert prediction_of({"tasks": ["depth", "normals"]}, "checkpoint", "normals") == _NORMALS
    assert prediction_of({}, "geowizard", is_joint=True) == _BOTH
    assert prediction_of({}, "geowizard", "depth", is_joint=True) == _DEPTH
    with pytest.raises(InvalidInputError, match="predicts depth and normals"):
        prediction_of({}, "geowizard", "disparity", is_joint=True)


def test_axes_turn_into_the_optical_frame() -> None:
    assert signs_of(axes_of({}, "e2e-ft")) == (-1, -1, -1)
    assert signs_of(axes_of({"use_full_z_range": True}, "marigold")) == (1, -1, -1)
    assert signs_of(axes_of({}, "geowizard", ("right", "down", "forward"))) == (1, 1, 1)
    assert axes_of({"normals_axes": "left down forward"}, "x", ("right", "down", "forward")) == (
        "left",
        "down",
        "forward",
    )
