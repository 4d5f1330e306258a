"""Load a checkpoint, verified, and write one."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.config_checks import check_vae_config
from e2e_depth_ros.model.denoising import ONE_STEP_SCHEDULER
from e2e_depth_ros.model.facts import MARIGOLD_AXES, CheckpointFacts, read_facts
from e2e_depth_ros.model.latent_network import LatentNetwork
from e2e_depth_ros.model.locate import find_checkpoint
from e2e_depth_ros.model.networks import check_sampling, network_for
from e2e_depth_ros.model.prompt import write_prompt_embeddings
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.model.weights import MODEL_STEM, empty_module, load_weights, read_json, weight_files

__all__ = [
    "CheckpointFacts",
    "LoadedCheckpoint",
    "facts_of_new_model",
    "find_checkpoint",
    "load_autoencoder",
    "load_checkpoint",
    "load_parts",
    "read_facts",
    "write_autoencoder",
    "write_checkpoint",
]


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint in memory, every tensor of it verified.

    Attributes:
        facts: What it is.
        model: The network. Steps, spacing and domain of the sampling are built into it.
        sampling: How it is sampled, with the number of steps.
    """

    facts: CheckpointFacts
    model: LatentNetwork
    sampling: Sampling


def load_checkpoint(
    folder: Path,
    *,
    tasks: Collection[Task] | None = None,
    dtype: torch.dtype = torch.float32,
    padded_prompt: bool = False,
    sampling: Sampling | None = None,
) -> LoadedCheckpoint:
    """Load a checkpoint of any published layout onto the CPU.

    Args:
        folder: See `find_checkpoint`.
        tasks: What it predicts, where the caller knows better than its configs and its name.
        dtype: Of the weights in memory; the stored variant that fits it is preferred.
        padded_prompt: Ask by the empty prompt of 77 tokens instead of 2.
        sampling: How to sample; None for the defaults.

    Returns:
        The facts and the model, in evaluation mode.

    Raises:
        CheckpointError: Something is missing, broken, of the wrong shape or not finite, by name.
        InvalidInputError: This checkpoint can't be sampled so.
        MissingDependencyError: The prompt's embedding must be made once, and transformers is absent.
    """
    facts = read_facts(folder, tasks=frozenset(tasks) if tasks else None)
    chosen = sampling or Sampling()
    check_sampling(facts, chosen)
    unet, vae = load_parts(facts, dtype)
    network = network_for(facts, unet, vae, chosen, dtype, padded_prompt=padded_prompt)
    return LoadedCheckpoint(facts, network.eval(), replace(chosen, steps=chosen.steps or facts.steps))


def load_parts(facts: CheckpointFacts, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    """Load a checkpoint's UNet and VAE onto the CPU, whatever it is that they do together.

    Raises:
        CheckpointError: A tensor is missing, broken, of the wrong shape or not finite, by name.
    """
    unet, vae = _empty_unet(facts), _empty_autoencoder(facts.name, facts.vae_config)
    for component, module in (("unet", unet), ("vae", vae)):
        load_weights(module, facts.weight_files(component, dtype), dtype)
    return unet, vae


def facts_of_new_model(
    name: str, unet: Any, vae: Any, *, tasks: Collection[Task], processing_resolution: int
) -> CheckpointFacts:
    """Describe a network that starts its training: the scheduler of one step, Marigold's axes of normals.

    Args:
        name: What the checkpoint will be called.
        unet: diffusers' UNet2DConditionModel.
        vae: diffusers' AutoencoderKL or AutoencoderTiny.
        tasks: What it learns to predict.
        processing_resolution: Longer edge, pixels, that it is meant for.
    """
    return CheckpointFacts(
        name=name,
        folder=None,
        tasks=frozenset(tasks),
        unet_config=dict(unet.config),
        vae_config=dict(vae.config),
        scheduler_config=ONE_STEP_SCHEDULER,
        processing_resolution=processing_resolution,
        normals_axes=MARIGOLD_AXES,
    )


def write_checkpoint(
    folder: Path, model: LatentNetwork, facts: CheckpointFacts, dtype: torch.dtype = torch.float16
) -> Path:
    """Write a checkpoint that `load_checkpoint` and diffusers' Marigold pipelines read.

    It appears as a whole or not at all. Other files of the folder, such as a model card, stay. Of a GeoWizard
    its encoders of image and text are not written: no training changes them, so the caller adds those that
    it came with.

    Args:
        folder: Where to.
        model: The network.
        facts: What it is.
        dtype: Of the weights in the files; float16 writes the variant "fp16".

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
        _write_json(scratch / "scheduler" / "scheduler_config.json", facts.scheduler_config)
        _write_json(scratch / "model_index.json", _index(facts, model))
        if not facts.family.is_joint:
            write_prompt_embeddings(scratch, {task: model.prompt_embedding(task) for task in facts.tasks})
        _share_files(scratch)
        _move_into(folder, scratch)
    return folder


def load_autoencoder(folder: Path) -> nn.Module:
    """Load the autoencoder of a checkpoint, or of a folder with nothing else, in float32 onto the CPU.

    Raises:
        CheckpointError: Something is missing, broken, of the wrong shape or not finite, by name.
    """
    path = folder / "vae" / "config.json"
    config = read_json(path)
    check_vae_config(config, path)
    vae = _empty_autoencoder(str(folder), config)
    load_weights(vae, weight_files(folder / "vae", torch.float32), torch.float32)
    return vae


def write_autoencoder(folder: Path, vae: Any, dtype: torch.dtype = torch.float16) -> Path:
    """Write an autoencoder where a checkpoint has it, in the folder `vae`; see `write_checkpoint`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        scratch = Path(name)
        _write_component(scratch / "vae", vae, dtype)
        _share_files(scratch)
        _move_into(folder, scratch)
    return folder


def _write_component(folder: Path, module: Any, dtype: torch.dtype) -> None:
    _write_json(folder / "config.json", _without_derived(json.loads(module.to_json_string())))
    _write_weights(module, folder, dtype)


def _move_into(folder: Path, scratch: Path) -> None:
    """Replace what a folder has of the names that the other has."""
    folder.mkdir(exist_ok=True)
    for path in scratch.iterdir():
        target = folder / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)


def _empty_unet(facts: CheckpointFacts) -> nn.Module:
    """Build the UNet without memory for its weights."""
    from diffusers.models import UNet2DConditionModel  # noqa: PLC0415 - slow

    return empty_module(facts.name, UNet2DConditionModel, facts.unet_config)


def _empty_autoencoder(name: str, config: Mapping[str, Any]) -> nn.Module:
    from diffusers.models import AutoencoderKL, AutoencoderTiny  # noqa: PLC0415 - slow

    is_tiny = "encoder_block_out_channels" in config
    return empty_module(name, AutoencoderTiny if is_tiny else AutoencoderKL, _without_derived(config))


def _without_derived(config: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what AutoencoderTiny adds to its config though it takes no such argument, and warns of."""
    is_tiny = "encoder_block_out_channels" in config
    return {key: value for key, value in config.items() if not (is_tiny and key == "block_out_channels")}


def _share_files(folder: Path) -> None:
    """Let others read the weights where the umask lets them read the configs: safetensors doesn't."""
    mode = (folder / "vae" / "config.json").stat().st_mode
    for path in folder.rglob("*.safetensors"):
        path.chmod(mode)


def _write_weights(module: nn.Module, folder: Path, dtype: torch.dtype) -> None:
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in module.state_dict().items()
    }
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            f"{folder.name}: {len(broken)} tensors aren't finite in {dtype} ({broken[0]}, ...); not written"
        )
    variant = {torch.float16: ".fp16", torch.bfloat16: ".bf16"}.get(dtype, "")
    save_file(tensors, folder / f"{MODEL_STEM}{variant}.safetensors", {"format": "pt"})


def _index(facts: CheckpointFacts, model: LatentNetwork) -> dict[str, Any]:
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
    if facts.family.is_joint:
        return index | {"normals_axes": " ".join(facts.normals_axes)}
    if Task.DEPTH in facts.tasks:
        index |= {"prediction_type": "depth", "scale_invariant": True, "shift_invariant": True}
    else:
        index |= {"prediction_type": "normals"}
    if Task.NORMALS in facts.tasks:
        index |= {"use_full_z_range": facts.full_z_range, "normals_axes": " ".join(facts.normals_axes)}
    return index


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(content), indent=2) + "\n", encoding="utf-8")
