"""Whether the numbers of a checkpoint's configs can be those of a network, before it is built.

The bounds are far beyond every published network: they tell a broken or hostile file, not an unusual one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.core.user_file import MAX_JSON_BYTES, json_from_text, read_text
from e2e_depth_ros.model.limits import MAX_RESOLUTION

_MAX_WIDTH: Final = 1 << 16  # channels, embedding sizes, sizes in pixels: any whole number of a config
_MAX_BLOCKS: Final = 16
_MAX_TEXT: Final = 1000
_MAX_LAYERS: Final = 1024  # blocks x layers of each x transformers of each; Stable Diffusion XL has 60
_SCALING_RANGE: Final = (1e-3, 1e3)  # Stable Diffusion's is 0.18, an autoencoder without scaling has 1
_MAX_TIMESTEPS: Final = 100_000
_SHOWN: Final = 60  # characters of a value in an error message

_WIDTHS: Final = (
    "in_channels",
    "out_channels",
    "latent_channels",
    "norm_num_groups",
    "attention_head_dim",
    "num_attention_heads",
    "sample_size",
)
_BLOCKS: Final = ("block_out_channels", "encoder_block_out_channels", "decoder_block_out_channels")
_ENCODER, _DECODER = _BLOCKS[1:]  # of AutoencoderTiny
_LAYERS: Final = ("layers_per_block", "num_encoder_blocks", "num_decoder_blocks")
_TRANSFORMERS: Final = ("transformer_layers_per_block", "reverse_transformer_layers_per_block")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: The file is missing, broken, or holds something else.
    """
    try:
        content = json_from_text(read_text(path, MAX_JSON_BYTES))
    except ValueError as error:
        raise CheckpointError(f"{path}: expected a JSON object, could not read it ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got a {type(content).__name__}")
    return content


class Config:
    """A config with the path of its file, for errors that name both."""

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self.values = values
        self.path = path

    def refuse(self, key: str, expected: str) -> CheckpointError:
        """Make the error that names file, entry, what was expected and what is there."""
        shown = repr(self.values.get(key))
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        return CheckpointError(f"{self.path}: expected {key} {expected}, got {shown}")

    def whole(self, key: str, low: int, high: int) -> None:
        """Check a whole number, or each of a list of them; what is absent or null has a default."""
        for value in self._each(key):
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise self.refuse(key, f"of {low} to {high}")

    def real(self, key: str, low: float, high: float) -> None:
        """Check a number, or each of a list of them; what is absent or null has a default."""
        for value in self._each(key):
            if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
                raise self.refuse(key, f"of {low:g} to {high:g}")

    def true_or_false(self, *keys: str) -> None:
        """Check entries that are true, false, absent or null: text would always count as true."""
        for key in keys:
            if not isinstance(self.values.get(key), bool | None):
                raise self.refuse(key, "true or false")

    def check_lengths(self) -> None:
        """Check that no text or list is longer than any that means something: errors would repeat it."""
        for key, value in self.values.items():
            if isinstance(value, list) and len(value) > _MAX_BLOCKS:
                raise self.refuse(key, f"with up to {_MAX_BLOCKS} entries")
            if isinstance(value, str) and len(value) > _MAX_TEXT:
                raise self.refuse(key, f"of up to {_MAX_TEXT} characters")

    def largest(self, keys: tuple[str, ...]) -> int:
        """Return the largest of entries that `whole` has checked, at least 1."""
        return max([1, *(int(value) for key in keys for value in self._each(key))])

    def _each(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if value is None:
            return []
        entries = value if isinstance(value, list | tuple) else [value]
        # Of transformers there may be a number for each layer of each block.
        return [part for entry in entries for part in (entry if isinstance(entry, list) else [entry])]


def check_network_config(values: Mapping[str, Any], path: Path) -> None:
    """Refuse a network's config that no memory or time would suffice for, or whose values aren't numbers.

    Raises:
        CheckpointError: Names the file, the entry, what was expected and what it is.
    """
    config = Config(values, path)
    for key in _BLOCKS:
        blocks = values.get(key)
        if blocks is not None and not (isinstance(blocks, list | tuple) and 1 <= len(blocks) <= _MAX_BLOCKS):
            raise config.refuse(key, f"with 1 to {_MAX_BLOCKS} entries")
    for key in (*_BLOCKS, *_WIDTHS):
        config.whole(key, 1, _MAX_WIDTH)
    for key in (*_LAYERS, *_TRANSFORMERS):
        config.whole(key, 0, _MAX_LAYERS)
    config.whole("num_hidden_layers", 0, _MAX_LAYERS)  # of transformers
    for key, value in values.items():
        if isinstance(value, int) and abs(value) > _MAX_WIDTH:
            raise config.refuse(key, f"of up to {_MAX_WIDTH}")
        if isinstance(value, float) and not math.isfinite(value):
            raise config.refuse(key, "to be finite")
    config.check_lengths()
    blocks = max(len(values.get(key) or ()) for key in _BLOCKS)
    layers = blocks * config.largest(_LAYERS) * config.largest(_TRANSFORMERS)
    if layers > _MAX_LAYERS:
        raise config.refuse("layers_per_block", f"and the like for up to {_MAX_LAYERS} layers, not {layers}")


def check_vae_config(values: Mapping[str, Any], path: Path) -> None:
    """Refuse a VAE whose latents would come out wrong; see `check_network_config` too.

    Raises:
        CheckpointError: Names the file, the entry, what was expected and what it is.
    """
    check_network_config(values, path)
    config = Config(values, path)
    config.real("scaling_factor", *_SCALING_RANGE)
    if isinstance(values.get("scaling_factor"), list):
        raise config.refuse("scaling_factor", "as one number")
    # Latents are scaled, and nothing else: no family known here shifts them.
    for key in ("shift_factor", "latents_mean", "latents_std"):
        if values.get(key) is not None and (key != "shift_factor" or values[key] != 0):
            raise config.refuse(key, "null or 0" if key == "shift_factor" else "null")
    # diffusers' AutoencoderTiny halves and doubles maps by convolutions that keep the channels.
    encoder, decoder = (values.get(key) or [] for key in (_ENCODER, _DECODER))
    for key, widths in ((_ENCODER, encoder), (_DECODER, decoder)):
        if any(width != widths[0] for width in widths):
            raise config.refuse(key, "alike")
    if encoder and decoder and len(encoder) != len(decoder):
        raise config.refuse(_DECODER, f"with {len(encoder)} entries, as {_ENCODER} has")


def check_scheduler_config(values: Mapping[str, Any], path: Path) -> None:
    """Refuse a scheduler without a schedule of noise.

    Raises:
        CheckpointError: Names the file, the entry, what was expected and what it is.
    """
    config = Config(values, path)
    config.whole("num_train_timesteps", 1, _MAX_TIMESTEPS)
    config.real("beta_start", 0, 1)
    config.real("beta_end", 0, 1)
    config.real("clip_sample_range", 1e-3, 1e3)
    config.whole("steps_offset", 0, _MAX_TIMESTEPS)
    config.whole("original_inference_steps", 1, _MAX_TIMESTEPS)
    config.real("timestep_scaling", 1e-3, 1e6)
    config.true_or_false("set_alpha_to_one", "clip_sample", "thresholding", "rescale_betas_zero_snr")
    for key in ("num_train_timesteps", "beta_start", "beta_end", "clip_sample_range", "steps_offset"):
        if isinstance(values.get(key), list):
            raise config.refuse(key, "as one number")
    betas = values.get("trained_betas")
    Config({key: value for key, value in values.items() if key != "trained_betas"}, path).check_lengths()
    if betas is not None:
        if not isinstance(betas, list) or not 1 <= len(betas) <= _MAX_TIMESTEPS:
            raise config.refuse("trained_betas", f"with 1 to {_MAX_TIMESTEPS} numbers")
        if any(isinstance(beta, list) for beta in betas):
            raise config.refuse("trained_betas", "as a list of numbers")
        config.real("trained_betas", 0, 1)
    try:
        check_prediction(values)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def check_prediction(scheduler_config: Mapping[str, Any]) -> Tensor:
    """Make sure that a network's output tells where its latents lead.

    Returns:
        The share of signal variance at each timestep; see `alpha_bars`.

    Raises:
        CheckpointError: The scheduler's config asks for something that nobody here knows.
    """
    alpha_bar = alpha_bars(scheduler_config)
    prediction_type = scheduler_config.get("prediction_type", "epsilon")
    if scheduler_config.get("thresholding", False):
        raise CheckpointError(
            "expected a scheduler without thresholding, which is for pixels, not for latents"
        )
    if prediction_type not in ("v_prediction", "sample", "epsilon"):
        raise CheckpointError(
            "expected prediction_type v_prediction, epsilon or sample in the scheduler, "
            f"got {prediction_type!r}"
        )
    if prediction_type == "epsilon" and alpha_bar[-1] == 0:
        raise CheckpointError("epsilon prediction says nothing at zero terminal SNR: expected v_prediction")
    return alpha_bar


def check_index(values: Mapping[str, Any], path: Path) -> None:
    """Refuse a model_index.json whose entries aren't what they are taken for.

    Raises:
        CheckpointError: Names the file, the entry, what was expected and what it is.
    """
    config = Config(values, path)
    config.check_lengths()
    config.true_or_false("scale_invariant", "shift_invariant", "use_full_z_range")
    config.whole("default_denoising_steps", 1, _MAX_TIMESTEPS)
    config.whole("default_processing_resolution", 0, MAX_RESOLUTION)
    for key in ("default_denoising_steps", "default_processing_resolution"):
        if isinstance(values.get(key), list):
            raise config.refuse(key, "as one number")


def alpha_bars(config: Mapping[str, Any]) -> Tensor:
    """Return the share of signal variance at each timestep, (T,), in float32 as diffusers keeps it."""
    steps = int(config.get("num_train_timesteps", 1000))
    start, end = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    schedule = config.get("beta_schedule", "linear")
    if config.get("trained_betas") is not None:
        betas = torch.tensor(config["trained_betas"], dtype=torch.float32)
    elif schedule == "linear":
        betas = torch.linspace(start, end, steps)
    elif schedule == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, steps) ** 2
    elif schedule == "squaredcos_cap_v2":  # Nichol and Dhariwal, arXiv 2102.09672, equation 17
        time = torch.arange(steps + 1, dtype=torch.float64) / steps
        cosine = ((time + 0.008) / 1.008 * math.pi / 2).cos() ** 2
        betas = (1 - cosine[1:] / cosine[:-1]).clamp(max=0.999).float()
    else:
        raise CheckpointError(
            "expected beta_schedule linear, scaled_linear or squaredcos_cap_v2 in the scheduler, "
            f"got {schedule!r}"
        )
    alpha_bar = torch.cumprod(1 - betas, dim=0)
    if config.get("rescale_betas_zero_snr", False):  # Lin et al., arXiv 2305.08891, algorithm 1
        signal = alpha_bar.sqrt()
        alpha_bar = ((signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])) ** 2
    if not ((alpha_bar >= 0) & (alpha_bar <= 1)).all():  # NaN is neither
        raise CheckpointError(
            "expected a scheduler whose betas leave 0..1 of the signal at each timestep, "
            f"got {float(alpha_bar.min()):.3g} to {float(alpha_bar.max()):.3g}"
        )
    return alpha_bar
