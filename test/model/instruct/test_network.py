"""Three passes, their order and their sum; the sampler; the whole against diffusers' pipeline."""

from __future__ import annotations

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerAncestralDiscreteScheduler,
    StableDiffusionInstructPix2PixPipeline,
    UNet2DConditionModel,
)

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.instruct.network import (
    KEYPOINTS,
    SEGMENTATION,
    Guidance,
    InstructNetwork,
    guided_noise,
)


def scheduler() -> EulerAncestralDiscreteScheduler:
    return EulerAncestralDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


ALPHA_BAR = scheduler().alphas_cumprod


@pytest.fixture(scope="module")
def network(converted) -> InstructNetwork:
    unet = UNet2DConditionModel.from_pretrained(converted.folder / "unet").eval()
    vae = AutoencoderKL.from_pretrained(converted.folder / "vae").eval()
    return InstructNetwork(unet, vae, ALPHA_BAR)


def test_guidance_is_the_published_sum():
    full, image, text = torch.tensor([1.0, 7.0]), torch.tensor([10.0, 2.0]), torch.tensor([100.0, 3.0])
    expected = [0.5 * (10 + 100) + 7.5 * (1 - 10) + 1.5 * (1 - 100), 0.5 * 5 + 7.5 * 5 + 1.5 * 4]
    assert guided_noise(full, image, text, SEGMENTATION).tolist() == pytest.approx(expected)
    same = torch.full((3,), 2.5)
    assert guided_noise(same, same, same, KEYPOINTS).tolist() == pytest.approx([2.5] * 3)


@torch.no_grad()
def test_three_passes_of_the_original_network_make_the_noise(network, converted):
    """The reference: the original layout's own network, asked three times, the target's channels first."""
    generator = torch.Generator().manual_seed(0)
    latents, image = torch.randn(2, 2, 4, 8, 12, generator=generator)
    texts, empty = torch.randn(2, 77, 128, generator=generator), torch.randn(1, 77, 128, generator=generator)
    time = torch.full((2,), 640.5)
    original = converted.original.unet
    no_text, no_image = torch.cat([empty, empty]), torch.zeros_like(image)
    full = original(torch.cat([latents, image], 1), time, texts)
    image_only = original(torch.cat([latents, image], 1), time, no_text)
    text_only = original(torch.cat([latents, no_image], 1), time, texts)
    s_text, s_image = 6.0, 0.5
    expected = 0.5 * (image_only + text_only) + s_text * (full - image_only) + s_image * (full - text_only)
    for batch in (None, 1, 4):
        found = network.predict_noise(latents, 640.5, image, texts, empty, KEYPOINTS, batch=batch)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
    assert (full - image_only).abs().max() > 0.01  # else the test would not see the order
    assert (full - text_only).abs().max() > 0.01


@torch.no_grad()
def test_latents_of_the_image_are_the_unscaled_mode(network, converted):
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1
    latents = network.encode(images)
    torch.testing.assert_close(latents, converted.original.vae.encode(images), rtol=0, atol=2e-5)
    torch.testing.assert_close(
        network.decode(latents * 0.18215), converted.original.vae.decode(latents), rtol=0, atol=2e-5
    )
    torch.testing.assert_close(network.decode(latents * 0.18215), network.reconstruct(latents))
    assert network.multiple == 8 * 4


@torch.no_grad()
def test_painting_is_that_of_diffusers_pipeline(network, converted):
    """InstructPix2Pix has other guidance: with weights 1 of the image and s of the text, the two agree.

    There the sum is e_none + s (e_full - e_image) + 1 (e_image - e_none), here with s_I = 1/2 it is
    e_image + (s_T + 1/2) (e_full - e_image).
    """
    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(converted.folder)
    pipeline.set_progress_bar_config(disable=True)
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(6))
    expected = pipeline(
        "paint it red",
        image=image,
        num_inference_steps=4,
        guidance_scale=3.0,
        image_guidance_scale=1.0,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
    ).images
    texts = [
        pipeline.text_encoder(
            pipeline.tokenizer(text, padding="max_length", max_length=77, return_tensors="pt").input_ids
        )[0]
        for text in ("paint it red", "")
    ]
    found = network.sample(
        network.encode(image * 2 - 1),
        *texts,
        steps=4,
        guidance=Guidance(2.5, 0.5),
        generator=torch.Generator().manual_seed(7),
    )
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_a_network_of_other_channels_is_refused(network):
    unet = UNet2DConditionModel(in_channels=4, block_out_channels=(32,) * 4)
    with pytest.raises(CheckpointError, match=r"from 8 channels .* got one from 4 to 4"):
        InstructNetwork(unet, network.vae, ALPHA_BAR)
