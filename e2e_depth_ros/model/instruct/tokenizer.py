"""CLIP's tokenizer, which single-file checkpoints leave out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.configs import read_json

CLIP_TOKENIZER = "openai/clip-vit-large-patch14"
"""The hub id whose vocabulary Stable Diffusion 1 reads prompts by."""

_FILES = ("vocab.json", "merges.txt")


def write_tokenizer(folder: Path, source: str | Path, text_config: Mapping[str, Any]) -> None:
    """Write a tokenizer that transformers reads.

    Args:
        folder: Where to; absent.
        source: A folder with vocab.json and merges.txt, or a hub id.
        text_config: Of the text encoder that reads its tokens.

    Raises:
        CheckpointError: The source isn't there, or has another vocabulary than the text encoder.
    """
    found = _find_tokenizer(source)
    tokens = len(read_json(found / "vocab.json"))
    if tokens != text_config["vocab_size"]:
        raise CheckpointError(
            f"{found}: expected a vocabulary of {text_config['vocab_size']} tokens, as the text encoder has, "
            f"got {tokens}"
        )
    folder.mkdir(parents=True)
    for name in _FILES:
        shutil.copyfile(found / name, folder / name)
    special = {
        "bos_token": "<|startoftext|>",
        **dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>"),
    }
    config = {
        **special,
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": text_config["max_position_embeddings"],
        "add_prefix_space": False,
        "do_lower_case": True,
    }
    for name, content in (("special_tokens_map.json", special), ("tokenizer_config.json", config)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _find_tokenizer(source: str | Path) -> Path:
    folder = Path(source).expanduser()
    if not folder.is_dir():
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415

        try:
            folder = Path(snapshot_download(str(source), allow_patterns=list(_FILES)))
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise CheckpointError(
                f"the single file has no tokenizer, and {source} can't be had from the hub "
                f"({type(error).__name__}); name a folder with {' and '.join(_FILES)}"
            ) from error
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(f"{folder}: expected a CLIP tokenizer, {', '.join(missing)} missing")
    return folder
