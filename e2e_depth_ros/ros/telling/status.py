"""What the node says of its model and of its alignment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Final

from diagnostic_msgs.msg import DiagnosticStatus

from e2e_depth_ros.alignment.result import Alignment
from e2e_depth_ros.ros.telling.diagnostics import make_status

_LEVELS: Final = {
    "fresh": DiagnosticStatus.OK,
    "held": DiagnosticStatus.WARN,
    "degraded": DiagnosticStatus.WARN,
    "lost": DiagnosticStatus.ERROR,
}
_STALE_S: Final = 3.0  # without a new frame for longer than this, an alignment is history


class Activity(Enum):
    """What a node that has a model does with it."""

    INACTIVE = "inactive"
    DISABLED = "disabled"
    ACTIVE = "active"
    DEAD = "the worker thread has ended: no image is processed; deactivate and activate the node"


def model_status(node_name: str, facts: Mapping[str, object], activity: Activity) -> DiagnosticStatus:
    """Say which model is loaded and whether it works.

    Args:
        node_name: Whose model it is.
        facts: Of the model; empty where none is loaded.
        activity: What is done with it.
    """
    name = f"{node_name}: model"
    if not facts:
        return make_status(name, DiagnosticStatus.WARN, "not configured", {})
    level = DiagnosticStatus.ERROR if activity is Activity.DEAD else DiagnosticStatus.OK
    return make_status(name, level, activity.value, facts)


def last_alignment_status(node_name: str, alignment: Alignment | None, since_s: float) -> DiagnosticStatus:
    """Say for /diagnostics how the last frame was aligned.

    Args:
        node_name: Whose alignment it is.
        alignment: Of the last frame; None where nothing asked for it.
        since_s: How long ago that was.
    """
    name = f"{node_name}: alignment"
    if alignment is None:
        reason = "not computed: no one subscribes to a metric topic or alignment/status"
        return make_status(name, DiagnosticStatus.OK, reason, {})
    if since_s > _STALE_S:
        message = f"no frame for {since_s:.0f} s; at the last it was {alignment.state.value}"
        return make_status(name, DiagnosticStatus.WARN, message, {})
    return status_from_alignment(node_name, alignment)


def status_from_alignment(node_name: str, alignment: Alignment) -> DiagnosticStatus:
    """Describe the alignment of a frame, for alignment/status and /diagnostics alike."""
    state = alignment.state.value
    level = _LEVELS[state]
    if state == "lost" and math.isinf(alignment.age_s):
        level = DiagnosticStatus.WARN  # nothing is wrong where nobody measures metres
    values = {
        "state": state,
        "source": alignment.source,
        "scale": f"{alignment.scale:.6g}",
        "shift_m": f"{alignment.shift_m:.6g}",
        "samples_used": alignment.samples_used,
        "samples_dropped": sum(alignment.samples_dropped.values()),
        **{f"samples_dropped/{reason}": count for reason, count in alignment.samples_dropped.items()},
        "inlier_ratio": f"{alignment.inlier_ratio:.3f}",
        "residual": f"{alignment.residual:.4g}",
        "condition": f"{alignment.condition:.4g}",
        "age_s": f"{alignment.age_s:.3f}",
    }
    return make_status(f"{node_name}: alignment", level, f"{state}: {alignment.reason}", values)
