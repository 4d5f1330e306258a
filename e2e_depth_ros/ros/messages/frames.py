"""Names of coordinate frames, as headers and parameters give them."""

from __future__ import annotations

from typing import Any

from e2e_depth_ros.ros.messages.refusal import RefusedMessageError


def frame_name(frame_id: str) -> str:
    """Return a frame's name as tf2 has it, without the leading `/` that ROS 1 gave it and some still send."""
    return frame_id.lstrip("/")


def same_frame(first: str, second: str) -> bool:
    """Tell whether two frame_ids name one frame."""
    return frame_name(first) == frame_name(second)


def may_be_same_frame(first: str, second: str) -> bool:
    """Tell whether two frame_ids do not name two frames: an empty one says nothing."""
    return not frame_name(first) or not frame_name(second) or same_frame(first, second)


def check_frame(what: str, header: Any, image_header: Any, hint: str = "") -> None:
    """Refuse a message that is of another frame than its image.

    Args:
        what: What refusals call the message.
        header: Its own.
        image_header: The image's.
        hint: Said behind what was expected and what arrived.

    Raises:
        RefusedMessageError: Names both frames.
    """
    if not may_be_same_frame(header.frame_id, image_header.frame_id):
        raise RefusedMessageError(
            f"{what}: frame",
            f"expected the image's frame_id {image_header.frame_id!r}, got {header.frame_id!r}{hint}",
        )
