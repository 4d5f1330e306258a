"""Where a checkpoint lies: embedded, in a folder, or on the Hugging Face hub; and whether it is whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint import hub
from e2e_depth_ros.model.checkpoint.configs import read_json
from e2e_depth_ros.model.checkpoint.layout import IncompleteCheckpointError, read_configs
from e2e_depth_ros.model.shipped import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MODEL_STEM = "diffusion_pytorch_model"
"""How diffusers names the weights of a component; transformers says "model"."""

COMPONENTS = ("unet", "vae")
"""The folders that hold the weights of every network."""

PROMPT_FILE = "prompt_embedding.safetensors"
"""Beside the checkpoint: (1, n, d) for each task, or "empty" / "empty_padded" for the empty prompt."""

_VARIANTS = ("fp16", "bf16", "non_ema")
_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?")
_SMALL_FILES = re.compile(r"model_index\.json|prompt_embedding\.safetensors|[a-z_]+/[\w.-]+\.(json|txt)")
_ENCODERS = ("text_encoder", "image_encoder")
_FOLDERS = (*COMPONENTS, *_ENCODERS, "scheduler", "tokenizer", "feature_extractor")
_TOKENIZER_FILES = ("vocab.json", "merges.txt")
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".msgpack", ".h5")
_SHOWN = 3  # names in an error message


def find_checkpoint(
    name: str | Path, *, revision: str | None = None, dtype: torch.dtype = torch.float32
) -> Path:
    """Return the folder of a checkpoint.

    What the hub's cache holds completely is used without asking the network, so a robot starts offline,
    and with the same weights each day. Name a revision to choose another one.

    Args:
        name: "embedded", a folder, or a hub id such as "prs-eth/marigold-depth-v1-1", "org/name@revision".
        revision: Branch, tag or commit; only for a hub id.
        dtype: Which variant of the weights to download where there are several.

    Returns:
        A folder with model_index.json.

    Raises:
        CheckpointError: There is no such checkpoint, or it can't be downloaded.
        InvalidInputError: A revision was given for something that has none, or twice.
    """
    folder = SHIPPED.get(str(name)) or Path(name).expanduser()
    match = None if folder.exists() else _HUB_ID.fullmatch(str(name))
    if match is None:
        if not str(name):  # which Path takes for the folder at hand
            raise CheckpointError("expected 'embedded', a folder, or a hub id like org/name, got ''")
        if revision is not None:
            raise InvalidInputError(f"expected a revision only with a hub id, got {name} and {revision!r}")
        if not folder.is_dir():
            what = "that is a file" if folder.exists() else "no such folder"
            raise CheckpointError(
                f"expected 'embedded', a folder, or a hub id like org/name, got {str(name)!r}; {what}"
            )
        return folder
    if match["revision"] and revision and match["revision"] != revision:
        raise InvalidInputError(f"expected one revision, got {match['revision']!r} and {revision!r}")
    return _from_hub(match["repo"], match["revision"] or revision, dtype)


def checkpoint_name(folder: Path) -> str:
    """Return the hub id where the folder is in the hub's cache, or else the folder's own name."""
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return folder.name


def check_whole(folder: Path) -> None:
    """Make sure that a folder has all files of the network that it describes; their content isn't read.

    Needed are configs, the weights of UNet and VAE, and what they attend to: the encoder of images or the
    encoder of texts, whichever the index names or has a folder, and where that is neither, that of texts. A
    stored prompt serves as well as the encoder of texts.

    Raises:
        CheckpointError: Names what is missing.
    """
    index = read_configs(folder).index
    for component in COMPONENTS:
        weight_files(folder / component, torch.float32)
    named = {part for part in _ENCODERS if isinstance(index.get(part), list) and any(index[part])}
    described = named | {part for part in _ENCODERS if (folder / part).is_dir()}
    if (folder / PROMPT_FILE).is_file():
        described.discard("text_encoder")
    elif "image_encoder" not in described:
        described.add("text_encoder")
    for part in sorted(described):
        weight_files(folder / part, torch.float32, "model")
    if "text_encoder" in described:
        _check_tokenizer(folder)


def _check_tokenizer(folder: Path) -> None:
    """Make sure that the text encoder's tokenizer is there.

    Raises:
        CheckpointError: It is missing.
    """
    missing = [name for name in _TOKENIZER_FILES if not (folder / "tokenizer" / name).is_file()]
    if missing:
        raise IncompleteCheckpointError(f"{folder}/tokenizer: expected {', '.join(missing)}, not there")


def choose_weights(names: Collection[str], dtype: torch.dtype, stem: str = MODEL_STEM) -> str | None:
    """Choose among a component's files: the variant that fits the dtype, or else what there is.

    Args:
        names: File names in the component's folder.
        dtype: What the weights will be used in.
        stem: How the file names begin.

    Returns:
        The name of a safetensors file, or of the index of a sharded one; None where there is neither.
    """
    preferred = {torch.float16: ("fp16", ""), torch.bfloat16: ("bf16", "fp16", "")}.get(dtype, ("",))
    # diffusers' own weights are as good under the name that transformers gives; not the other way round.
    stems = (stem, "model") if stem == MODEL_STEM else (stem,)
    for known in stems:
        for variant in (*preferred, "", *_VARIANTS):
            dotted = f".{variant}" if variant else ""
            for name in (
                f"{known}{dotted}.safetensors",
                f"{known}.safetensors.index{dotted}.json",
                f"{known}{dotted}.safetensors.index.json",
            ):
                if name in names:
                    return name
    return None


def variant_of(name: str) -> str:
    """Return the variant of a weight file, a shard or an index: "fp16", "bf16", "non_ema" or ""."""
    return next((variant for variant in _VARIANTS if f".{variant}" in name), "")


def weight_files(folder: Path, dtype: torch.dtype, stem: str = MODEL_STEM) -> tuple[Path, ...]:
    """Return the safetensors files that hold a component, several where it is sharded.

    Raises:
        CheckpointError: There are none, only pickles, or a shard is missing.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    chosen = choose_weights(names, dtype, stem)
    if chosen is None:
        pickles = sorted(name for name in names if name.endswith(_PICKLES))
        if pickles:
            raise CheckpointError(
                f"{folder}: expected safetensors, got only {', '.join(pickles)}; a pickle can run code when "
                "it is read, so it is refused. Save the checkpoint again with diffusers' save_pretrained"
            )
        others = sorted(name for name in names if name.endswith(".safetensors"))
        if others:
            raise CheckpointError(
                f"{folder}: expected {stem}.safetensors, got only {', '.join(others[:_SHOWN])}; rename it"
            )
        raise IncompleteCheckpointError(f"{folder}: expected {stem}.safetensors, found no weights")
    if not chosen.endswith(".json"):
        return (folder / chosen,)
    weight_map = read_json(folder / chosen).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{folder / chosen}: expected a weight_map that names the shards")
    shards = sorted({str(shard) for shard in weight_map.values()})
    missing = [shard for shard in shards if shard not in names]
    if missing:
        shown = ", ".join([*missing[:_SHOWN], *(["..."] if len(missing) > _SHOWN else [])])
        raise IncompleteCheckpointError(
            f"{folder}: {len(missing)} of {len(shards)} shards are missing ({shown})"
        )
    return tuple(folder / shard for shard in shards)


def _from_hub(repo: str, revision: str | None, dtype: torch.dtype) -> Path:
    problem = "it isn't in the cache"
    in_cache = hub.cached(repo, revision)
    if in_cache is not None:
        try:
            check_whole(in_cache)
        except IncompleteCheckpointError as error:
            problem = error.missing
        else:
            return in_cache
    if hub.is_switched_off():
        raise CheckpointError(f"{repo}: {problem}, and downloads are switched off (HF_HUB_OFFLINE)")
    try:
        return hub.download(repo, revision, lambda files: _wanted(files, dtype))
    except hub.HubError as error:
        raise CheckpointError(f"{repo}: {problem}, and it can't be downloaded ({error})") from error


def _wanted(files: Iterable[str], dtype: torch.dtype) -> list[str]:
    """Choose what to download: configs, and one variant of the weights of each component."""
    files = list(files)
    wanted = [name for name in files if _SMALL_FILES.fullmatch(name) and _folder(name) in {"", *_FOLDERS}]
    if "model_index.json" not in files:  # of another layout: its config tells which
        return [name for name in files if name == "config.json"]
    for component in (*COMPONENTS, *_ENCODERS):
        stem = MODEL_STEM if component in COMPONENTS else "model"
        names = [name.partition("/")[2] for name in files if _folder(name) == component]
        chosen = choose_weights(names, dtype, stem)
        if chosen is not None and chosen.endswith(".json"):  # an index: its shards are named like it
            variant = variant_of(chosen)
            shards = [n for n in names if re.fullmatch(rf"{stem}.*-\d+-of-\d+.*\.safetensors", n)]
            wanted += [f"{component}/{n}" for n in shards if variant_of(n) == variant]
        elif chosen is not None:
            wanted.append(f"{component}/{chosen}")
    return sorted(set(wanted))


def _folder(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""
