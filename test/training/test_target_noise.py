"""Noise in the target's place: the step undoes it, and it is the same each time."""

import dataclasses
import json
import shutil

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint.writing import write_checkpoint
from e2e_depth_ros.model.decoded import depth_from_decoded
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.noise import pyramid_noise
from e2e_depth_ros.model.families.one_step import ONE_STEP_SCHEDULER, OneStepSampler, denoising_step
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.loop import STATE, train
from e2e_depth_ros.training.objectives.end_to_end import batch_losses
from e2e_depth_ros.training.recipe import LossRecipe, NormalsLossRecipe, recipe_from_mapping
from e2e_depth_ros.training.shards import Sample, write_shard
from e2e_depth_ros.training.start import model_from_start
from e2e_depth_ros.training.target_noise import TargetNoise

SHAPE = (3, 4, 40, 64)


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon", "sample"])
@pytest.mark.parametrize("set_alpha_to_one", [True, False])
def test_step_from_noise_is_diffusers_step(prediction_type, set_alpha_to_one):
    config = {
        **ONE_STEP_SCHEDULER,
        "prediction_type": prediction_type,
        "set_alpha_to_one": set_alpha_to_one,
    }
    scheduler = DDIMScheduler.from_config(config)
    scheduler.set_timesteps(1)
    output, start = torch.randn(2, 2, 4, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = scheduler.step(output, 999, start).prev_sample
    step = denoising_step(config)
    torch.testing.assert_close(step(output, start), expected, rtol=1e-4, atol=1e-4)
    if prediction_type != "sample" or not set_alpha_to_one:
        assert (step(output) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["gaussian", "pyramid"])
def test_noise_depends_on_seed_and_batch_alone(kind):
    noise = TargetNoise(kind, 4)
    one = noise.draw(SHAPE, 7)
    assert one.shape == SHAPE
    assert one.mean().abs() < 0.5
    torch.testing.assert_close(one.std(dim=(1, 2, 3)), torch.ones(3), rtol=0, atol=0.03)
    torch.manual_seed(99)
    assert torch.equal(one, TargetNoise(kind, 4).draw(SHAPE, 7))
    assert not torch.equal(one, noise.draw(SHAPE, 8))
    assert not torch.equal(one, TargetNoise(kind, 5).draw(SHAPE, 7))


def test_zeros_are_none():
    assert TargetNoise("zeros", 4).draw(SHAPE, 0) is None


def test_pyramid_is_smooth_where_gaussian_is_not():
    def alike(noise):  # correlation of pixels 6 apart
        return float((noise[..., 6:] * noise[..., :-6]).mean())

    shape = (8, 4, 48, 48)
    assert alike(TargetNoise("pyramid", 0).draw(shape, 0)) > 0.1
    assert abs(alike(TargetNoise("gaussian", 0).draw(shape, 0))) < 0.05


def losses_with(model, noise, number=0):
    batch = Batch(
        torch.randint(0, 255, (2, 3, 24, 40), generator=torch.Generator().manual_seed(1), dtype=torch.uint8),
        1 + torch.rand(2, 24, 40, generator=torch.Generator().manual_seed(2)),
        torch.zeros(2, 3, 24, 40),
    )
    recipe = LossRecipe(normals=NormalsLossRecipe(weight=0.0))
    with torch.no_grad():
        return float(batch_losses(model, batch, recipe, torch.ones(3), noise, number).total)


def test_loss_sees_the_noise_of_its_batch(tiny_checkpoint):
    model = load_checkpoint(tiny_checkpoint("e2e_ft_depth")).model
    zeros, gaussian = TargetNoise("zeros", 1), TargetNoise("gaussian", 1)
    assert losses_with(model, zeros) == losses_with(model, None)
    with pytest.raises(InvalidInputError, match="expected no noise"):
        losses_with(model, gaussian)
    model.sampler = OneStepSampler(model.sampler.step, "gaussian")
    assert losses_with(model, gaussian, 3) == losses_with(model, gaussian, 3)
    assert len({losses_with(model, gaussian, number) for number in range(3)}) == 3


def test_network_of_the_image_alone_takes_no_noise(tiny_checkpoint):
    model = load_checkpoint(tiny_checkpoint("four_channels")).model
    with pytest.raises(InvalidInputError, match="expected no noise"):
        model.predict(torch.zeros(1, 4, 6, 8), Task.DEPTH, torch.zeros(1, 4, 6, 8))


def recipe(folder, kind, start):
    return recipe_from_mapping(
        {
            "model": {"start": str(start), "target_noise": kind, "train_autoencoder": False},
            "data": {
                "train": [{"shards": str(folder / "*.npz")}],
                "sizes": [{"height": 32, "width": 48}],
                "batch_size": 1,
                "workers": 0,
            },
            "loss": {"normals": {"weight": 0.0}},
            "optimiser": {"steps": 2, "learning_rate": 1e-3, "warmup_steps": 1, "accumulate": 2},
            "run": {"device": "cpu", "threads": 1, "log_seconds": 60.0},
        }
    )


def test_resumed_with_noise_equals_uninterrupted(tiny_checkpoint, tmp_path):
    v, u = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    depth_m = (2 + 0.1 * u + 0.2 * v).numpy()
    image = torch.stack([u * 5, v * 7, u + v], dim=-1).byte().numpy()
    normals = torch.zeros(32, 48, 3).numpy()
    write_shard(tmp_path / "a.npz", [Sample(image, depth_m, normals, 40.0, "room", 0)])
    whole = recipe(tmp_path, "pyramid", tiny_checkpoint("marigold_depth"))
    train(whole, tmp_path / "whole")
    half = dataclasses.replace(whole, optimiser=dataclasses.replace(whole.optimiser, steps=1))
    train(half, tmp_path / "parts")
    train(whole, tmp_path / "parts", resume=True)
    train(recipe(tmp_path, "zeros", tiny_checkpoint("marigold_depth")), tmp_path / "zeros")
    one, other, zeros = (load_file(tmp_path / name / STATE) for name in ("whole", "parts", "zeros"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert not torch.equal(one["model.unet.conv_out.weight"], zeros["model.unet.conv_out.weight"])


@pytest.mark.parametrize("kind", ["gaussian", "pyramid"])
def test_what_was_trained_from_noise_starts_from_it(tiny_checkpoint, tmp_path, kind):
    start = model_from_start(recipe(tmp_path, kind, tiny_checkpoint("marigold_depth")).model, [Task.DEPTH])
    folder = write_checkpoint(tmp_path / "tuned", start.model.eval(), start.facts, torch.float32)
    assert read_facts(folder).target_noise == kind
    image = torch.randint(0, 255, (32, 48, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    estimators = [
        Estimator.load(folder, device="cpu", processing_resolution=48, sampling=Sampling(seed=seed))
        for seed in (4, 4, 5)
    ]
    one, again, other = (estimator.estimate(image.numpy()).depth.values for estimator in estimators)
    assert (one == again).all()
    assert (one != other).any()
    generator = torch.Generator().manual_seed(4)
    noise = (
        torch.randn(1, 4, 4, 6, generator=generator)
        if kind == "gaussian"
        else pyramid_noise((1, 4, 4, 6), generator)
    )
    model = start.model
    with torch.no_grad():
        latents = model.encode(image.permute(2, 0, 1)[None] / 127.5 - 1)
        expected = depth_from_decoded(model.decode(model.predict(latents, Task.DEPTH, noise)))
        torch.testing.assert_close(torch.from_numpy(one), expected[0], rtol=0, atol=1e-5)
        with pytest.raises(InvalidInputError, match="expected noise for each of 1 predictions, got none"):
            model.denoise(latents, [Task.DEPTH])


def test_refuses_a_checkpoint_of_unknown_noise(tiny_checkpoint, tmp_path):
    folder = shutil.copytree(tiny_checkpoint("e2e_ft_depth"), tmp_path / "copy-depth")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "target_noise": "pink"}))
    with pytest.raises(CheckpointError, match="expected target_noise zeros, gaussian, pyramid, got 'pink'"):
        read_facts(folder)
