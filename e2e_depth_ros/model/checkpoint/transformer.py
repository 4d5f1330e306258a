"""Networks of transformers, loaded as strictly as the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, first_line
from e2e_depth_ros.core.user_file import check_file
from e2e_depth_ros.model.checkpoint.configs import check_network_config, read_json
from e2e_depth_ros.model.checkpoint.locate import choose_weights, variant_of, weight_files
from e2e_depth_ros.model.checkpoint.weights import check_dtypes, check_values, read_tensor_table

_MAX_TOKENIZER_BYTES = 1 << 24  # CLIP's largest file has an eighth of it
_INDICES = ("position_ids",)  # 0, 1, 2, ..., which older versions saved beside the weights


def load_transformer(model_class: Any, folder: Path) -> Any:
    """Load one of transformers' models from safetensors, verified: every tensor present, finite.

    Args:
        model_class: Of transformers.
        folder: With config.json and the weights.

    Raises:
        CheckpointError: Something is missing, broken or of the wrong shape.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    chosen = choose_weights(names, torch.float32, "model") or ""
    files = weight_files(folder, torch.float32, "model")
    check_dtypes(read_tensor_table(files), whole_numbers=_INDICES)
    check_network_config(read_json(folder / "config.json"), folder / "config.json")
    try:
        with _without_bars():
            model, info = model_class.from_pretrained(
                folder,
                variant=variant_of(chosen) or None,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # a config can make transformers fail anywhere
        raise CheckpointError(
            f"{folder}: transformers can't build this network ({first_line(error)})"
        ) from error
    missing = sorted({*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])})
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} tensors are missing or of the wrong shape ({missing[0]}, ...)"
        )
    for name, tensor in model.named_parameters():
        check_values(tensor, name, files[0])
    return model


def load_tokenizer(folder: Path) -> Any:
    """Load CLIP's tokenizer.

    Args:
        folder: Of a checkpoint, with tokenizer/.

    Raises:
        CheckpointError: Something is missing or broken.
    """
    from transformers import CLIPTokenizer  # noqa: PLC0415 - optional

    tokenizer = folder / "tokenizer"
    try:
        for path in tokenizer.iterdir():
            if check_file(path) > _MAX_TOKENIZER_BYTES:
                raise InvalidInputError(f"{path.name} has more than {_MAX_TOKENIZER_BYTES} bytes")  # noqa: TRY301
        return CLIPTokenizer.from_pretrained(tokenizer, local_files_only=True)
    except Exception as error:  # broken files can make transformers fail anywhere
        raise CheckpointError(
            f"{tokenizer}: transformers can't read this tokenizer ({first_line(error)})"
        ) from error


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers' bars off stderr for a while."""
    from transformers.utils import logging  # noqa: PLC0415 - optional

    shows_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shows_bars:
            logging.enable_progress_bar()
