"""Networks of transformers, loaded as strictly as the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.weights import choose_weights, read_tensor_table, variant_of, weight_files


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
    read_tensor_table(weight_files(folder, torch.float32, "model"))
    model, info = model_class.from_pretrained(
        folder,
        variant=variant_of(chosen) or None,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    missing = sorted({*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])})
    missing += [name for name, tensor in model.named_parameters() if not torch.isfinite(tensor).all()]
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} tensors are missing, not finite or of the wrong shape "
            f"({missing[0]}, ...)"
        )
    return model
