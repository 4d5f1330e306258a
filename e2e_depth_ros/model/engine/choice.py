"""Which engine runs a model: the one that the user names, or the fastest that gives the same result."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from e2e_depth_ros.core.errors import InvalidInputError, MissingDependencyError
from e2e_depth_ros.core.given_numbers import is_whole
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.engine.engine import ENGINES, FASTEST, ONNX, OPENVINO, TORCH, Engine
from e2e_depth_ros.model.engine.exported import ExportedFacts, ExportedModel, find_exported
from e2e_depth_ros.model.engine.graph_engine import GraphEngine
from e2e_depth_ros.model.sampling import DEFAULT_SAMPLING, Sampling
from e2e_depth_ros.model.task import AUTO, DISPARITY, Task
from e2e_depth_ros.model.threads import MAX_THREADS, threads_beside_messages, usable_cores

_LIBRARIES = {ONNX: "onnxruntime", OPENVINO: "openvino"}
_GPUS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/kfd")


def load_engine(
    name: str,
    model: str | Path,
    *,
    revision: str | None = None,
    task: str = AUTO,
    device: str = "auto",
    dtype: str = "auto",
    num_threads: int | None = None,
    padded_prompt: bool = False,
    sampling: Sampling | None = None,
    compiled: bool = False,
) -> Engine:
    """Load a model into an engine; see `Estimator.load`.

    "auto" runs an exported model, such as the embedded one, by ONNX Runtime, or by OpenVINO in bfloat16 or
    where only that is installed; everything else, and a GPU where there is one, by torch.

    Args:
        name: One of `ENGINES`.
        model: See `Estimator.load`, as the rest.
        revision: Of a hub id.
        task: What a checkpoint predicts, where its configs don't say.
        device: Where to run.
        dtype: Number format.
        num_threads: On the CPU; None as the engine finds fit.
        padded_prompt: Ask by the prompt of 77 tokens.
        sampling: How to sample; None for the defaults.
        compiled: Let torch compile the network.

    Raises:
        CheckpointError: The model is missing, incomplete, or has no graphs and the engine needs them.
        InvalidInputError: An argument is impossible.
        MissingDependencyError: The engine's library isn't installed.
    """
    _check(name, model, device, num_threads, sampling)
    exported = find_exported(model)
    wishes = _wishes_of_torch(exported, task, sampling, padded_prompt=padded_prompt, compiled=compiled)
    chosen = _chosen(exported, device, dtype, is_torchs=bool(wishes)) if name == FASTEST else name
    if chosen == TORCH:
        if exported is not None and not exported.has_weights:
            raise InvalidInputError(
                f"expected a checkpoint for engine torch, got {str(model)!r}, an exported model without one"
            )
        return _torch_engine(
            model,
            revision=revision,
            task=task,
            device=device,
            dtype=dtype,
            num_threads=num_threads,
            padded_prompt=padded_prompt,
            sampling=sampling,
            compiled=compiled,
        )
    if exported is None:
        raise InvalidInputError(
            f"expected an exported model for engine {chosen}, got {str(model)!r}: "
            f"e2e-depth export {model} --output FOLDER makes one"
        )
    if wishes:
        raise InvalidInputError(
            f"engine {chosen} runs what was exported: {wishes}; engine torch can, with the checkpoint itself"
        )
    if revision is not None:
        raise InvalidInputError(f"expected a revision only with a hub id, got {model} and {revision!r}")
    exported.check_files()
    if task != AUTO:
        only = Task.NORMALS if task == Task.NORMALS.value else Task.DEPTH
        exported = replace(exported, facts=replace(exported.facts, tasks=frozenset({only})))
    return _graph_engine(chosen, exported, device, dtype, num_threads or usable_cores())


def _check(name: str, model: Any, device: Any, num_threads: Any, sampling: Any) -> None:
    if name not in ENGINES:
        raise InvalidInputError(f"expected engine {', '.join(ENGINES)}, got {name!r}")
    if num_threads is not None and not is_whole(num_threads, 1, MAX_THREADS):
        raise InvalidInputError(f"expected 1 to {MAX_THREADS} threads, got {num_threads!r}")
    if not isinstance(model, (str, Path)) or not str(model):
        raise InvalidInputError(f"expected the name of a model or its folder, got {model!r}")
    if not isinstance(device, str):
        raise InvalidInputError(f"expected the name of a device, got {device!r}")
    if sampling is not None and not isinstance(sampling, Sampling):
        raise InvalidInputError(f"expected a Sampling or None as sampling, got {sampling!r}")


def _chosen(exported: ExportedModel | None, device: str, dtype: str, *, is_torchs: bool) -> str:
    """Choose the fastest engine that gives what torch would give."""
    if exported is None:
        return TORCH
    is_on_gpu = device not in ("auto", "cpu") or (device == "auto" and has_gpu())
    if exported.has_weights and (is_torchs or is_on_gpu):
        return TORCH
    if device in ("auto", "cpu"):
        if dtype == "bfloat16" and _has_bfloat16():
            return OPENVINO
        if dtype in ("auto", exported.precision):
            for name in (ONNX, OPENVINO):
                if is_installed(name):
                    return name
    return TORCH if exported.has_weights else ONNX  # which says what is wrong, or what to install


def _wishes_of_torch(
    exported: ExportedModel | None,
    task: str,
    sampling: Sampling | None,
    *,
    padded_prompt: bool,
    compiled: bool,
) -> str:
    """Tell what an exported model can't do; "" where nothing was asked."""
    if exported is None:
        return ""
    if compiled:
        return "it is a graph already, and torch compiles none"
    if padded_prompt:
        return "its prompt is part of it, so none of 77 tokens can be given"
    if task != AUTO and task not in _words(exported.facts):
        return f"it predicts {' and '.join(sorted(_words(exported.facts)))}"
    if sampling is not None and sampling != DEFAULT_SAMPLING:
        return "it answers in one deterministic step, so there is nothing to sample"
    return ""


def _words(facts: ExportedFacts) -> set[str]:
    """Return what a user may call what a model predicts."""
    is_disparity = facts.depth_kind is DepthKind.AFFINE_INVARIANT_DISPARITY
    return {DISPARITY if task is Task.DEPTH and is_disparity else task.value for task in facts.tasks}


def _torch_engine(
    model: str | Path,
    *,
    revision: str | None,
    task: str,
    device: str,
    dtype: str,
    num_threads: int | None,
    padded_prompt: bool,
    sampling: Sampling | None,
    compiled: bool,
) -> Engine:
    # torch and diffusers take seconds to import: only where they run.
    from e2e_depth_ros.model.checkpoint.locate import find_checkpoint  # noqa: PLC0415
    from e2e_depth_ros.model.engine.torch_engine import TorchEngine  # noqa: PLC0415
    from e2e_depth_ros.model.families.registry import load_checkpoint  # noqa: PLC0415
    from e2e_depth_ros.model.placement import device_named, dtype_named, use_threads  # noqa: PLC0415

    chosen_device = device_named(device)
    chosen_dtype = dtype_named(dtype, chosen_device)
    use_threads(num_threads or threads_beside_messages())
    folder = find_checkpoint(model, revision=revision, dtype=chosen_dtype)
    checkpoint = load_checkpoint(
        folder, task=task, dtype=chosen_dtype, padded_prompt=padded_prompt, sampling=sampling
    )
    return TorchEngine(checkpoint, chosen_device, compiled=compiled)


def _graph_engine(name: str, exported: ExportedModel, device: str, dtype: str, threads: int) -> GraphEngine:
    if name == OPENVINO:
        from e2e_depth_ros.model.engine.openvino_runtime import OpenVino  # noqa: PLC0415

        if device not in ("auto", "cpu"):
            raise InvalidInputError(f"expected device auto or cpu with engine openvino, got {device!r}")
        return GraphEngine(exported, OpenVino("float32" if dtype == "auto" else dtype, threads))
    from e2e_depth_ros.model.engine.onnx_runtime import OnnxRuntime  # noqa: PLC0415

    if dtype not in ("auto", exported.precision):
        raise InvalidInputError(
            f"expected dtype auto or {exported.precision}, in which {exported.facts.name} was exported, with "
            f"engine onnx, got {dtype!r}"
        )
    return GraphEngine(
        exported, OnnxRuntime("cpu" if device == "auto" else device, exported.precision, threads)
    )


def _has_bfloat16() -> bool:
    """Tell whether OpenVINO is there, and computes in bfloat16 on this CPU."""
    if not is_installed(OPENVINO):
        return False
    from e2e_depth_ros.model.engine.openvino_runtime import has_bfloat16  # noqa: PLC0415

    try:
        return has_bfloat16()
    except MissingDependencyError:  # too old
        return False


def is_installed(name: str) -> bool:
    """Tell whether an engine's library is there."""
    return find_spec(_LIBRARIES[name]) is not None


def has_gpu() -> bool:
    """Tell by its driver's files whether torch may find a GPU: to import torch and ask takes seconds."""
    return any(Path(name).exists() for name in _GPUS)
