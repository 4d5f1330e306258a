"""The registry: it decides which family a checkpoint belongs to, and so which network it becomes.

A family is a module in this folder and a line in `FAMILIES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts, facts_from_configs
from e2e_depth_ros.model.checkpoint.foreign import foreign_index, foreign_network
from e2e_depth_ros.model.checkpoint.layout import Configs, paints_by_instruction, read_configs
from e2e_depth_ros.model.checkpoint.locate import checkpoint_name
from e2e_depth_ros.model.checkpoint.weights import empty_autoencoder, empty_unet, load_weights
from e2e_depth_ros.model.families.consistency import CONSISTENCY
from e2e_depth_ros.model.families.family import LatentNetwork, NetworkFamily
from e2e_depth_ros.model.families.generator import IMAGE_GENERATOR
from e2e_depth_ros.model.families.genpercept import GENPERCEPT
from e2e_depth_ros.model.families.geowizard import JOINT_DIFFUSION, JOINT_ONE_STEP
from e2e_depth_ros.model.families.lotus import LOTUS
from e2e_depth_ros.model.families.multi_step import DIFFUSION
from e2e_depth_ros.model.families.one_step import ONE_STEP
from e2e_depth_ros.model.sampling import DEFAULT_SAMPLING, Sampling
from e2e_depth_ros.model.task import AUTO, Task

FAMILIES: tuple[NetworkFamily, ...] = (
    LOTUS,
    GENPERCEPT,
    JOINT_ONE_STEP,
    JOINT_DIFFUSION,
    CONSISTENCY,
    ONE_STEP,
    DIFFUSION,
)
"""All families; the first one that recognises a checkpoint gets it."""


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint in memory, every tensor of it verified.

    Attributes:
        facts: What it is.
        model: The network. Steps, spacing and domain of the sampling are built into it.
        sampling: How it is sampled.
    """

    facts: CheckpointFacts
    model: LatentNetwork
    sampling: Sampling


def family_of(configs: Configs) -> NetworkFamily:
    """Tell the family of a checkpoint by its configs alone.

    Raises:
        CheckpointError: It is of none: says what it is instead.
    """
    family = _taking(configs)
    if family is not None:
        return family
    if IMAGE_GENERATOR.recognises(configs):
        what = IMAGE_GENERATOR.refusal(configs)
    else:
        what = foreign_network(configs.index, configs.unet, configs.latent_channels)
    raise CheckpointError(
        f"{checkpoint_name(configs.folder)}: expected a checkpoint that predicts depth or normals, got {what}"
    )


def read_facts(folder: Path, *, task: str = AUTO) -> CheckpointFacts:
    """Read what a checkpoint is; its weights aren't opened.

    Args:
        folder: With model_index.json, unet/, vae/ and scheduler/.
        task: What it predicts, where its configs don't say: one of `TASK_WORDS`.

    Raises:
        CheckpointError: The folder is incomplete, broken, of no family, or doesn't say what it predicts.
        InvalidInputError: Its configs say that it predicts something else.
    """
    return _recognise(folder, task)[0]


def read_start(folder: Path, learns: frozenset[Task]) -> CheckpointFacts:
    """Read what a checkpoint is that a training starts from: it may make images as well.

    Args:
        folder: See `read_facts`.
        learns: What the training teaches it, whatever it predicts now.

    Raises:
        CheckpointError: See `read_facts`.
    """
    configs = _configs(folder)
    family = _taking(configs)
    if family is None:
        family = IMAGE_GENERATOR if IMAGE_GENERATOR.recognises(configs) else family_of(configs)
    return facts_from_configs(configs, family, learns=learns)


def load_checkpoint(
    folder: Path,
    *,
    task: str = AUTO,
    dtype: torch.dtype = torch.float32,
    padded_prompt: bool = False,
    sampling: Sampling | None = None,
) -> LoadedCheckpoint:
    """Load a checkpoint of any published layout onto the CPU.

    Args:
        folder: See `find_checkpoint`.
        task: What it predicts, where its configs don't say: one of `TASK_WORDS`.
        dtype: Of the weights in memory; the stored variant that fits it is preferred.
        padded_prompt: Ask by the empty prompt of 77 tokens instead of 2.
        sampling: How to sample; None for the defaults.

    Returns:
        What it is, the network in evaluation mode, and how it is sampled.

    Raises:
        CheckpointError: Something is missing, broken, of the wrong shape or not finite, by name.
        InvalidInputError: This checkpoint can't be sampled so, or it says that it predicts something else.
        MissingDependencyError: The prompt's embedding must be made once, and transformers is absent.
    """
    facts, family = _recognise(folder, task)
    chosen = sampling or DEFAULT_SAMPLING
    family.check_sampling(facts, chosen)
    network = family.network(facts, *load_parts(facts, dtype), chosen, padded_prompt=padded_prompt)
    return LoadedCheckpoint(facts, network.eval(), chosen)


def load_parts(facts: CheckpointFacts, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    """Load a checkpoint's UNet and VAE onto the CPU, whatever it is that they do together.

    Raises:
        CheckpointError: A tensor is missing, broken, of the wrong shape or not finite, by name.
    """
    unet = empty_unet(facts.name, facts.unet_config)
    vae = empty_autoencoder(facts.name, facts.vae_config)
    for component, module in (("unet", unet), ("vae", vae)):
        load_weights(module, facts.weight_files(component, dtype), dtype)
    return unet, vae


def _taking(configs: Configs) -> NetworkFamily | None:
    return next((family for family in FAMILIES if family.recognises(configs)), None)


def _recognise(folder: Path, task: str) -> tuple[CheckpointFacts, NetworkFamily]:
    configs = _configs(folder)
    family = family_of(configs)
    return facts_from_configs(configs, family, task), family


def _configs(folder: Path) -> Configs:
    name = checkpoint_name(folder)
    if paints_by_instruction(folder):
        raise CheckpointError(
            f"{name}: expected a checkpoint that predicts depth or normals, got one that "
            "paints by instruction (InstructDiffusion): mask_node runs it"
        )
    what = foreign_index(folder)
    if what is not None:
        raise CheckpointError(f"{name}: expected a checkpoint that predicts depth or normals, got {what}")
    return read_configs(folder)
