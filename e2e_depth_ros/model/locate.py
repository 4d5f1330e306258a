"""Find a checkpoint: the embedded one, a folder, or a repository of the Hugging Face hub."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, first_line
from e2e_depth_ros.model.facts import COMPONENTS
from e2e_depth_ros.model.instruct.facts import InstructFacts
from e2e_depth_ros.model.prompt import PROMPT_FILE
from e2e_depth_ros.model.recognise import recognise
from e2e_depth_ros.model.weights import MODEL_STEM, choose_weights, variant_of, weight_files

if TYPE_CHECKING:
    from collections.abc import Iterable

EMBEDDED = "embedded"
"""The name of the checkpoint that ships with the package."""

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?")
_SMALL_FILES = re.compile(r"model_index\.json|prompt_embedding\.safetensors|[a-z_]+/[\w.-]+\.(json|txt)")
_FOLDERS = (*COMPONENTS, "scheduler", "text_encoder", "tokenizer", "image_encoder", "feature_extractor")


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
        A folder with model_index.json; see `load_checkpoint`.

    Raises:
        CheckpointError: There is no such checkpoint, or it can't be downloaded.
        InvalidInputError: A revision was given for something that has none, or twice.
    """
    is_embedded = str(name) == EMBEDDED
    folder = Path(__file__).parent / EMBEDDED if is_embedded else Path(name).expanduser()
    match = None if is_embedded or folder.exists() else _HUB_ID.fullmatch(str(name))
    if match is None:
        if revision is not None:
            raise InvalidInputError(f"expected a revision only with a hub id, got {name} and {revision!r}")
        if not folder.is_dir():
            raise CheckpointError(
                f"expected 'embedded', a folder, or a hub id like org/name, got {str(name)!r}; no such folder"
            )
        return folder
    if match["revision"] and revision and match["revision"] != revision:
        raise InvalidInputError(f"expected one revision, got {match['revision']!r} and {revision!r}")
    return _from_hub(match["repo"], match["revision"] or revision, dtype)


def _from_hub(repo: str, revision: str | None, dtype: torch.dtype) -> Path:
    # Only checkpoints from the hub need it, and it is slow to import.
    from huggingface_hub import HfApi, constants, snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        cached = Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        cached = None
    except HFValidationError as error:
        raise CheckpointError(f"expected a hub id like org/name, got {repo!r} ({error})") from error
    problem = "it isn't in the cache" if cached is None else _problem(cached)
    if cached is not None and problem is None:
        return cached
    if constants.HF_HUB_OFFLINE or os.environ.get("TRANSFORMERS_OFFLINE") == "1":
        raise CheckpointError(f"{repo}: {problem}, and downloads are switched off (HF_HUB_OFFLINE)")
    try:
        files = _wanted(HfApi().list_repo_files(repo, revision=revision), dtype)
        return Path(snapshot_download(repo, revision=revision, allow_patterns=files))
    except _download_errors() as error:
        raise CheckpointError(
            f"{repo}: {problem}, and it can't be downloaded ({first_line(error)})"
        ) from error


def _download_errors() -> tuple[type[Exception], ...]:
    """What may be raised where the hub refuses, or can't be reached.

    The library's HTTP client was requests, whose errors are OSErrors; later it is httpx, whose are not.
    """
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415 - slow to import, as above

    clients = (sys.modules.get(name) for name in ("httpx", "httpx2"))
    return (HfHubHTTPError, OSError, *(client.HTTPError for client in clients if client is not None))


def _problem(folder: Path) -> str | None:
    """Tell what keeps a folder from being a complete checkpoint; None where nothing does."""
    try:
        facts = recognise(folder)
        for component in facts.components:
            facts.weight_files(component)
        if isinstance(facts, InstructFacts):
            facts.check_tokenizer()
        elif facts.sees_image_by_clip:
            weight_files(folder / "image_encoder", torch.float32, "model")
        elif not (folder / PROMPT_FILE).is_file():
            weight_files(folder / "text_encoder", torch.float32, "model")
    except CheckpointError as error:
        return str(error)
    return None


def _wanted(files: Iterable[str], dtype: torch.dtype) -> list[str]:
    """Choose what to download: configs, and one variant of the weights of each component."""
    files = list(files)
    wanted = [name for name in files if _SMALL_FILES.fullmatch(name) and _folder(name) in {"", *_FOLDERS}]
    for component in (*COMPONENTS, "text_encoder", "image_encoder"):
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
