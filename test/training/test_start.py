"""Trainings that start from a checkpoint, and what they ship: what diffusers' pipelines read alike."""

import dataclasses
import json
import shutil

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, MarigoldDepthPipeline, MarigoldNormalsPipeline
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.loop import STATE, Trainer, train
from e2e_depth_ros.training.recipe import ModelRecipe, recipe_from_mapping
from e2e_depth_ros.training.start import fit_conv_in, model_from_start

diffusers.utils.logging.set_verbosity_error()


def recipe(walls, start, task=Task.DEPTH, **model):
    other = "normals" if task is Task.DEPTH else "depth"
    return recipe_from_mapping(
        {
            "seed": 5,
            "model": {
                "name": "tuned",
                "start": str(start),
                "processing_resolution": 56,
                "train_autoencoder": False,
                **model,
            },
            "data": {
                "train": [{"shards": str(walls / "*.npz")}],
                "validation": [{"shards": str(walls / "*.npz"), "limit": 2}],
                "sizes": [{"height": 32, "width": 48}],
                "batch_size": 2,
                "workers": 0,
            },
            "loss": {other: {"weight": 0.0}},
            "optimiser": {"steps": 3, "learning_rate": 1e-3, "warmup_steps": 1, "accumulate": 2},
            "run": {"device": "cpu", "threads": 1, "log_seconds": 0.0},
        }
    )


def start_recipe(start, **options):
    return ModelRecipe(start=str(start), **options)


def weights_of(folder, component):
    return load_file(next((folder / component).glob("diffusion_pytorch_model*.safetensors")))


def test_conv_in_for_a_target_is_repeated_and_halved(tiny_checkpoint):
    unet = load_checkpoint(tiny_checkpoint("four_channels")).model.unet
    before = {name: tensor.clone() for name, tensor in unet.conv_in.state_dict().items()}
    wide = fit_conv_in(unet, 4, reads_target=True)
    assert wide.config.in_channels == 8
    image, target = torch.randn(2, 2, 4, 6, 10)
    with torch.no_grad():
        old = [torch.conv2d(x, before["weight"], padding=1) for x in (image, target)]
        expected = (old[0] + old[1] + before["bias"].view(1, -1, 1, 1)) / 2
        torch.testing.assert_close(wide.conv_in(torch.cat([image, target], dim=1)), expected)


def test_dropping_the_target_is_exact_for_zeros(tiny_checkpoint):
    folder = tiny_checkpoint("marigold_depth")
    images = torch.rand(2, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        models = [
            model_from_start(start_recipe(folder, reads_target=reads), [Task.DEPTH]).model
            for reads in (True, False)
        ]
        wide, narrow = (model(images, Task.DEPTH) for model in models)
    assert [model.unet.config.in_channels for model in models] == [8, 4]
    assert wide.std() > 0.01
    torch.testing.assert_close(narrow, wide, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layout", ["marigold_depth_v1_0", "zero_snr", "epsilon", "e2e_ft_depth"])
def test_start_keeps_the_noise_and_what_the_output_means(tiny_checkpoint, layout):
    folder = tiny_checkpoint(layout)
    start = model_from_start(start_recipe(folder), [Task.DEPTH])
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    # x0 as diffusers' own scheduler derives it, at the last timestep and from zeros.
    scheduler = DDIMScheduler.from_config(config, timestep_spacing="trailing")
    scheduler.set_timesteps(1)
    output = torch.randn(1, 4, 6, 9)
    expected = scheduler.step(output, 999, torch.zeros_like(output)).pred_original_sample
    torch.testing.assert_close(start.model.sampler.step(output), expected)
    assert start.model.sampler.step.timestep == 999
    assert start.facts.tasks == {Task.DEPTH}
    assert start.model.training


@pytest.mark.parametrize(
    ("layout", "task", "options"),
    [
        ("marigold_depth", Task.DEPTH, {"gradient_checkpointing": True}),
        ("marigold_normals_v1_1", Task.NORMALS, {}),
        ("leading_and_silent_depth", Task.NORMALS, {"padded_prompt": True}),
        ("four_channels", Task.DEPTH, {"reads_target": True}),
        ("stable_diffusion", Task.DEPTH, {}),
        ("fp16", Task.DEPTH, {}),
    ],
)
def test_what_is_shipped_diffusers_reads_alike(tiny_checkpoint, tmp_path, walls, layout, task, options):
    start = tiny_checkpoint(layout)
    result = train(recipe(walls, start, task, **options), tmp_path)
    assert result.bad_steps == 0
    folder = result.checkpoint
    assert read_facts(folder).tasks == {task}
    # The autoencoder was frozen, the denoiser learnt.
    for name, tensor in weights_of(start, "vae").items():
        assert torch.equal(weights_of(folder, "vae")[name], tensor.half()), name
    before, after = weights_of(start, "unet"), weights_of(folder, "unet")
    changed = [n for n, t in after.items() if before[n].shape == t.shape and (before[n].half() != t).any()]
    assert len(changed) > 0.9 * len(after)

    pipeline_class = MarigoldDepthPipeline if task is Task.DEPTH else MarigoldNormalsPipeline
    pipeline = pipeline_class.from_pretrained(folder)  # as its documentation says
    image = np.random.default_rng(1).integers(0, 255, (40, 56, 3)).astype(np.uint8)
    expected = pipeline(
        torch.from_numpy(image.transpose(2, 0, 1).copy())[None] / 255,
        num_inference_steps=1,
        processing_resolution=56,
        latents=torch.zeros(1, 4, 5, 7),
    ).prediction[0]
    estimator = Estimator.load(folder, device="cpu", processing_resolution=56)
    estimate = estimator.estimate_batch([image], tasks=[task])[0]
    if task is Task.DEPTH:
        np.testing.assert_allclose(estimate.depth.values, expected[..., 0], rtol=0, atol=2e-5)
    else:
        # An index that says nothing is E2E-FT's: x points left.
        sign_of_x = -1 if layout == "leading_and_silent_depth" else 1
        optical = expected * np.array([sign_of_x, -1, -1], dtype=np.float32)
        np.testing.assert_allclose(estimate.normals.values, optical, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("layout", "asked", "said"),
    [
        ("embedded", "auto", "guided"),
        ("embedded", "bilinear", "bilinear"),
        ("marigold_depth", "auto", "bilinear"),
    ],
)
def test_the_upsampling_is_the_starts_unless_the_recipe_says_another(tiny_checkpoint, layout, asked, said):
    start = model_from_start(start_recipe(tiny_checkpoint(layout), upsampling=asked), [Task.DEPTH])
    assert start.facts.upsampling == said


def test_image_alone_and_no_text_encoder(tiny_checkpoint, tmp_path, walls):
    four = train(recipe(walls, tiny_checkpoint("four_channels"), reads_target=False), tmp_path / "four")
    assert load_checkpoint(four.checkpoint).model.unet.config.in_channels == 4
    # The embedded model's layout: an embedding for each task, nothing to add.
    base = recipe(walls, tiny_checkpoint("embedded"), train_autoencoder=True)
    both = dataclasses.replace(base, loss=type(base.loss)())
    result = train(both, tmp_path / "both")
    assert load_checkpoint(result.checkpoint).facts.tasks == {Task.DEPTH, Task.NORMALS}
    assert not (result.checkpoint / "text_encoder").exists()
    state = load_file(tmp_path / "both" / STATE)
    start = weights_of(tiny_checkpoint("embedded"), "vae")["decoder.conv_out.weight"]
    assert not torch.equal(state["model.vae.decoder.conv_out.weight"], start.float())


def test_resumed_equals_uninterrupted(tiny_checkpoint, tmp_path, walls):
    whole = recipe(walls, tiny_checkpoint("marigold_depth"))
    train(whole, tmp_path / "whole")
    part = dataclasses.replace(whole, optimiser=dataclasses.replace(whole.optimiser, steps=1))
    train(part, tmp_path / "parts")
    train(whole, tmp_path / "parts", resume=True)
    one, other = (load_file(tmp_path / name / STATE) for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def whole_batch(count):
    generator = torch.Generator().manual_seed(3)
    normals = torch.zeros(count, 3, 32, 48)
    normals[:, 2] = -1
    depth_m = 1 + 5 * torch.rand(count, 32, 48, generator=generator)
    images = torch.randint(0, 255, (count, 3, 32, 48), generator=generator, dtype=torch.uint8)
    return Batch(images, depth_m, normals)


def gradients_after(trainer, batches):
    trainer._step(list(enumerate(batches)))
    return {n: p.grad for n, p in trainer.model.named_parameters() if p.grad is not None}


def test_accumulated_batches_are_one_batch_and_checkpointing_changes_nothing(
    tiny_checkpoint, tmp_path, walls
):
    trainers = [
        Trainer(recipe(walls, tiny_checkpoint("marigold_depth"), **options), tmp_path, resume=False)
        for options in ({}, {}, {"gradient_checkpointing": True})
    ]
    batch = whole_batch(4)
    halves = [Batch(*(tensor[part] for tensor in batch[:3])) for part in (slice(0, 2), slice(2, 4))]
    whole, parts, recomputed = (
        gradients_after(trainer, batches)
        for trainer, batches in zip(trainers, ([batch], halves, [batch]), strict=True)
    )
    assert whole.keys() == parts.keys() == recomputed.keys()
    assert not any(name.startswith("vae.") for name in whole)
    assert max(gradient.abs().max() for gradient in whole.values()) > 1e-3
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(recomputed[name], gradient, rtol=1e-5, atol=1e-7)


def test_padded_prompt_trains_and_the_other_is_shipped(tiny_checkpoint, tmp_path, walls):
    start = tiny_checkpoint("marigold_depth")
    trainer = Trainer(recipe(walls, start, padded_prompt=True), tmp_path, resume=False)
    assert trainer.model.prompt_embedding(Task.DEPTH).shape == (1, 77, 12)
    shipped = load_checkpoint(trainer.run().checkpoint)
    original = load_checkpoint(start)
    assert torch.equal(
        shipped.model.prompt_embedding(Task.DEPTH), original.model.prompt_embedding(Task.DEPTH)
    )
    modes = {path.stat().st_mode for path in shipped.facts.folder.glob("*.*")}
    assert len(modes) == 1


@pytest.mark.parametrize("layout", ["geowizard_v1", "geowizard_v2"])
def test_refuses_geowizard(tiny_checkpoint, layout):
    with pytest.raises(InvalidInputError, match=r"model\.start: expected .* UNet, VAE and prompt"):
        model_from_start(start_recipe(tiny_checkpoint(layout)), [Task.DEPTH])


@pytest.mark.parametrize("layout", ["lotus_d_depth", "genpercept_depth"])
def test_refuses_families_that_it_cannot_train(tiny_checkpoint, layout):
    with pytest.raises(InvalidInputError, match="expected Stable Diffusion, Marigold or E2E-FT, got"):
        model_from_start(start_recipe(tiny_checkpoint(layout)), [Task.DEPTH])


def test_refuses_two_tasks_that_are_asked_for_alike(tiny_checkpoint):
    with pytest.raises(InvalidInputError, match="same prompt"):
        model_from_start(start_recipe(tiny_checkpoint("marigold_depth")), [Task.DEPTH, Task.NORMALS])


def test_refuses_disparity(tiny_checkpoint, tmp_path):
    folder = shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "disparity")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "prediction_type": "disparity"}))
    with pytest.raises(InvalidInputError, match="of disparity"):
        model_from_start(start_recipe(folder), [Task.DEPTH])


def test_refuses_sizes_that_the_start_cannot_see(tiny_checkpoint, tmp_path, walls):
    base = recipe(walls, tiny_checkpoint("marigold_depth"))
    size = dataclasses.replace(base.data.sizes[0], width=44)  # its autoencoder's factor is 8
    wrong = dataclasses.replace(base, data=dataclasses.replace(base.data, sizes=(size,)))
    with pytest.raises(InvalidInputError, match="factor 8, got 32 x 44"):
        train(wrong, tmp_path / "out")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"start": "a/b", "unet": {"layers": 2}}, "neither beside start"),
        ({"padded_prompt": True}, "padded_prompt: expected false without start"),
        ({"reads_target": False}, "reads_target: expected true without start"),
    ],
)
def test_refuses_keys_that_contradict_each_other(model, message):
    with pytest.raises(InvalidInputError, match=message):
        recipe_from_mapping({"model": model, "data": {"train": [{"shards": "a"}]}, "optimiser": {"steps": 1}})
