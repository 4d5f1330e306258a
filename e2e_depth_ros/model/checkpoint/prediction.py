"""What a checkpoint predicts, and what its numbers mean: as its index says, or its name, or the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.task import AUTO, DISPARITY, TASK_WORDS, Task

Axes = tuple[str, str, str]
"""Where x, y and z of decoded normals point."""

MARIGOLD_AXES: Axes = ("right", "up", "backward")
"""Where x, y and z of the normals point that Marigold's networks decode (Hypersim's own axes)."""

E2E_FT_AXES: Axes = ("left", "up", "backward")
"""The same of E2E-FT's: its training turns Hypersim's normals into the optical frame, then negates them."""

_OPTICAL_AXES: Final = (("right", "left"), ("down", "up"), ("forward", "backward"))
_MARIGOLD_ENTRIES: Final = (
    "prediction_type",
    "scale_invariant",
    "use_full_z_range",
    "default_denoising_steps",
)
_WORDS: Final = re.compile("disparity|depth|normal")


class Prediction(NamedTuple):
    """What a checkpoint predicts.

    Attributes:
        tasks: Each of them.
        depth_kind: What its depth means, if it predicts depth.
    """

    tasks: frozenset[Task]
    depth_kind: DepthKind = DepthKind.AFFINE_INVARIANT


def prediction_of(
    index: Mapping[str, Any], name: str, task: str = AUTO, *, is_joint: bool = False
) -> Prediction:
    """Tell what a checkpoint predicts.

    Args:
        index: Of model_index.json.
        name: Of the checkpoint; where the index is silent, a word in it may tell.
        task: What the user says, one of `TASK_WORDS`. It may leave out tasks, and tells where the index is
            silent; what the index says it can't change.
        is_joint: Whether the network predicts depth and normals together, whatever the index says.

    Raises:
        CheckpointError: The index says what nobody here knows, or nobody says what is predicted.
        InvalidInputError: The user says something else than the index, or there is no such word.
    """
    if task not in TASK_WORDS:
        raise InvalidInputError(f"expected a task among {', '.join(TASK_WORDS)}, got {task!r}")
    said = Prediction(frozenset(Task)) if is_joint else _said(index, name)
    if task == AUTO:
        return said or _named(name)
    asked = _of_word(task)
    if said is None:
        return asked
    known = said.depth_kind is DepthKind.AFFINE_INVARIANT_DISPARITY
    if not asked.tasks <= said.tasks or (Task.DEPTH in asked.tasks and known != (task == DISPARITY)):
        words = {other: DISPARITY if other is Task.DEPTH and known else other.value for other in said.tasks}
        raise InvalidInputError(
            f"{name} predicts {' and '.join(sorted(words.values()))} as it says itself: "
            f"expected task {', '.join([AUTO, *sorted(words.values())])}, got {task}"
        )
    return Prediction(asked.tasks, said.depth_kind)


def depth_kind_said(index: Mapping[str, Any], name: str) -> DepthKind:
    """Tell what depth means by the index; where it is silent, what all but a few predict.

    Raises:
        CheckpointError: It would be depth without a unit.
    """
    if index.get("prediction_type") == "disparity":
        return DepthKind.AFFINE_INVARIANT_DISPARITY
    scale, shift = index.get("scale_invariant"), index.get("shift_invariant")
    if scale is False:
        raise CheckpointError(
            f"{name}: expected depth that is scale-invariant, for without a unit 0..1 can't be absolute; "
            "got scale_invariant false"
        )
    return DepthKind.SCALE_INVARIANT if shift is False else DepthKind.AFFINE_INVARIANT


def axes_of(index: Mapping[str, Any], name: str, of_family: Axes | None = None) -> Axes:
    """Tell where the axes of decoded normals point.

    Args:
        index: Of model_index.json.
        name: Of the checkpoint.
        of_family: What the networks of its family decode; None where the index tells Marigold's from others.

    Raises:
        CheckpointError: The index names no axes.
    """
    axes = index.get("normals_axes")
    if axes is None and of_family is not None:
        return of_family
    if axes is None:
        # Marigold's index says how it predicts; that of E2E-FT's authors is silent.
        return MARIGOLD_AXES if any(entry in index for entry in _MARIGOLD_ENTRIES) else E2E_FT_AXES
    words = axes.split() if isinstance(axes, str) else []
    if len(words) != 3 or any(w not in pair for w, pair in zip(words, _OPTICAL_AXES, strict=True)):
        raise CheckpointError(f"{name}: expected normals_axes like 'right up backward', got {axes!r}")
    return words[0], words[1], words[2]


def signs_of(normals_axes: Axes) -> tuple[float, float, float]:
    """Return what turns normals of these axes into the camera optical frame, and back."""
    x, y, z = (
        1.0 if name == same else -1.0 for name, (same, _) in zip(normals_axes, _OPTICAL_AXES, strict=True)
    )
    return x, y, z


def _said(index: Mapping[str, Any], name: str) -> Prediction | None:
    """Read what the index says; None where it is silent."""
    kind = index.get("prediction_type")
    if kind not in {None, "depth", "disparity", "normals"}:
        raise CheckpointError(f"{name}: expected prediction_type depth, disparity or normals, got {kind!r}")
    if "tasks" in index:
        try:
            tasks = frozenset(Task(value) for value in index["tasks"])
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{name}: expected tasks like ['depth'], got {index['tasks']!r}") from error
        if not tasks:
            raise CheckpointError(f"{name}: expected tasks like ['depth'], got none")
        return Prediction(tasks, depth_kind_said(index, name))
    if kind == "normals" or index.get("use_full_z_range") is not None:
        return Prediction(frozenset({Task.NORMALS}))
    if kind is not None or index.get("scale_invariant") is not None:
        return Prediction(frozenset({Task.DEPTH}), depth_kind_said(index, name))
    return None


def _named(name: str) -> Prediction:
    """Read what the name says: "lotus-depth-d-v2-0-disparity" predicts disparity."""
    words = set(_WORDS.findall(name.lower()))
    if "normal" in words and len(words) == 1:
        return _of_word(Task.NORMALS.value)
    if words and "normal" not in words:
        return _of_word(DISPARITY if DISPARITY in words else Task.DEPTH.value)
    raise CheckpointError(
        f"{name}: expected an index or a name that says what it predicts, got neither; "
        f"give the task: {', '.join(TASK_WORDS[1:])} (--task, or the node's parameter task)"
    )


def _of_word(word: str) -> Prediction:
    if word == DISPARITY:
        return Prediction(frozenset({Task.DEPTH}), DepthKind.AFFINE_INVARIANT_DISPARITY)
    return Prediction(frozenset({Task(word)}))
