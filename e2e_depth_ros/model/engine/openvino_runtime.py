"""Graphs run by OpenVINO, on Intel's CPUs and others, in bfloat16 where they have it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import (
    CheckpointError,
    InvalidInputError,
    MissingDependencyError,
    first_line,
    one_line,
)
from e2e_depth_ros.model.engine.engine import OPENVINO, Place
from e2e_depth_ros.model.engine.graph_engine import Session
from e2e_depth_ros.model.task import Task

_MIN_VERSION: Final = (2026, 1)  # 2024 refuses the graphs; 2025.2 to 2026.0 compute something else
_LIMIT: Final = "ONEDNN_MAX_CPU_ISA"
_SHAPES_KEPT: Final = 4  # compiled for each; a camera has one
_EXACT: Final = "float32"
_HINTS: Final = {_EXACT: "f32", "bfloat16": "bf16"}
_LEAST_PX: Final = 72
"""The shortest edge of an image in bfloat16, pixels: a UNet that halves maps of an eighth thrice has two
columns left from here on; see `has_lone_column`. Smaller maps were wrong in other ways, too."""
_TOLERANCE: Final = 0.025
"""How far decoded values of -1..1 may be from float32 in the mean, on noise. Rounding moved them by 0.008
(the embedded model) to 0.021 (random networks), wrong kernels, which wrote what lay in memory, by 0.0254
and more."""


class OpenVino:
    """OpenVINO on the CPU.

    Args:
        precision: "float32", or "bfloat16" where the CPU has it. Some kernels for that are wrong, so images
            below `_LEAST_PX` run in float32, and larger ones are compared with it before they run.
        threads: At most.

    Raises:
        MissingDependencyError: The library isn't installed, or too old.
        InvalidInputError: The CPU has no such precision.
    """

    def __init__(self, precision: str = "float32", threads: int = 1) -> None:
        self._core = _core()
        # Asked only where it matters: to answer, OpenVINO loads what it has for the CPU.
        if precision != _EXACT and (precision not in _HINTS or not has_bfloat16()):
            known = [name for name in _HINTS if name == _EXACT or has_bfloat16()]
            raise InvalidInputError(
                f"expected dtype {' or '.join(known)}, which OpenVINO has on this CPU, got {precision!r}"
            )
        self.place = Place(OPENVINO, "cpu", precision, threads)
        self._threads = threads

    def load(self, graph: Path) -> Session:
        """See `Runtime`.

        Raises:
            CheckpointError: The library refuses the graph.
        """
        try:
            model = self._core.read_model(str(graph))
        except RuntimeError as error:
            # It begins with the place in its own source; the reason comes last.
            reason = str(error).strip().rpartition("\n")[2]
            raise CheckpointError(f"{graph}: OpenVINO can't load it ({one_line(reason, 300)})") from error
        return _OpenVinoSession(self._core, model, self.place.precision, self._threads)


def has_bfloat16() -> bool:
    """Tell whether OpenVINO computes in bfloat16 on this CPU.

    Raises:
        MissingDependencyError: It isn't installed, or too old.
    """
    with _whole_processor():
        return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _core() -> Any:
    try:
        import openvino  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingDependencyError(
            f"engine openvino needs OpenVINO: pip install openvino ({first_line(error)})"
        ) from error
    version = tuple(int(part) for part in re.findall(r"\d+", openvino.__version__)[:2])
    if version < _MIN_VERSION:
        raise MissingDependencyError(
            f"engine openvino needs OpenVINO {'.'.join(map(str, _MIN_VERSION))} or later, got "
            f"{openvino.__version__}: pip install -U openvino"
        )
    return _only_core(openvino)


@cache
def _only_core(openvino: Any) -> Any:
    """Make one core for all, which lasts as long as the process.

    On a CPU with AMX a core gives its thread a stack for signals, and takes it back when it goes. Of two, the
    one that goes last puts back the other's, which is gone by then: the next signal, SIGTERM say, ends the
    process.
    """
    return openvino.Core()


class _OpenVinoSession:
    def __init__(self, core: Any, model: Any, precision: str, threads: int) -> None:
        self._core = core
        self._model = model
        self._precision = precision
        self._threads = threads
        # An output has several names: that of the node which makes it is one.
        self._tasks = [self._task(output.get_names()) for output in model.outputs]
        self._requests: dict[tuple[int, ...], Any] = {}

    def run(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """See `Session`.

        Raises:
            InvalidInputError: In bfloat16 OpenVINO computes something else of images of this size.
        """
        request = self._request(pixels.shape)
        if isinstance(request, InvalidInputError):
            raise request
        return dict(zip(self._tasks, _infer(request, pixels), strict=True))

    @staticmethod
    def _task(names: Collection[str]) -> str:
        return next(task.value for task in Task if task.value in names)

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Compile for one shape: a graph of fixed shape is faster than one of any.

        Returns:
            What computes it, or why it is refused: a camera sends the next frame at once.
        """
        if shape not in self._requests:
            if len(self._requests) >= _SHAPES_KEPT:
                del self._requests[next(iter(self._requests))]
            is_exact = self._precision == _EXACT or min(shape[2:]) < _LEAST_PX
            self._requests[shape] = self._compiled(shape, _EXACT) if is_exact else self._checked(shape)
        return self._requests[shape]

    def _compiled(self, shape: tuple[int, ...], precision: str) -> Any:
        fixed = self._model.clone()
        fixed.reshape(list(shape))
        config = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],  # else what the CPU would be fastest in
            "INFERENCE_NUM_THREADS": self._threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        with _whole_processor():
            return self._core.compile_model(fixed, "CPU", config).create_infer_request()

    def _checked(self, shape: tuple[int, ...]) -> Any:
        """Compile in another precision, and compare it with float32: not every shape meets right kernels.

        Returns:
            See `_request`.
        """
        images = _test_images(shape)
        expected = _answers(self._compiled(shape, _EXACT), images)  # which is gone before the other one comes
        request = self._compiled(shape, self._precision)
        for answers, exact in zip(_answers(request, images), expected, strict=True):
            for task, found, right in zip(self._tasks, answers, exact, strict=True):
                difference = float(np.abs(found - right).mean())
                if not difference <= _TOLERANCE:  # nor NaN
                    return InvalidInputError(
                        f"OpenVINO computes {task} of {shape[3]}x{shape[2]} pixels wrongly in "
                        f"{self._precision}, by {difference:.2g} in the mean: take dtype float32, or export "
                        "the model again, as older graphs met more of OpenVINO's faults"
                    )
        return request


def _answers(request: Any, images: Sequence[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
    return [_infer(request, pixels) for pixels in images]


def _infer(request: Any, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return each output: copies, as the next frame overwrites what belongs to the request."""
    results = request.infer([pixels], share_inputs=True)
    return [np.array(results[i]) for i in range(len(results))]


def _test_images(shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Return noise, thrice: what a wrong kernel reads may be what was there before.

    Not a plain image: there a network's answer hangs on its last bits, and right kernels differ, too.
    """
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, shape).astype(np.float32) for _ in range(3)]


@contextmanager
def _whole_processor() -> Iterator[None]:
    """Hide from OpenVINO what limits its oneDNN: its own kernels ignore that, and the two crash together."""
    limit = os.environ.pop(_LIMIT, None)
    try:
        yield
    finally:
        if limit is not None:
            os.environ[_LIMIT] = limit
