"""What is known of an input on which nothing comes."""

from __future__ import annotations

from typing import NamedTuple


class Silence(NamedTuple):
    """An input that hears nothing.

    Attributes:
        words: Since when or why, for people.
        since_s: How long it lasts.
        publishers: How many there are.
        is_fault: Whether they can't be heard: another type, or an incompatible QoS.
    """

    words: str
    since_s: float
    publishers: int
    is_fault: bool
