"""Conversion, guidance and sampling against numbers from a run of the published programs.

published_run.json says how they were made.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from e2e_depth_ros.model.instruct.ancestral import noise_levels
from e2e_depth_ros.model.instruct.conversion import convert_checkpoint
from e2e_depth_ros.model.instruct.network import SEGMENTATION, InstructNetwork
from e2e_depth_ros.model.instruct.painter import Painter
from helpers.known_weights import known_numbers, known_weights
from helpers.ldm_tiny import make_ldm_checkpoint, write_tokenizer

PUBLISHED = json.loads(Path(__file__).with_name("published_run.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> InstructNetwork:
    folder = tmp_path_factory.mktemp("published")
    checkpoint = make_ldm_checkpoint()
    for seed, part in ((1, checkpoint.unet), (2, checkpoint.vae)):
        part.load_state_dict(known_weights(part.state_dict(), seed))
    torch.save({"state_dict": checkpoint.tensors}, folder / "known.ckpt")
    convert_checkpoint(folder / "known.ckpt", folder / "out", tokenizer=write_tokenizer(folder / "clip"))
    return Painter.load(folder / "out").network


def published(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(PUBLISHED[name]).view(shape)


def test_noise_levels_are_those_of_the_published_run(network):
    sigmas = [level.sigma for level in noise_levels(network.alpha_bar, 7)]
    assert [*sigmas, 0.0] == pytest.approx(PUBLISHED["sigmas"], rel=1e-4)


@torch.inference_mode()
def test_painting_is_that_of_the_published_run(network):
    image = known_numbers((1, 3, 64, 96), 90).clamp(-2, 2) / 2
    image_latents = network.encode(image)
    expected = published("image_latents", (1, 4, 8, 12))
    torch.testing.assert_close(image_latents, expected, rtol=0, atol=1e-4)
    latents = network.sample(
        image_latents,
        known_numbers((1, 77, 128), 91),
        known_numbers((1, 77, 128), 92),
        steps=7,
        guidance=SEGMENTATION,
        generator=torch.Generator().manual_seed(93),
    )
    expected = published("painted_latents", (1, 4, 8, 12))
    torch.testing.assert_close(latents, expected, rtol=0, atol=2e-3 * float(expected.std()))
    painted = network.decode(latents)[0, :, ::8, ::8]
    torch.testing.assert_close(painted, published("painted", (3, 8, 12)), rtol=0, atol=2e-3)
