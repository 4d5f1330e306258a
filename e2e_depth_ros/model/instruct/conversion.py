"""From the single file that Stable Diffusion's original code saves to a folder in diffusers' layout."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, MissingDependencyError
from e2e_depth_ros.model.checkpoint.configs import check_vae_config
from e2e_depth_ros.model.checkpoint.layout import INSTRUCTED_IMAGE
from e2e_depth_ros.model.checkpoint.locate import MODEL_STEM
from e2e_depth_ros.model.checkpoint.saving import save_tensors
from e2e_depth_ros.model.checkpoint.weights import problem_of
from e2e_depth_ros.model.instruct import ldm_names
from e2e_depth_ros.model.instruct.single_file import read_single_file
from e2e_depth_ros.model.instruct.tokenizer import CLIP_TOKENIZER, write_tokenizer

_SCHEDULER: Mapping[str, Any] = {  # Stable Diffusion 1's noise
    "_class_name": "EulerAncestralDiscreteScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "timestep_spacing": "linspace",
}
_INDEX: Mapping[str, Any] = {
    # The one pipeline of diffusers with this order of channels and unscaled latents of the image.
    "_class_name": "StableDiffusionInstructPix2PixPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "tasks": [INSTRUCTED_IMAGE],
    "default_denoising_steps": 100,
    "default_processing_resolution": 512,
}
_SCALING_FACTOR = 0.18215  # of Stable Diffusion's VAE, where the file doesn't say
_EMA_PREFIX = "model_ema."
_SCALE = "scale_factor"
_SHOWN = 3


@dataclass(frozen=True)
class Conversion:
    """What became of a single-file checkpoint's tensors.

    Attributes:
        folder: What was written.
        written: How many tensors are in it.
        from_ema: How many of them are moving averages over the training.
        unused: Names of those in the file that have no place in the folder, such as the noise schedule.
    """

    folder: Path
    written: int
    from_ema: int
    unused: tuple[str, ...]


@dataclass(frozen=True)
class _Component:
    name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    sources: Mapping[str, str]  # the name in the single file, by the name in the folder

    @property
    def stem(self) -> str:
        return "model" if self.name == "text_encoder" else MODEL_STEM


def convert_checkpoint(
    source: Path,
    folder: Path,
    *,
    tokenizer: str | Path = CLIP_TOKENIZER,
    dtype: torch.dtype | None = None,
) -> Conversion:
    """Convert InstructDiffusion's checkpoint, or another image-conditioned Stable Diffusion 1.

    The moving averages (EMA) of the weights are taken where the file has them. Every tensor is accounted for.

    Args:
        source: See `read_single_file`.
        folder: Where to; absent or empty. It appears as a whole or not at all.
        tokenizer: A folder with vocab.json and merges.txt, or a hub id.
        dtype: Of the weights in the files; None keeps what the source has.

    Returns:
        The account.

    Raises:
        CheckpointError: The source can't be read safely, or is not such a checkpoint; names what is missing.
        InvalidInputError: The folder is in use.
        MissingDependencyError: transformers is absent.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"expected a new or empty folder to write to, {folder} has something in it")
    tensors = read_single_file(source)
    try:
        _check_schedule(tensors)
        components = (_unet(tensors), _vae(tensors), _text_encoder(tensors))
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        scratch = Path(name) / "checkpoint"
        for component in components:
            _write_component(scratch / component.name, component, dtype)
        write_tokenizer(scratch / "tokenizer", tokenizer, components[-1].config)
        _write_json(scratch / "scheduler" / "scheduler_config.json", _SCHEDULER)
        _write_json(scratch / "model_index.json", _INDEX)
        if folder.exists():
            folder.rmdir()
        scratch.replace(folder)
    sources = [source for component in components for source in component.sources.values()]
    averages = {name for name in sources if name.startswith(_EMA_PREFIX)}
    replaced = {name for name in tensors if _ema_name(name) in averages}
    return Conversion(
        folder=folder,
        written=len(sources),
        from_ema=len(averages),
        unused=tuple(sorted(tensors.keys() - set(sources) - replaced - {_SCALE})),
    )


def _unet(tensors: Mapping[str, Tensor]) -> _Component:
    from diffusers.models import UNet2DConditionModel  # noqa: PLC0415 - slow

    part = _with_prefix(tensors, ldm_names.UNET_PREFIX, "a UNet")
    config = ldm_names.unet_config(part)
    if config["in_channels"] != 2 * config["out_channels"]:
        raise CheckpointError(
            f"expected a UNet that reads {2 * config['out_channels']} channels, target and image, "
            f"got one of {config['in_channels']}; it isn't conditioned on an image so"
        )
    with torch.device("meta"):
        module = UNet2DConditionModel.from_config(config)
    return _translated("unet", tensors, ldm_names.UNET_PREFIX, config, ldm_names.unet_namer(config), module)


def _vae(tensors: Mapping[str, Tensor]) -> _Component:
    from diffusers.models import AutoencoderKL  # noqa: PLC0415 - slow

    part = _with_prefix(tensors, ldm_names.VAE_PREFIX, "a VAE")
    scale = tensors.get(_SCALE)
    if scale is not None and scale.numel() != 1:
        raise CheckpointError(f"{_SCALE}: expected one number, got shape {tuple(scale.shape)}")
    config = ldm_names.vae_config(part, _SCALING_FACTOR if scale is None else float(scale))
    check_vae_config(config, Path("vae"))
    with torch.device("meta"):
        module = AutoencoderKL.from_config(config)
    return _translated("vae", tensors, ldm_names.VAE_PREFIX, config, ldm_names.vae_namer(config), module)


def _text_encoder(tensors: Mapping[str, Tensor]) -> _Component:
    try:
        from transformers import CLIPTextConfig, CLIPTextModel  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingDependencyError(
            "converting the text encoder needs transformers: pip install transformers"
        ) from error
    part = _with_prefix(tensors, ldm_names.TEXT_PREFIX, "a CLIP text encoder, as Stable Diffusion 1 has")
    config = ldm_names.text_config(part)
    with torch.device("meta"):
        module = CLIPTextModel(CLIPTextConfig(**config))
    # Files have "text_model." before each name; newer versions of transformers leave it out in memory.
    names = [name.removeprefix("text_model.") for name, _ in module.named_parameters()]
    shapes = [tensor.shape for tensor in module.parameters()]
    expected = {f"text_model.{name}": tuple(shape) for name, shape in zip(names, shapes, strict=True)}
    return _checked("text_encoder", tensors, ldm_names.TEXT_PREFIX, config, str, expected)


def _translated(
    name: str,
    tensors: Mapping[str, Tensor],
    prefix: str,
    config: Mapping[str, Any],
    translate: Callable[[str], str],
    module: nn.Module,
) -> _Component:
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    return _checked(name, tensors, prefix, config, translate, expected)


def _checked(
    name: str,
    tensors: Mapping[str, Tensor],
    prefix: str,
    config: Mapping[str, Any],
    translate: Callable[[str], str],
    expected: Mapping[str, tuple[int, ...]],
) -> _Component:
    """Take a component's tensors under their new names; all must be there, of the right shape, finite."""
    sources = {translate(old.removeprefix(prefix)): old for old in tensors if old.startswith(prefix)}
    missing = [new for new in expected if new not in sources]
    if missing:
        raise CheckpointError(
            f"{name}: {len(missing)} of {len(expected)} tensors are missing ({_some(missing)})"
        )
    averages = {new: _ema_name(sources[new]) for new in expected}
    sources = {new: averages[new] if averages[new] in tensors else sources[new] for new in expected}
    converted = {}
    for new, shape in expected.items():
        tensor = tensors[sources[new]]
        if tuple(tensor.shape) not in {shape, (*shape, 1, 1)}:  # linear layers may be 1 x 1 convolutions
            raise CheckpointError(f"{sources[new]}: expected shape {shape}, got {tuple(tensor.shape)}")
        problem = problem_of(tensor)
        if problem:
            raise CheckpointError(f"{sources[new]} has {problem}")
        converted[new] = tensor.reshape(shape)
    return _Component(name, config, converted, sources)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str, what: str) -> dict[str, Tensor]:
    part = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if not part:
        raise CheckpointError(
            f"expected {what} under {prefix!r}, as Stable Diffusion's original code saves it, found none "
            f"among {len(tensors)} tensors ({_some(list(tensors))})"
        )
    return part


def _ema_name(name: str) -> str:
    """Return the name of a weight's moving average: LDM leaves out the dots, for it keeps them as buffers."""
    return _EMA_PREFIX + name.removeprefix("model.").replace(".", "")


def _check_schedule(tensors: Mapping[str, Tensor]) -> None:
    from diffusers.schedulers import EulerAncestralDiscreteScheduler  # noqa: PLC0415 - slow

    if "alphas_cumprod" not in tensors:
        return
    expected = EulerAncestralDiscreteScheduler.from_config(dict(_SCHEDULER)).alphas_cumprod
    found = tensors["alphas_cumprod"].float()
    if found.shape != expected.shape or not torch.allclose(found, expected, atol=1e-4):
        raise CheckpointError(
            f"expected Stable Diffusion's noise schedule, alphas_cumprod of {len(expected)} steps down to "
            f"{float(expected[-1]):.4g}, got {found.numel()} down to {float(found.min()):.4g}"
        )


def _write_component(folder: Path, component: _Component, dtype: torch.dtype | None) -> None:
    _write_json(folder / "config.json", component.config)
    tensors = {
        name: tensor.to(dtype or tensor.dtype).contiguous() for name, tensor in component.tensors.items()
    }
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            f"{component.name}: {len(broken)} tensors are too large for {dtype} ({_some(broken)})"
        )
    save_tensors(tensors, folder / f"{component.stem}.safetensors", {"format": "pt"})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(content), indent=2) + "\n", encoding="utf-8")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
