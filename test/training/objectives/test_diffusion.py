"""Marigold's training: gradients, resuming, and checkpoints that everybody reads."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, MarigoldDepthPipeline
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.weights import load_autoencoder
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.multi_step import DIFFUSION
from e2e_depth_ros.model.families.one_step import ONE_STEP
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.loop import LOG, STATE, train
from e2e_depth_ros.training.objectives.choice import build_objective
from e2e_depth_ros.training.objectives.targets import known_latents, target_images


def batch(count=2):
    generator = torch.Generator().manual_seed(3)
    normals = torch.zeros(count, 3, 32, 48)
    normals[:, 1], normals[:, 2] = -0.6, -0.8
    depth_m = 1 + 5 * torch.rand(count, 32, 48, generator=generator)
    depth_m[:, 9:11, 17:18] = 0
    images = torch.randint(0, 255, (count, 3, 32, 48), generator=generator, dtype=torch.uint8)
    return Batch(images, depth_m, normals)


@pytest.mark.parametrize("objective", ["diffusion", "image_diffusion"])
def test_gradients_reach_every_weight_of_the_denoiser_and_none_of_the_autoencoder(small, objective):
    built = build_objective(small(objective))
    losses = built(batch(), 0)
    losses.total.backward()
    for name, parameter in built.model.named_parameters():
        assert (parameter.grad is None) == name.startswith("vae."), name
    assert all(p.grad.isfinite().all() for p in built.model.unet.parameters())
    assert built.model.unet.conv_in.weight.grad.abs().max() > 0


def test_loss_is_the_error_of_v_where_all_pixels_of_a_latent_are_known(small):
    objective = build_objective(small("diffusion"))
    one = batch()
    known = known_latents(one, Task.DEPTH, 4)
    assert known.shape == (2, 1, 8, 12)
    # The unknown pixels lie in row 2 and column 4 of the latents.
    assert (~known).nonzero()[:, 2:].unique(dim=0).tolist() == [[2, 4]]
    model = objective.model
    with torch.no_grad():
        image = model.encode(one.images / 127.5 - 1)
        clean = model.encode(target_images(one, Task.DEPTH, torch.ones(3)))
        timesteps = objective.noising.timesteps(2, 5)
        noise = objective.noising.noise(clean.shape, timesteps, 5)
        scheduler = DDIMScheduler.from_config(objective.facts.scheduler_config)
        noisy = scheduler.add_noise(clean, noise, timesteps)
        prompts = model.prompt_embedding(Task.DEPTH).expand(2, -1, -1)
        output = model.unet(torch.cat([image, noisy], dim=1), timesteps, prompts).sample
        # diffusers' DDIM scheduler has the velocity in its sibling only.
        share = scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
        error = output - (share.sqrt() * noise - (1 - share).sqrt() * clean)
        expected = error.square()[known.expand_as(error)].mean()
        torch.testing.assert_close(objective(one, 5).total, expected)
        assert objective(one, 6).total != expected


def test_depth_target_is_marigolds():
    depth_m = torch.linspace(1, 3, 32 * 48).view(1, 32, 48).clone()
    depth_m[0, 0, 0] = 0
    normals = torch.tensor([0.0, -0.6, -0.8]).view(1, 3, 1, 1).expand(1, 3, 32, 48)
    one = Batch(torch.zeros(1, 3, 32, 48, dtype=torch.uint8), depth_m, normals)
    target = target_images(one, Task.DEPTH, torch.ones(3))
    assert target.shape == (1, 3, 32, 48)
    assert torch.equal(target[:, 0], target[:, 2])
    assert target[0, 0, 0, 0] == 1  # unknown is far
    assert target[0, 0, 0, 1] == -1
    assert target[0, 0, -1, -1] == 1
    low, high = torch.quantile(depth_m[depth_m > 0], torch.tensor([0.02, 0.98]))
    middle = 2 * (depth_m[0, 16, 7] - low) / (high - low) - 1
    torch.testing.assert_close(target[0, 0, 16, 7], middle, rtol=0, atol=1e-3)
    turned = target_images(one, Task.NORMALS, torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(turned[0, :, 3, 3], torch.tensor([0.0, 0.6, 0.8]))


@pytest.mark.parametrize("objective", ["diffusion", "image_diffusion", "autoencoder"])
def test_resumed_equals_uninterrupted(small, tmp_path, objective):
    whole = small(objective)
    train(whole, tmp_path / "whole")
    half = dataclasses.replace(whole, optimiser=dataclasses.replace(whole.optimiser, steps=2))
    train(half, tmp_path / "parts")
    train(whole, tmp_path / "parts", resume=True)
    one, other = (load_file(tmp_path / name / STATE) for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_what_is_shipped_diffusers_samples_alike(small, tmp_path):
    recipe = small("diffusion", diffusion={"steps": 3})
    result = train(recipe, tmp_path)
    facts = read_facts(result.checkpoint)
    assert (facts.family, facts.steps, facts.tasks) == (DIFFUSION, 3, {Task.DEPTH})
    assert result.scores["validation"].images == 2
    image = np.random.default_rng(1).integers(0, 255, (40, 56, 3)).astype(np.uint8)
    sampling = Sampling(steps=3, spacing="trailing")
    estimate = Estimator.load(result.checkpoint, device="cpu", sampling=sampling).estimate(image)
    pipeline = MarigoldDepthPipeline.from_pretrained(result.checkpoint, text_encoder=None, tokenizer=None).to(
        torch.float32
    )
    pipeline.empty_text_embedding = load_checkpoint(result.checkpoint).model.prompt_embedding(Task.DEPTH)
    expected = pipeline(
        torch.from_numpy(image.transpose(2, 0, 1).copy())[None] / 255,
        num_inference_steps=3,
        processing_resolution=56,
        latents=torch.randn(1, 4, 10, 14, generator=torch.Generator().manual_seed(0)),
    ).prediction[0, ..., 0]
    assert expected.std() > 1e-3
    np.testing.assert_allclose(estimate.depth.values, expected, rtol=0, atol=2e-4)


def test_zero_terminal_snr_is_shipped(small, tmp_path):
    result = train(small("diffusion", diffusion={"zero_terminal_snr": True}), tmp_path)
    config = json.loads((result.checkpoint / "scheduler" / "scheduler_config.json").read_text())
    assert config["rescale_betas_zero_snr"]
    assert config["timestep_spacing"] == "trailing"
    assert load_checkpoint(result.checkpoint).model.sampler.scheduler.alphas_cumprod[-1] == 0


def test_starts_from_marigold_and_keeps_what_its_output_means(small, tmp_path, tiny_checkpoint):
    folder = tiny_checkpoint("epsilon")
    result = train(small("diffusion", {"start": str(folder)}), tmp_path)
    assert read_facts(result.checkpoint).prediction_type == "epsilon"
    assert read_facts(result.checkpoint).latent_channels == 4
    first = json.loads((tmp_path / LOG).read_text().splitlines()[0])
    assert first["depth_loss"] > 0
    before = load_file(next((folder / "vae").glob("*.safetensors")))
    after = load_file(next((result.checkpoint / "vae").glob("*.safetensors")))
    assert all(torch.equal(tensor.half(), after[name]) for name, tensor in before.items())


def test_depth_and_normals_together(small, tmp_path):
    result = train(small("diffusion", loss={}), tmp_path)
    facts = read_facts(result.checkpoint)
    assert facts.tasks == {Task.DEPTH, Task.NORMALS}
    first = json.loads((tmp_path / LOG).read_text().splitlines()[0])
    assert {"depth_loss", "normals_loss"} <= first.keys()


def test_from_autoencoder_to_images_to_depth_to_one_step(small, tmp_path):
    autoencoder = train(small("autoencoder"), tmp_path / "autoencoder")
    assert autoencoder.scores["validation"].images == 2
    folder = autoencoder.checkpoint
    model = {"autoencoder": {"start": str(folder)}, "unet": small.unet}
    images = train(small("image_diffusion", model), tmp_path / "images")
    assert images.scores == {}
    assert json.loads((images.checkpoint / "model_index.json").read_text())["_class_name"] == (
        "StableDiffusionPipeline"
    )
    depth = train(small("diffusion", {"start": str(images.checkpoint)}), tmp_path / "depth")
    assert load_checkpoint(depth.checkpoint).model.unet.config.in_channels == 8
    frozen = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    for run in (images, depth):
        vae = load_autoencoder(run.checkpoint).state_dict()
        assert all(torch.equal(tensor, vae[name].half()) for name, tensor in frozen.items())
    model = {"start": str(images.checkpoint), "train_autoencoder": False}
    tuned = train(small("end_to_end", model), tmp_path / "tuned")
    assert Estimator.load(tuned.checkpoint, device="cpu").facts.family is ONE_STEP


def test_what_makes_images_predicts_nothing(small, tmp_path):
    images = train(small("image_diffusion"), tmp_path)
    with pytest.raises(CheckpointError, match="an image generator; fine-tune it"):
        Estimator.load(images.checkpoint, device="cpu")
