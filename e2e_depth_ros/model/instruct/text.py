"""What an instruction is to the network: its words embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError, MissingDependencyError
from e2e_depth_ros.model.checkpoint.transformer import load_tokenizer, load_transformer


class TextEncoder:
    """CLIP's text encoder with its tokenizer, as Stable Diffusion 1 uses them.

    It stays where it was loaded: instructions are few, and each is embedded once.

    Args:
        folder: Of a checkpoint, with text_encoder/ and tokenizer/.

    Raises:
        CheckpointError: Something is missing or broken.
        MissingDependencyError: transformers is absent.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from transformers import CLIPTextModel  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingDependencyError(
                f"{folder.name}: reading instructions needs transformers: pip install transformers"
            ) from error
        self._model: Any = load_transformer(CLIPTextModel, folder / "text_encoder").float().eval()
        self._tokenizer: Any = load_tokenizer(folder)
        self._known: dict[str, Tensor] = {}

    @property
    def length(self) -> int:
        """Tokens of a text, begin and end among them; shorter ones are padded."""
        return int(self._model.config.max_position_embeddings)

    @property
    def tensors(self) -> int:
        """How many tensors it holds."""
        return len(list(self._model.parameters()))

    def __call__(self, text: str) -> Tensor:
        """Embed a text, (1, n, d), float32.

        Raises:
            InvalidInputError: It is too long: what comes last would not be read.
        """
        if text not in self._known:
            tokens = self._tokenizer(text, padding="max_length", max_length=self.length, return_tensors="pt")
            found = tokens.input_ids.shape[1]
            if found > self.length:
                raise InvalidInputError(
                    f"expected an instruction of at most {self.length - 2} tokens, got {found - 2}: {text!r}"
                )
            with torch.inference_mode():
                embedded: Tensor = self._model(tokens.input_ids)[0]
            self._known[text] = embedded.clone()
        return self._known[text]
