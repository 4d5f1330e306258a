"""The embedding of the prompt: computed once, then a small file, so that no text encoder is needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, MissingDependencyError
from e2e_depth_ros.core.user_file import check_file, open_file
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.locate import PROMPT_FILE
from e2e_depth_ros.model.checkpoint.saving import save_tensors
from e2e_depth_ros.model.checkpoint.transformer import load_tokenizer, load_transformer
from e2e_depth_ros.model.checkpoint.weights import check_dtypes, check_values, read_tensor_table
from e2e_depth_ros.model.task import Task

_MAX_TOKENS = 1024  # CLIP's longest text has 77


def prompt_embeddings(facts: CheckpointFacts, *, padded: bool = False, text: str = "") -> dict[Task, Tensor]:
    """Return what asks the network for each of its tasks, float32.

    A checkpoint of several tasks brings an embedding for each. All others are asked by one prompt, mostly the
    empty one: it is read from the checkpoint's folder or the user's cache, or else encoded and stored there.

    Args:
        facts: The checkpoint, in a folder.
        padded: Encode the empty prompt padded to the tokenizer's length (77), as E2E-FT trains, rather
            than to its two tokens, as E2E-FT and Marigold infer.

        text: The prompt.

    Returns:
        (1, n, d) for each task.

    Raises:
        CheckpointError: There is neither an embedding nor a text encoder, or one is broken.
        MissingDependencyError: The prompt must be encoded and transformers isn't installed.
    """
    if facts.folder is None:
        raise CheckpointError(f"{facts.name}: expected a checkpoint in a folder, this one is only in memory")
    key = (text or "empty") + ("_padded" if padded else "")
    text_encoder = _fingerprint(facts.folder)
    candidates = [facts.folder / PROMPT_FILE]
    if text_encoder is not None:
        candidates.append(_user_cache() / f"{text_encoder}.safetensors")
    for path in candidates:
        stored = _read(path, facts.embedding_size, text_encoder) if _is_there(path) else {}
        if all(task.value in stored for task in facts.tasks):
            return {task: stored[task.value] for task in facts.tasks}
        if key in stored:
            return dict.fromkeys(facts.tasks, stored[key])
    if text_encoder is None:
        raise CheckpointError(
            f"{facts.folder}: expected {PROMPT_FILE} with {key!r} or with {_names(facts.tasks)}, "
            "or text_encoder/ and tokenizer/ to make it; download the checkpoint completely"
        )
    embedding = _encode(facts.folder, text, padded=padded)
    _check(embedding, key, facts.folder / "text_encoder", facts.embedding_size)
    _store(candidates, key, embedding, text_encoder)
    return dict.fromkeys(facts.tasks, embedding)


def write_prompt_embeddings(folder: Path, embeddings: Mapping[Task, Tensor]) -> None:
    """Write an embedding for each task beside a checkpoint."""
    save_tensors(
        {task.value: tensor.detach().cpu().contiguous().clone() for task, tensor in embeddings.items()},
        folder / PROMPT_FILE,
    )


def _encode(folder: Path, text: str, *, padded: bool) -> Tensor:
    try:
        from transformers import CLIPTextModel  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingDependencyError(
            f"{folder.name}: encoding the prompt, once for each checkpoint, needs transformers: "
            "pip install transformers"
        ) from error
    text_encoder = load_transformer(CLIPTextModel, folder / "text_encoder")
    text_encoder = text_encoder.float().eval()
    tokenizer = load_tokenizer(folder)
    tokens = tokenizer(
        text,
        padding="max_length" if padded else "do_not_pad",
        max_length=min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings),
        truncation=True,
        return_tensors="pt",
    )
    with torch.inference_mode():
        embedding: Tensor = text_encoder(tokens.input_ids)[0]  # (1, n, d)
    return embedding.clone()


def _fingerprint(folder: Path) -> str | None:
    """Name the text encoder by its files' sizes and ends: reading a gigabyte at each start would be slow."""
    files = sorted(
        path
        for part in ("text_encoder", "tokenizer")
        if (folder / part).is_dir()
        for path in (folder / part).iterdir()
        if path.suffix in {".json", ".txt", ".safetensors"}
    )
    if {path.parent.name for path in files} != {"text_encoder", "tokenizer"}:
        return None
    digest = hashlib.sha256()
    for path in files:
        try:
            size = check_file(path)
            with open_file(path) as stream:
                begin = stream.read(1 << 16)
                stream.seek(max(0, size - (1 << 16)))
                end = stream.read(1 << 16)
        except (InvalidInputError, OSError) as error:
            raise CheckpointError(f"{folder}: {error}") from error
        digest.update(f"{path.parent.name}/{path.name} {size}\n".encode() + begin + end)
    return digest.hexdigest()[:32]


def _user_cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "e2e_depth_ros" / "prompt_embeddings"


def _read(path: Path, embedding_size: int, text_encoder: str | None) -> dict[str, Tensor]:
    """Read the embeddings of a file, none where they were encoded by another text encoder."""
    table = read_tensor_table([path])
    check_dtypes(table)
    for name, info in table.items():
        _check_shape(info.shape, name, path, embedding_size)
    with safe_open(path, framework="pt") as handle:
        made_by = (handle.metadata() or {}).get("text_encoder")
    if made_by and text_encoder and made_by != text_encoder:
        return {}
    stored: dict[str, Tensor] = {name: tensor.float() for name, tensor in load_file(path).items()}
    for name, tensor in stored.items():
        _check(tensor, name, path, embedding_size)
    return stored


def _is_there(path: Path) -> bool:
    """Tell whether there is something to read; a folder in its place only keeps from writing there."""
    return path.exists() and not path.is_dir()


def _check(embedding: Tensor, name: str, path: Path, embedding_size: int) -> None:
    _check_shape(tuple(embedding.shape), name, path, embedding_size)
    check_values(embedding, name, path)


def _check_shape(shape: tuple[int, ...], name: str, path: Path, embedding_size: int) -> None:
    if len(shape) != 3 or shape[::2] != (1, embedding_size) or not 1 <= shape[1] <= _MAX_TOKENS:
        raise CheckpointError(
            f"{path}: expected {name} of shape (1, 1..{_MAX_TOKENS}, {embedding_size}), got {shape}"
        )


def _store(candidates: list[Path], key: str, embedding: Tensor, text_encoder: str) -> None:
    """Write to the first place that can be written; where none can, the next start encodes again."""
    for path in candidates:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stored = _read(path, embedding.shape[2], text_encoder) if _is_there(path) else {}
            scratch = path.with_name(f".{path.name}.{os.getpid()}")
            save_tensors({**stored, key: embedding}, scratch, {"text_encoder": text_encoder})
            scratch.replace(path)  # at once: another process never sees half a file
        except (OSError, SafetensorError):
            continue
        return


def _names(tasks: frozenset[Task]) -> str:
    return " and ".join(sorted(repr(task.value) for task in tasks))
