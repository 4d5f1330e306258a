"""Write a checkpoint, at once or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.locate import MODEL_STEM
from e2e_depth_ros.model.checkpoint.prompt import write_prompt_embeddings
from e2e_depth_ros.model.checkpoint.saving import save_tensors
from e2e_depth_ros.model.checkpoint.weights import without_derived
from e2e_depth_ros.model.task import Task


class WritableNetwork(Protocol):
    """What a checkpoint keeps of a network.

    Attributes:
        unet: diffusers' UNet2DConditionModel.
        vae: diffusers' AutoencoderKL or AutoencoderTiny.
    """

    unet: Any
    vae: Any

    def prompt_embedding(self, task: Task) -> Tensor:
        """Return what asks for a task, (1, n, d)."""
        ...


def write_checkpoint(
    folder: Path, model: WritableNetwork, facts: CheckpointFacts, dtype: torch.dtype = torch.float16
) -> Path:
    """Write a checkpoint that `load_checkpoint` and diffusers' Marigold pipelines read.

    It appears as a whole or not at all. Other files of the folder, such as a model card, stay. Of a GeoWizard
    its encoders of image and text are not written: no training changes them, so the caller adds those that
    it came with.

    Args:
        folder: Where to.
        model: The network.
        facts: What it is.
        dtype: Of the weights in the files.

    Returns:
        The folder.

    Raises:
        CheckpointError: A weight is not finite in that dtype.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        scratch = Path(name)
        for component, module in (("unet", model.unet), ("vae", model.vae)):
            _write_component(scratch / component, module, dtype)
        write_json(scratch / "scheduler" / "scheduler_config.json", facts.scheduler_config)
        write_json(scratch / "model_index.json", _index(facts, model))
        if not facts.family.is_joint:
            write_prompt_embeddings(scratch, {task: model.prompt_embedding(task) for task in facts.tasks})
        _move_into(folder, scratch)
    return folder


def write_autoencoder(folder: Path, vae: Any, dtype: torch.dtype = torch.float16) -> Path:
    """Write an autoencoder where a checkpoint has it, in the folder `vae`; see `write_checkpoint`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        scratch = Path(name)
        _write_component(scratch / "vae", vae, dtype)
        _move_into(folder, scratch)
    return folder


def _write_component(folder: Path, module: Any, dtype: torch.dtype) -> None:
    write_json(folder / "config.json", without_derived(json.loads(module.to_json_string())))
    _write_weights(module, folder, dtype)


def _move_into(folder: Path, scratch: Path) -> None:
    """Replace what a folder has of the names that the other has."""
    folder.mkdir(exist_ok=True)
    for path in scratch.iterdir():
        target = folder / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)


def _write_weights(module: nn.Module, folder: Path, dtype: torch.dtype) -> None:
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in module.state_dict().items()
    }
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            f"{folder.name}: {len(broken)} tensors aren't finite in {dtype} ({broken[0]}, ...); not written"
        )
    # Whatever the dtype, under the name that from_pretrained(folder) looks for: there is no other variant.
    save_tensors(tensors, folder / f"{MODEL_STEM}.safetensors", {"format": "pt"})


def _index(facts: CheckpointFacts, model: WritableNetwork) -> dict[str, Any]:
    """Describe the checkpoint in the terms of Marigold's pipelines, and with what they have no terms for."""
    pipeline = "MarigoldDepthPipeline" if Task.DEPTH in facts.tasks else "MarigoldNormalsPipeline"
    index = {
        "_class_name": "DepthNormalEstimationPipeline" if facts.family.is_joint else pipeline,
        "unet": ["diffusers", type(model.unet).__name__],
        "vae": ["diffusers", type(model.vae).__name__],
        "scheduler": ["diffusers", facts.scheduler_config["_class_name"]],
        "text_encoder": [None, None],
        "tokenizer": [None, None],
        "default_denoising_steps": facts.steps,
        "default_processing_resolution": facts.processing_resolution,
        "tasks": sorted(task.value for task in facts.tasks),
    }
    if facts.target_noise != "zeros":
        index["target_noise"] = facts.target_noise
    if facts.upsampling != "bilinear":
        index["upsampling"] = facts.upsampling
    if facts.family.is_joint:
        return index | {"normals_axes": " ".join(facts.normals_axes)}
    if Task.DEPTH in facts.tasks:
        is_disparity = facts.depth_kind is DepthKind.AFFINE_INVARIANT_DISPARITY
        index |= {
            "prediction_type": "disparity" if is_disparity else "depth",
            "scale_invariant": True,
            "shift_invariant": facts.depth_kind is not DepthKind.SCALE_INVARIANT,
        }
    else:
        index |= {"prediction_type": "normals"}
    if Task.NORMALS in facts.tasks:
        index |= {"use_full_z_range": facts.full_z_range, "normals_axes": " ".join(facts.normals_axes)}
    return index


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a config as diffusers does, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(content), indent=2) + "\n", encoding="utf-8")
