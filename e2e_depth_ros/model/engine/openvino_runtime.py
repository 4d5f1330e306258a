"""Graphs run by OpenVINO, on Intel's CPUs and others."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
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


class OpenVino:
    """OpenVINO on the CPU.

    Args:
        precision: "float32" alone. In bfloat16 OpenVINO 2026.4 gave maps that were off by up to 0.9 of their
            range, for some pictures and numbers of threads; torch has bfloat16.
        threads: At most.

    Raises:
        MissingDependencyError: The library isn't installed, or too old.
        InvalidInputError: The precision is another.
    """

    def __init__(self, precision: str = "float32", threads: int = 1) -> None:
        self._core = _core()
        if precision != "float32":
            raise InvalidInputError(
                f"expected dtype float32 with engine openvino, whose other formats gave wrong maps; got "
                f"{precision!r}, which engine torch has"
            )
        self.place = Place(OPENVINO, "cpu", precision, threads)
        self._config = {
            "INFERENCE_PRECISION_HINT": "f32",  # not what the CPU would be fastest in
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }

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
        return _OpenVinoSession(self._core, model, self._config)


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
    return openvino.Core()


class _OpenVinoSession:
    def __init__(self, core: Any, model: Any, config: Mapping[str, Any]) -> None:
        self._core = core
        self._model = model
        self._config = config
        # An output has several names: that of the node which makes it is one.
        self._tasks = [self._task(output.get_names()) for output in model.outputs]
        self._requests: dict[tuple[int, ...], Any] = {}

    def run(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """See `Session`."""
        results = self._request(pixels.shape).infer([pixels], share_inputs=True)
        # Copies: the next frame overwrites what belongs to the request.
        return {task: np.array(results[i]) for i, task in enumerate(self._tasks)}

    @staticmethod
    def _task(names: Collection[str]) -> str:
        return next(task.value for task in Task if task.value in names)

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Compile for one shape: a graph of fixed shape is faster than one of any."""
        if shape not in self._requests:
            if len(self._requests) >= _SHAPES_KEPT:
                del self._requests[next(iter(self._requests))]
            fixed = self._model.clone()
            fixed.reshape(list(shape))
            with _whole_processor():
                compiled = self._core.compile_model(fixed, "CPU", self._config)
            self._requests[shape] = compiled.create_infer_request()
        return self._requests[shape]


@contextmanager
def _whole_processor() -> Iterator[None]:
    """Hide from OpenVINO what limits its oneDNN: its own kernels ignore that, and the two crash together."""
    limit = os.environ.pop(_LIMIT, None)
    try:
        yield
    finally:
        if limit is not None:
            os.environ[_LIMIT] = limit
