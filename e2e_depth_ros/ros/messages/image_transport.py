"""Where an image comes by a transport, and as what: the names of ROS's image_transport."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import CompressedImage, Image


def transport_type(transport: str) -> Any:
    """Return the message type of a transport: raw, compressed or compressedDepth."""
    return Image if transport == "raw" else CompressedImage


def transport_topic(node: Any, name: str, transport: str) -> str:
    """Name a topic after remapping: the transport goes behind the remapped name.

    It doesn't where the transport's own topic is remapped, or where the name ends with the transport already.

    Args:
        node: The one that subscribes.
        name: Of the raw topic, as the node knows it.
        transport: raw, compressed or compressedDepth.
    """
    base = str(node.resolve_topic_name(name))
    if transport == "raw":
        return base
    own = f"{name}/{transport}"
    resolved = str(node.resolve_topic_name(own))
    if resolved != node.resolve_topic_name(own, only_expand=True):
        return resolved
    return base if base.endswith(f"/{transport}") else f"{base}/{transport}"
