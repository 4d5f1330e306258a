"""Graphs run by ONNX Runtime: on any CPU, and on GPUs where its packages for them are installed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, MissingDependencyError, first_line
from e2e_depth_ros.model.engine.engine import ONNX, Place
from e2e_depth_ros.model.engine.graph_engine import PIXELS, Session

PROVIDERS: Final[Mapping[str, str]] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""What a device is called here, and in ONNX Runtime."""

_SPINS_BRIEFLY: Final = (1, 26)  # the version since which it can be told for how long threads spin
_LAYER_US: Final = 100

_DEVICE: Final = re.compile(r"cpu|(cuda|tensorrt)(:\d{1,3})?")


class OnnxRuntime:
    """ONNX Runtime on one device.

    Args:
        device: "cpu", "cuda", "cuda:N", "tensorrt" or "tensorrt:N".
        precision: Of the graphs.
        threads: On the CPU.

    Raises:
        MissingDependencyError: The library isn't installed.
        InvalidInputError: It has no such device.
    """

    def __init__(self, device: str = "cpu", precision: str = "float32", threads: int = 1) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - optional on a robot
        except ImportError as error:
            raise MissingDependencyError(
                f"engine onnx needs ONNX Runtime: pip install onnxruntime ({first_line(error)})"
            ) from error
        self._library: Any = onnxruntime
        kind, _, number = device.partition(":")
        available = onnxruntime.get_available_providers()
        if PROVIDERS.get(kind) not in available or not _DEVICE.fullmatch(device):
            known = [name for name, provider in PROVIDERS.items() if provider in available]
            raise InvalidInputError(
                f"expected a device that this ONNX Runtime has, {', '.join(known)}, got {device!r}"
            )
        self.place = Place(ONNX, device, precision, threads if kind == "cpu" else None)
        self._providers = self._provider_list(kind, int(number or 0))
        self._threads = threads

    def load(self, graph: Path) -> Session:
        """See `Runtime`.

        Raises:
            CheckpointError: The library refuses the graph.
        """
        options = self._library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3  # what it warns of, such as threads it may not pin, nobody can change
        for key, value in spinning(self._library.__version__).items():
            options.add_session_config_entry(key, value)
        try:
            session = self._library.InferenceSession(str(graph), options, providers=self._providers)
        except Exception as error:  # its own classes, of which there are many
            raise CheckpointError(f"{graph}: ONNX Runtime can't load it ({first_line(error)})") from error
        return _OnnxSession(session)

    def _provider_list(self, kind: str, number: int) -> Sequence[Any]:
        on_gpu = {"device_id": number}
        if kind == "cpu":
            return [PROVIDERS["cpu"]]
        cuda = (PROVIDERS["cuda"], on_gpu)
        if kind == "cuda":
            return [cuda, PROVIDERS["cpu"]]
        cache = (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "e2e_depth_ros" / "tensorrt"
        )
        cache.mkdir(parents=True, exist_ok=True)
        built = {
            **on_gpu,
            "trt_engine_cache_enable": True,  # to build one takes minutes
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": str(cache),
            "trt_fp16_enable": self.place.precision == "float16",
        }
        return [(PROVIDERS["tensorrt"], built), cuda, PROVIDERS["cpu"]]


def spinning(version: str) -> Mapping[str, str]:
    """Say how threads of an ONNX Runtime wait for work.

    Those that sleep between two layers wake up late: on two cores that made a pass of the embedded model 15 %
    longer. Those that spin on after a pass take the time of whatever else runs: the camera's messages, for
    one. So they spin for as long as a layer takes, where that can be said.
    """
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _SPINS_BRIEFLY:
        return {"session.intra_op.allow_spinning": "0"}
    return {"session.intra_op.allow_spinning": "1", "session.intra_op.spin_duration_us": str(_LAYER_US)}


class _OnnxSession:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """See `Session`."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {PIXELS: pixels}), strict=True))
