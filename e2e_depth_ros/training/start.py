"""Start a training from a checkpoint of any published layout, and ship what comes of it in that layout."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.locate import PROMPT_FILE, find_checkpoint
from e2e_depth_ros.model.checkpoint.prompt import prompt_embeddings, write_prompt_embeddings
from e2e_depth_ros.model.families.consistency import CONSISTENCY
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.generator import IMAGE_GENERATOR
from e2e_depth_ros.model.families.multi_step import DIFFUSION
from e2e_depth_ros.model.families.one_step import (
    ONE_STEP,
    ONE_STEP_SCHEDULER,
    OneStepSampler,
    denoising_step,
    facts_of_new_model,
)
from e2e_depth_ros.model.families.registry import load_parts, read_facts, read_start
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.recipe import ModelRecipe

_STARTS = (IMAGE_GENERATOR, DIFFUSION, CONSISTENCY, ONE_STEP)
_TEXT_PARTS = {"text_encoder": "CLIPTextModel", "tokenizer": "CLIPTokenizer"}
# What diffusers' schedulers take where a config is silent. The network learnt under these.
NOISE_DEFAULTS = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
}


class Start(NamedTuple):
    """A network to train.

    Attributes:
        model: On the CPU in float32, in training mode.
        facts: What it will be once it is trained.
        folder: The checkpoint that it comes from.
    """

    model: LatentNetwork
    facts: CheckpointFacts
    folder: Path


def model_from_start(recipe: ModelRecipe, tasks: Collection[Task]) -> Start:
    """Load the network of a checkpoint, to be trained to answer in one step (E2E-FT, section 4).

    Its noise schedule and what its output means (v, epsilon or the sample) are kept; the step it is trained
    for is the last timestep's, whatever spacing was saved.

    Args:
        recipe: With `start`.
        tasks: What it shall predict.

    Raises:
        CheckpointError: There is no such checkpoint, or it is broken.
        InvalidInputError: It can't become a network of one step for these tasks.
    """
    parts = parts_from_start(recipe, tasks)
    facts = facts_of_new_model(
        recipe.name,
        parts.unet,
        parts.vae,
        tasks=tasks,
        processing_resolution=recipe.processing_resolution,
    )
    scheduler_config = one_step_scheduler(parts.facts.scheduler_config)
    facts = replace(
        facts,
        scheduler_config=scheduler_config,
        normals_axes=parts.facts.normals_axes,
        target_noise=recipe.target_noise,
        upsampling=parts.facts.chosen_upsampling(recipe.upsampling),
    )
    sampler = OneStepSampler(denoising_step(facts.scheduler_config), facts.target_noise)
    model = LatentNetwork(parts.unet, parts.vae, parts.prompts, sampler)
    return Start(model.train(), facts, parts.folder)


class StartParts(NamedTuple):
    """What a training takes over from a checkpoint.

    Attributes:
        unet: On the CPU in float32; its conv_in fits.
        vae: Likewise.
        prompts: What asks for each task, (1, n, d).
        facts: What the checkpoint is.
        folder: Where it lies.
    """

    unet: Any
    vae: Any
    prompts: dict[Task, Tensor]
    facts: CheckpointFacts
    folder: Path


def parts_from_start(recipe: ModelRecipe, tasks: Collection[Task]) -> StartParts:
    """Load the parts of a checkpoint, whatever it does with them: predict depth, or make images.

    Args:
        recipe: With `start`.
        tasks: What the parts shall predict.

    Raises:
        CheckpointError: There is no such checkpoint, or it is broken.
        InvalidInputError: It can't be trained for these tasks.
    """
    folder = find_checkpoint(recipe.start)
    found = read_start(folder, frozenset(tasks))
    if found.family.is_joint:
        raise InvalidInputError(
            f"model.start: expected a network of UNet, VAE and prompt, got {found.name}, "
            "whose depth and normals attend to each other (GeoWizard: objective geowizard)"
        )
    if found.family not in _STARTS:
        raise InvalidInputError(
            "model.start: expected Stable Diffusion, Marigold or E2E-FT, "
            f"got {found.name}: {found.family.title}"
        )
    if Task.DEPTH in tasks and found.depth_kind is DepthKind.AFFINE_INVARIANT_DISPARITY:
        raise InvalidInputError(f"model.start: expected a network of depth, got {found.name} of disparity")
    unet, vae = load_parts(found)
    prompts = prompt_embeddings(found, padded=recipe.padded_prompt)
    if len(prompts) > 1 and torch.equal(*prompts.values()):
        raise InvalidInputError(
            f"model.start: {found.name} is asked for depth and for normals by the same prompt: "
            "expected loss.depth.weight or loss.normals.weight 0"
        )
    unet = fit_conv_in(unet, found.latent_channels, reads_target=recipe.reads_target)
    return StartParts(unet, vae, prompts, found, folder)


def one_step_scheduler(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scheduler of one step, ending at x0 exactly, with another scheduler's noise and output."""
    return {**ONE_STEP_SCHEDULER, **{key: config.get(key, value) for key, value in NOISE_DEFAULTS.items()}}


def diffusion_scheduler(
    config: Mapping[str, Any] = ONE_STEP_SCHEDULER, *, zero_terminal_snr: bool = False
) -> dict[str, Any]:
    """Return the scheduler of many steps, trailing, with another scheduler's noise and output.

    Args:
        config: The other; the default has Stable Diffusion 2's noise, and predicts v.
        zero_terminal_snr: Leave no signal at the last timestep, whatever the other does.
    """
    scheduler = one_step_scheduler(config)
    # As in Stable Diffusion: the last step ends where the first timestep's noise is.
    scheduler["set_alpha_to_one"] = False
    if zero_terminal_snr:
        scheduler["rescale_betas_zero_snr"] = True
    return scheduler


def fit_conv_in(unet: Any, latent_channels: int, *, reads_target: bool) -> nn.Module:
    """Let a denoiser read [image, target] latents, or [image] alone.

    From image alone (Stable Diffusion, L channels) to both, the weights are repeated for the target, and all
    of conv_in is halved so that activations keep their size (E2E-FT, section 4; Marigold, arXiv 2312.02145,
    section 3.2, which leaves the bias). From both to the image alone the target's weights are dropped: exact
    for a target of zeros.

    Args:
        unet: diffusers' UNet2DConditionModel; changed in place.
        latent_channels: L.
        reads_target: What it shall read.

    Returns:
        The same UNet.
    """
    old: nn.Conv2d = unet.conv_in
    channels = latent_channels * (2 if reads_target else 1)
    if old.in_channels == channels:
        return unet  # type: ignore[no-any-return]
    weight, bias = old.weight.detach(), old.bias
    size, padding = weight.shape[-1], weight.shape[-1] // 2
    new = nn.Conv2d(channels, old.out_channels, size, padding=padding)
    with torch.no_grad():
        new.weight.copy_(weight.repeat(1, 2, 1, 1) / 2 if reads_target else weight[:, :latent_channels])
        if bias is not None and new.bias is not None:
            new.bias.copy_(bias / 2 if reads_target else bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=channels)
    return unet  # type: ignore[no-any-return]


def add_text_encoder(checkpoint: Path, start: Path) -> None:
    """Put the start's text encoder beside a written checkpoint, where diffusers' pipelines look for it.

    This project needs none: the prompt's embedding is in the checkpoint. It becomes that of the unpadded
    prompt, by which those pipelines and E2E-FT infer whatever the training asked by. A start without a text
    encoder adds nothing.

    Args:
        checkpoint: Written by `write_checkpoint`; files already added to it stay.
        start: The checkpoint that the training started from.
    """
    if not all((start / part).is_dir() for part in _TEXT_PARTS):
        return
    unpadded = prompt_embeddings(read_start(start, read_facts(checkpoint).tasks))
    with tempfile.TemporaryDirectory(dir=checkpoint) as name:
        write_prompt_embeddings(Path(name), unpadded)
        (Path(name) / PROMPT_FILE).replace(checkpoint / PROMPT_FILE)
    copy_parts(checkpoint, start, _TEXT_PARTS)


def copy_parts(checkpoint: Path, start: Path, parts: Mapping[str, str]) -> None:
    """Copy parts of transformers that no training changes from the start to a written checkpoint.

    Args:
        checkpoint: Written by `write_checkpoint`; parts that it has already stay.
        start: The checkpoint that the training started from.
        parts: The class of each, by folder. What the start lacks is left out.
    """
    present = {part: name for part, name in parts.items() if (start / part).is_dir()}
    for part in present:
        if not (checkpoint / part).exists():
            temporary = checkpoint / f".{part}"
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.copytree(start / part, temporary)
            _name_plainly(temporary)
            temporary.rename(checkpoint / part)
    path = checkpoint / "model_index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    index |= {part: ["transformers", name] for part, name in present.items()}
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def _name_plainly(folder: Path) -> None:
    """Give weights that are there in one variant only the name that from_pretrained(folder) looks for."""
    variants, plain = sorted(folder.glob("model.*.safetensors")), folder / "model.safetensors"
    if variants and not plain.exists():
        variants[0].rename(plain)
