"""What a network predicts."""

from __future__ import annotations

from enum import Enum


class Task(Enum):
    """What a network predicts for each pixel. One checkpoint may serve several, told apart by the prompt."""

    DEPTH = "depth"
    NORMALS = "normals"


AUTO = "auto"
"""The word for what a checkpoint says itself."""

DISPARITY = "disparity"
"""The word for depth that comes as its inverse."""

TASK_WORDS = (AUTO, Task.DEPTH.value, DISPARITY, Task.NORMALS.value)
"""What a user may say that a checkpoint predicts."""
