"""What the node says of its model and of its alignment, and how grave it is."""

import numpy as np
import pytest

pytest.importorskip("diagnostic_msgs", reason="ROS 2 message packages are not installed")

from diagnostic_msgs.msg import DiagnosticStatus

from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.ros.telling.status import (
    Activity,
    last_alignment_status,
    model_status,
    status_from_alignment,
)


@pytest.mark.parametrize(
    ("facts", "activity", "level", "message"),
    [
        ({}, Activity.INACTIVE, DiagnosticStatus.WARN, "not configured"),
        ({"model": "m"}, Activity.INACTIVE, DiagnosticStatus.OK, "inactive"),
        ({"model": "m"}, Activity.ACTIVE, DiagnosticStatus.OK, "active"),
        ({"model": "m"}, Activity.DISABLED, DiagnosticStatus.OK, "disabled"),
        ({"model": "m"}, Activity.DEAD, DiagnosticStatus.ERROR, Activity.DEAD.value),
    ],
)
def test_model_status(facts, activity, level, message):
    status = model_status("depth", facts, activity)
    assert (status.name, status.level, status.message) == ("depth: model", level, message)
    assert {entry.key: entry.value for entry in status.values} == facts


def test_an_alignment_of_long_ago_is_not_told_as_if_it_were_now():
    alignment = Alignment(None, 2.0, 1.0, AlignmentState.FRESH, "fine", "sparse_points")
    assert last_alignment_status("depth", alignment, 0.2).message == "fresh: fine"
    status = last_alignment_status("depth", alignment, 7.0)
    assert (status.level, status.message) == (
        DiagnosticStatus.WARN,
        "no frame for 7 s; at the last it was fresh",
    )
    assert "not computed" in last_alignment_status("depth", None, 0.0).message


@pytest.mark.parametrize(
    ("state", "age_s", "level"),
    [
        (AlignmentState.FRESH, 0.0, DiagnosticStatus.OK),
        (AlignmentState.HELD, 1.0, DiagnosticStatus.WARN),
        (AlignmentState.DEGRADED, 0.0, DiagnosticStatus.WARN),
        (AlignmentState.LOST, 9.0, DiagnosticStatus.ERROR),
        (AlignmentState.LOST, np.inf, DiagnosticStatus.WARN),
    ],
)
def test_status_tells_state_and_reason(state, age_s, level):
    alignment = Alignment(
        depth=None,
        scale=2.5,
        shift_m=0.75,
        state=state,
        reason="because",
        source="sparse_points",
        samples_used=80,
        samples_dropped={"behind_camera": 3, "too_far": 4},
        inlier_ratio=0.9,
        age_s=age_s,
    )
    status = status_from_alignment("front/depth", alignment)
    values = {entry.key: entry.value for entry in status.values}
    assert (status.level, status.name) == (level, "front/depth: alignment")
    assert status.message == f"{state.value}: because"
    assert (values["scale"], values["shift_m"], values["inlier_ratio"]) == ("2.5", "0.75", "0.900")
    assert (values["samples_used"], values["samples_dropped"]) == ("80", "7")
    assert values["samples_dropped/behind_camera"] == "3"
