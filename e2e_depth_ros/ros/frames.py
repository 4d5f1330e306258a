"""Names of coordinate frames, as headers and parameters give them."""

from __future__ import annotations


def frame_name(frame_id: str) -> str:
    """Return a frame's name as tf2 has it, without the leading `/` that ROS 1 gave it and some still send."""
    return frame_id.lstrip("/")


def same_frame(first: str, second: str) -> bool:
    """Tell whether two frame_ids name one frame."""
    return frame_name(first) == frame_name(second)


def may_be_same_frame(first: str, second: str) -> bool:
    """Tell whether two frame_ids do not name two frames: an empty one says nothing."""
    return not frame_name(first) or not frame_name(second) or same_frame(first, second)
