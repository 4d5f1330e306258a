"""Measurements that wait for their transform: TF is late by nature, and the worker must not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.ros.aligning.transforms import TransformError
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

_MOST: Final = 16
_MOST_BYTES: Final = 128_000_000

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Measurement(Generic[Found]):
    """What was measured for a frame, as yet without its place.

    Attributes:
        topic: Where it comes from, for refusals and the status.
        place: Looks up the transform and applies it. Raises TransformError as long as TF doesn't know it.
        memory: Bytes that it holds.
        unplaced: Why the first try failed.
    """

    topic: str
    place: Callable[[], Found]
    memory: int
    unplaced: TransformError


@dataclass(frozen=True, eq=False)
class Placed(Generic[Found]):
    """A measurement whose place is known by now.

    Attributes:
        frame_ns: Stamp of the frame it is of.
        relative: The network's depth of that frame, to which the measurement is to be fitted.
        image: (H, W, 3), RGB, that frame, as it was given.
        found: What `Measurement.place` returned.
    """

    frame_ns: int
    relative: DepthMap
    image: NDArray[np.uint8] | None
    found: Found


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[Found]):
    """A measurement with its frame, as `Placed` has it."""

    frame_ns: int
    relative: DepthMap
    image: NDArray[np.uint8] | None
    measurement: Measurement[Found]

    @property
    def memory(self) -> int:
        """Bytes that wait with it."""
        image = 0 if self.image is None else self.image.nbytes
        return self.relative.values.nbytes + self.relative.valid.nbytes + image + self.measurement.memory


class WaitingMeasurements(Generic[Found]):
    """Keeps measurements until TF knows their place, or for as long as they may wait. For one thread.

    Time is that of the frames, so that a recording may be played at any rate. Of more than memory is meant
    for, every second is let go: neighbours tell nearly the same.
    """

    def __init__(self) -> None:
        self._waiting: list[_Waiting[Found]] = []
        self._problem = ""

    def add(
        self,
        frame_ns: int,
        relative: DepthMap,
        measurement: Measurement[Found],
        image: NDArray[np.uint8] | None = None,
    ) -> list[RefusedMessageError]:
        """Let a measurement wait.

        Args:
            frame_ns: Stamp of its frame, not older than that of the last.
            relative: The network's depth of the frame.
            measurement: What was measured.
            image: (H, W, 3), RGB, the frame, if it will be needed.

        Returns:
            A refusal for each that had to be let go.
        """
        self._problem = f"{measurement.topic}: {measurement.unplaced}"
        self._waiting.append(_Waiting(frame_ns, relative, image, measurement))
        count = len(self._waiting)
        while len(self._waiting) > 1 and (len(self._waiting) > _MOST or self._memory > _MOST_BYTES):
            del self._waiting[1::2]
        detail = f"expected at most {count - 1} that wait for TF, got {count}; every second was let go"
        refusal = RefusedMessageError(f"{measurement.topic}: waiting", detail)
        return [refusal] * (count - len(self._waiting))

    def take_placed(
        self, now_ns: int, timeout_s: float
    ) -> tuple[list[Placed[Found]], list[RefusedMessageError]]:
        """Take the oldest measurement whose place is known by now, and a second one where many wait.

        To take few keeps a frame short when TF comes in bursts. As frames hardly add more than one each,
        they do not pile up.

        Args:
            now_ns: Stamp of the frame at hand.
            timeout_s: How long a measurement may wait. It is tried once more when that is over.

        Returns:
            The measurements, oldest first; and refusals of those that waited in vain.
        """
        placed: list[Placed[Found]] = []
        refusals: list[RefusedMessageError] = []
        most = 1 if len(self._waiting) <= _MOST // 2 else 2
        for entry in tuple(self._waiting):
            if len(placed) == most:
                break
            measurement = entry.measurement
            waited_s = (now_ns - entry.frame_ns) * 1e-9
            try:
                placed.append(Placed(entry.frame_ns, entry.relative, entry.image, measurement.place()))
            except TransformError as error:
                self._problem = f"{measurement.topic}: {error}"
                if error.may_come and waited_s <= timeout_s:
                    continue
                detail = f"{error} (waited {waited_s:.2f} s; transform_timeout is {timeout_s:g} s)"
                refusals.append(RefusedMessageError(f"{measurement.topic}: transform", detail))
            except RefusedMessageError as refusal:
                refusals.append(refusal)
            except InvalidInputError as error:
                refusals.append(RefusedMessageError(f"{measurement.topic}: content", str(error)))
            self._waiting.remove(entry)
        return placed, refusals

    def clear(self) -> None:
        """Let go of all."""
        self._waiting.clear()

    @property
    def status(self) -> str:
        """How many wait, and for what; empty if none do."""
        return f"{len(self._waiting)} wait for TF: {self._problem}" if self._waiting else ""

    @property
    def _memory(self) -> int:
        return sum(entry.memory for entry in self._waiting)
