"""E2E-FT of GeoWizard: its gradients are right, it learns, and what it ships is GeoWizard again."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.geowizard import JOINT_ONE_STEP
from e2e_depth_ros.model.families.registry import read_facts
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.loop import train
from e2e_depth_ros.training.objectives.choice import build_objective
from e2e_depth_ros.training.recipe import SourceRecipe, recipe_from_mapping
from e2e_depth_ros.training.shards import Sample, write_shard

SIZE = (32, 48)
VERSIONS = ["geowizard_v1", "geowizard_v2"]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A slanted wall, some of its pixels unknown."""
    folder = tmp_path_factory.mktemp("shards")
    v, u = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    depth_m = (2 + 0.03 * u + 0.05 * v).astype(np.float32)
    depth_m[:5, :9] = 0
    normals = np.zeros((*SIZE, 3), np.float32)
    normals[..., 1:] = (-0.6, -0.8)
    image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    write_shard(folder / "train.npz", [Sample(image, depth_m, normals, 40.0, "room", 0)])
    return folder


def recipe(shards, start, *, steps=2, learning_rate=1e-3, **model):
    source = {"shards": str(shards / "*.npz")}
    return recipe_from_mapping(
        {
            "objective": "geowizard",
            "model": {
                "name": "tuned",
                "start": str(start),
                "processing_resolution": 48,
                "train_autoencoder": False,
                **model,
            },
            "data": {
                "train": [source],
                "validation": [source],
                "sizes": [{"height": SIZE[0], "width": SIZE[1]}],
                "batch_size": 2,
                "workers": 0,
            },
            "loss": {"depth": {"weight": 0.5}},
            "optimiser": {"steps": steps, "learning_rate": learning_rate, "warmup_steps": 1},
            "run": {"device": "cpu", "threads": 1, "log_seconds": 0.0},
        }
    )


def batch_of_walls():
    """Two images; of the second only a corner is known."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 255, (2, 3, *SIZE), generator=generator, dtype=torch.uint8)
    depth_m = 1 + 5 * torch.rand(2, *SIZE, generator=generator)
    normals = torch.nn.functional.normalize(torch.randn(2, 3, *SIZE, generator=generator), dim=1)
    depth_m[1, 9:] = 0
    normals[1, :, 9:] = 0
    return Batch(images, depth_m, normals)


@pytest.mark.parametrize("layout", VERSIONS)
def test_gradient_agrees_with_finite_differences(tiny_checkpoint, shards, layout):
    objective = build_objective(recipe(shards, tiny_checkpoint(layout))).double()
    batch = batch_of_walls()
    batch = batch._replace(depth_m=batch.depth_m.double(), normals=batch.normals.double())
    # Wherever the denoiser is told something: what it reads, attends to, is told of, and answers.
    unet = objective.model.unet
    parameters = {
        "conv_in": unet.conv_in.weight,
        "joint attention": unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_k.weight,
        "class": unet.class_embedding.linear_1.weight,
        "conv_out": unet.conv_out.weight,
    }
    # The image is uint8 and becomes float32: the rest of the step is float64.
    objective.model.encode = lambda images, encode=objective.model.encode: encode(images.double())
    tokens = objective._tokens
    objective._tokens = lambda images, domain: tokens(images.double(), domain)

    losses = objective(batch, 0)
    assert losses.total.item() == pytest.approx(
        0.5 * losses.parts["depth_loss"].item() + losses.parts["normals_loss"].item()
    )
    losses.total.backward()
    generator = torch.Generator().manual_seed(1)
    for name, parameter in parameters.items():
        assert parameter.grad.abs().max() > 0, name
        own = parameter.detach().clone()
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        direction /= direction.norm()
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.copy_(own + sign * 1e-5 * direction)
                values.append(objective(batch, 0).total.item())
                parameter.copy_(own)
        numeric = (values[0] - values[1]) / 2e-5
        assert (parameter.grad * direction).sum().item() == pytest.approx(numeric, rel=1e-3, abs=1e-7), name


def test_gradients_reach_the_denoiser_alone(tiny_checkpoint, shards):
    objective = build_objective(recipe(shards, tiny_checkpoint("geowizard_v1"), gradient_checkpointing=True))
    objective(batch_of_walls(), 0).total.backward()
    for name, parameter in objective.model.named_parameters():
        assert (parameter.grad is not None) == name.startswith("unet."), name
    silent = [n for n, p in objective.model.unet.named_parameters() if p.grad.abs().max() == 0]
    # Attention to a single token gives that token, whatever asks for it.
    assert all(".attn2.to_q" in n or ".attn2.to_k" in n or ".norm2." in n for n in silent), silent


def test_each_task_teaches_the_other_half(tiny_checkpoint, shards):
    """Depth and normals are one pass: the depth loss alone has a gradient in the normals' latents."""
    objective = build_objective(recipe(shards, tiny_checkpoint("geowizard_v1")))
    batch = batch_of_walls()
    images = batch.images.float() / 127.5 - 1
    latents = objective.model.encode(images).requires_grad_()
    tokens = objective._tokens(images, "indoor")
    seen = []
    objective.model.unet.conv_in.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].requires_grad_()) or None
    )
    depth, _ = objective.model.denoise(latents, (Task.DEPTH, Task.NORMALS), tokens=tokens).chunk(2)
    (gradient,) = torch.autograd.grad(depth.sum(), seen[0])
    assert gradient.shape[0] == 4
    assert gradient[2:].abs().max() > 0  # the normals' half


@pytest.mark.parametrize("layout", VERSIONS)
def test_is_told_the_kind_of_scene(tiny_checkpoint, shards, layout):
    plain = recipe(shards, tiny_checkpoint(layout))
    sources = (SourceRecipe("a"), SourceRecipe("b", domain="outdoor"))
    data = dataclasses.replace(plain.data, train=sources, one_source_per_batch=True)
    objective = build_objective(dataclasses.replace(plain, data=data)).eval()
    batch = batch_of_walls()
    with torch.no_grad():
        indoor, outdoor = (objective(batch._replace(domain=d), 0).total for d in ("indoor", "outdoor"))
    assert abs(indoor - outdoor) > 1e-6

    data = dataclasses.replace(data, one_source_per_batch=False)
    with pytest.raises(InvalidInputError, match=r"one_source_per_batch: .*indoor and outdoor"):
        build_objective(dataclasses.replace(plain, data=data))


@pytest.mark.parametrize("layout", [*VERSIONS, "geowizard_e2e_ft"])
def test_ships_a_geowizard_of_one_step(tiny_checkpoint, shards, tmp_path, layout):
    start = tiny_checkpoint(layout)
    result = train(recipe(shards, start), tmp_path)
    assert result.bad_steps == 0
    facts = read_facts(result.checkpoint)
    assert facts.family is JOINT_ONE_STEP
    assert facts.tasks == {Task.DEPTH, Task.NORMALS}
    assert facts.normals_axes == read_facts(start).normals_axes
    index = json.loads((result.checkpoint / "model_index.json").read_text())
    assert index["_class_name"] == "DepthNormalEstimationPipeline"
    for part in ("image_encoder", "feature_extractor", "text_encoder", "tokenizer"):
        assert (
            (result.checkpoint / part).is_dir()
            == (start / part).is_dir()
            == (part in index and None not in index[part])
        ), part
    before, after = (load_file(next((f / "unet").glob("*.safetensors"))) for f in (start, result.checkpoint))
    assert before.keys() == after.keys()
    assert sum((before[name].half() != after[name]).any().item() for name in before) > 0.8 * len(before)
    for name, tensor in load_file(next((start / "vae").glob("*.safetensors"))).items():
        assert torch.equal(
            load_file(next((result.checkpoint / "vae").glob("*.safetensors")))[name], tensor.half()
        )

    # What the estimator makes of it is what the training saw, up to half precision.
    objective = build_objective(recipe(shards, result.checkpoint)).eval()
    estimator = Estimator.load(
        result.checkpoint, device="cpu", processing_resolution=0, sampling=Sampling(domain="indoor")
    )
    image = batch_of_walls().images[:1]
    found = estimator.estimate(image[0].permute(1, 2, 0).numpy(), tasks=[Task.DEPTH, Task.NORMALS])
    images = image.float() / 127.5 - 1
    with torch.no_grad():
        latents = objective.model.denoise(
            objective.model.encode(images), (Task.DEPTH,), tokens=objective._tokens(images, "indoor")
        )
        depth = (objective.model.decode(latents).mean(dim=1).clamp(-1, 1) + 1) / 2
    np.testing.assert_allclose(found.depth.values, depth[0].numpy(), rtol=0, atol=1e-5)


def test_learns_one_image_by_heart(tiny_checkpoint, shards, tmp_path):
    # The decoder's last layer looks away from this wall: frozen, it couldn't show it.
    start = tiny_checkpoint("geowizard_v1")
    plain = recipe(shards, start, steps=80, learning_rate=1e-2, train_autoencoder=True)
    train(dataclasses.replace(plain, augmentation=plain.augmentation.none()), tmp_path)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [entry for entry in entries if "depth_loss" in entry]
    for name in ("depth_loss", "normals_loss"):
        assert steps[-1][name] < 0.35 * steps[0][name], (name, steps[0], steps[-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": ""}, "model.start: expected a GeoWizard to start from"),
        ({"target_noise": "gaussian"}, "model.target_noise: expected zeros"),
        ({"reads_target": False}, "model.reads_target: expected true"),
    ],
)
def test_refuses_what_it_cannot_do(tiny_checkpoint, shards, changes, message):
    plain = recipe(shards, tiny_checkpoint("geowizard_v1"))
    model = dataclasses.replace(plain.model, **changes)
    with pytest.raises(InvalidInputError, match=message):
        build_objective(dataclasses.replace(plain, model=model))


def test_refuses_other_networks_and_one_task(tiny_checkpoint, shards):
    with pytest.raises(InvalidInputError, match="expected a GeoWizard, got marigold-depth"):
        build_objective(recipe(shards, tiny_checkpoint("marigold_depth")))
    plain = recipe(shards, tiny_checkpoint("geowizard_v1"))
    loss = dataclasses.replace(plain.loss, normals=dataclasses.replace(plain.loss.normals, weight=0.0))
    with pytest.raises(InvalidInputError, match="weight of depth and of normals"):
        build_objective(dataclasses.replace(plain, loss=loss))
