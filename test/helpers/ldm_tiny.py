"""Makes tiny random checkpoints in Stable Diffusion's original layout, which is InstructDiffusion's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from helpers.ldm_reference import LdmUnet, LdmVae

WIDTH = 128  # of the text encoder: two heads of 64


@dataclass(frozen=True)
class LdmCheckpoint:
    unet: LdmUnet
    vae: LdmVae
    text_encoder: CLIPTextModel

    @property
    def tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.diffusion_model.{k}": v for k, v in self.unet.state_dict().items()}
        tensors |= {f"first_stage_model.{k}": v for k, v in self.vae.state_dict().items()}
        for name, tensor in self.text_encoder.state_dict().items():
            tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
        return tensors


def make_ldm_checkpoint(seed: int = 0, *, unet_inputs: int = 8) -> LdmCheckpoint:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = LdmCheckpoint(
            LdmUnet((32, 64, 64), (True, True, False), layers=2, context=WIDTH, inputs=unet_inputs).eval(),
            LdmVae((32, 64, 64, 64), layers=1).eval(),
            CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=514,
                    hidden_size=WIDTH,
                    intermediate_size=96,
                    num_hidden_layers=2,
                    num_attention_heads=WIDTH // 64,
                    max_position_embeddings=77,
                    bos_token_id=512,
                    eos_token_id=513,
                    pad_token_id=513,
                )
            ).eval(),
        )
        with torch.no_grad():
            for part in (made.unet, made.vae, made.text_encoder):
                for parameter in part.parameters():  # norms and biases, too, so that none may be swapped
                    parameter.add_(torch.randn_like(parameter), alpha=0.02)
            for parameter in made.unet.out[2].parameters():
                parameter.mul_(3)
    return made


def write_tokenizer(folder: Path) -> Path:
    """Write a CLIP tokenizer whose vocabulary is the 256 bytes."""
    letters = [chr(b) for b in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: index for index, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder
