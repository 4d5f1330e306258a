"""What a network predicts."""

from __future__ import annotations

from enum import Enum


class Task(Enum):
    """What a network predicts for each pixel. One checkpoint may serve several, told apart by the prompt."""

    DEPTH = "depth"
    NORMALS = "normals"
