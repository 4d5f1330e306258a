"""Outputs, each declared once with all that publishers, policies and documentation need."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

from sensor_msgs.msg import Image


class Topic(Enum):
    """A topic that a node publishes; the value is its name, relative to the node's namespace.

    The parameters output_reliability and output_queue_size set the QoS of all. A node declares its own topics
    in a subclass.

    Attributes:
        message_type: ROS message class.
        content: Encoding of an Image, say "32FC1"; empty for other types.
        meaning: For the documentation, in Markdown.
    """

    message_type: Any
    content: str
    meaning: str

    def __new__(cls, name: str, message_type: Any, content: str, meaning: str, *_: Any) -> Topic:  # noqa: PYI034
        """Let the name alone be the value."""
        topic = object.__new__(cls)
        topic._value_ = name
        topic.message_type, topic.content, topic.meaning = message_type, content, meaning
        return topic

    @property
    def row(self) -> str:
        """The output's row in tables of the documentation."""
        kind = f"{self.message_type.__name__} {self.content}".strip()
        return f"| out | `{self.value}` | {kind} | {self.documented_meaning} |"

    @property
    def documented_meaning(self) -> str:
        """The meaning, and when it is published."""
        return self.meaning


AnyTopic = TypeVar("AnyTopic", bound=Topic)


class MaskOutput(Topic):
    """The mask node's topic."""

    MASK = "mask/image", Image, "mono8", "255 on what is masked"
