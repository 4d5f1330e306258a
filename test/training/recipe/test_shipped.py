"""The recipes that ship are valid, and have the numbers of the papers that they follow."""

import dataclasses
from pathlib import Path

import pytest

import e2e_depth_ros.training
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.families.registry import read_facts
from e2e_depth_ros.training.recipe import AugmentationRecipe, DepthLossRecipe, read_recipe
from e2e_depth_ros.training.schedule import learning_rate

RECIPES = Path(e2e_depth_ros.training.__file__).parent / "recipes"


def test_embedded_recipe_is_valid():
    recipe = read_recipe(RECIPES / "embedded.yaml")
    assert recipe.model.autoencoder.down_factor == 8
    assert recipe.loss.depth.target == "quantiles"
    assert recipe.model.upsampling == read_facts(find_checkpoint("embedded")).upsampling == "guided"


def test_embedded_recipe_for_a_gpu_lasts_by_the_clock():
    recipe = read_recipe(RECIPES / "embedded_gpu.yaml")
    assert (recipe.model.start, recipe.run.precision, recipe.run.compiled) == ("embedded", "bfloat16", False)
    assert (recipe.optimiser.minutes, recipe.run.checkpoint_minutes) == (10.2, 4)
    assert recipe.data.resident
    assert recipe.data.watch_seconds > 0
    assert [source.shards for source in recipe.data.train] == [
        "renders/blender/**/*.npz",
        "renders/ray_caster/**/*.npz",
    ]
    # What the embedded checkpoint is trained for, at the sizes that its autoencoder can see.
    embedded = read_recipe(RECIPES / "embedded.yaml")
    assert recipe.model.processing_resolution == embedded.model.processing_resolution
    recipe.check_sizes(embedded.model.autoencoder.down_factor)
    # Thousandths of the time: warm-up, the full rate, down to a hundredth.
    assert learning_rate(19, recipe.optimiser) == pytest.approx(8e-4)
    assert learning_rate(349, recipe.optimiser) == pytest.approx(8e-4)
    assert learning_rate(999, recipe.optimiser) == pytest.approx(8e-6)


@pytest.mark.parametrize(
    ("name", "hub_id", "tasks"),
    [
        ("marigold_depth", "prs-eth/marigold-depth-v1-0", ["depth"]),
        ("marigold_normals", "GonzaloMG/marigold-normals", ["normals"]),
        ("stable_diffusion_depth", "stabilityai/stable-diffusion-2", ["depth"]),
        ("stable_diffusion_normals", "stabilityai/stable-diffusion-2", ["normals"]),
        ("geowizard", "lemonaddie/geowizard", ["depth", "normals"]),
    ],
)
def test_fine_tuning_recipes_have_the_papers_numbers(name, hub_id, tasks):
    recipe = read_recipe(RECIPES / f"e2e_ft_{name}.yaml")
    assert [one.value for one in recipe.tasks] == tasks
    is_geowizard = name == "geowizard"
    assert recipe.objective == ("geowizard" if is_geowizard else "end_to_end")
    model, optimiser = recipe.model, recipe.optimiser
    assert (model.start, model.processing_resolution, model.target_noise) == (hub_id, 768, "zeros")
    assert (model.train_autoencoder, model.gradient_checkpointing) == (False, True)
    assert model.padded_prompt != is_geowizard  # which sees the image by CLIP instead
    assert (optimiser.steps, recipe.data.batch_size * optimiser.accumulate) == (20_000, 32)
    assert (optimiser.weight_decay, optimiser.decay_vectors, optimiser.ema) == (1e-2, True, 0)
    assert (optimiser.betas, optimiser.clip) == ((0.9, 0.999), 1.0)
    assert optimiser.class_embedding == (10 if is_geowizard else 1)
    # Linear to step 100, then down to a hundredth exponentially.
    assert learning_rate(49, optimiser) == pytest.approx(1.5e-5)
    assert learning_rate(99, optimiser) == pytest.approx(3e-5)
    assert learning_rate(100 + 9950 - 1, optimiser) == pytest.approx(3e-6)
    assert learning_rate(19_999, optimiser) == pytest.approx(3e-7)
    hypersim, kitti = recipe.data.train
    assert (hypersim.height, hypersim.width, kitti.height, kitti.width) == (480, 640, 352, 1216)
    assert (hypersim.weight / kitti.weight, recipe.data.one_source_per_batch) == (9, True)
    assert recipe.augmentation == AugmentationRecipe(
        **{**dataclasses.asdict(AugmentationRecipe.none()), "flip": 0.5, "strength": 1.0}
    )
    assert recipe.loss.normals.length == 0
    if "depth" in tasks:
        weight = 0.5 if is_geowizard else 1.0
        assert recipe.loss.depth == DepthLossRecipe(clip_target=True, weight=weight)


def test_marigolds_recipe_has_the_papers_numbers():
    recipe = read_recipe(RECIPES / "marigold_depth.yaml")
    assert (recipe.objective, recipe.model.start) == ("diffusion", "stabilityai/stable-diffusion-2")
    assert [one.value for one in recipe.tasks] == ["depth"]
    optimiser, noise = recipe.optimiser, recipe.diffusion
    assert (noise.noise, noise.strength, noise.zero_terminal_snr, noise.steps) == ("annealed", 0.9, False, 50)
    assert (optimiser.steps, recipe.data.batch_size * optimiser.accumulate) == (30_000, 32)
    assert (optimiser.weight_decay, optimiser.betas, optimiser.ema) == (0, (0.9, 0.999), 0)
    # Linear to step 100, down to a hundredth at step 25000, and there to the end.
    assert learning_rate(49, optimiser) == pytest.approx(1.5e-5)
    assert learning_rate(99, optimiser) == pytest.approx(3e-5)
    assert learning_rate(100 + 12_450 - 1, optimiser) == pytest.approx(3e-6)
    assert learning_rate(24_999, optimiser) == pytest.approx(3e-7)
    assert learning_rate(29_999, optimiser) == pytest.approx(3e-7)
    assert not recipe.model.padded_prompt


def test_own_frames_start_from_the_embedded_checkpoint():
    recipe = read_recipe(RECIPES / "own_frames.yaml")
    embedded = read_recipe(RECIPES / "embedded.yaml")
    assert (recipe.model.start, recipe.loss) == ("embedded", embedded.loss)
    assert recipe.model.processing_resolution == embedded.model.processing_resolution
    recipe.check_sizes(embedded.model.autoencoder.down_factor)
    (train,), (validation,) = recipe.data.train, recipe.data.validation
    assert (train.frames, validation.frames) == ("frames/train", "frames/validation")


def test_completion_is_taught_with_the_data_and_the_schedule_of_e2e_ft():
    recipe = read_recipe(RECIPES / "completion_marigold_depth.yaml")
    fine_tuning = read_recipe(RECIPES / "e2e_ft_marigold_depth.yaml")
    assert (recipe.objective, recipe.model.start) == ("completion", "GonzaloMG/marigold-e2e-ft-depth")
    assert (recipe.data, recipe.augmentation) == (fine_tuning.data, fine_tuning.augmentation)
    assert (recipe.optimiser, recipe.run) == (fine_tuning.optimiser, fine_tuning.run)
    assert (recipe.model.train_autoencoder, recipe.model.gradient_checkpointing) == (False, True)
    assert [one.value for one in recipe.tasks] == ["depth"]
    assert 0 < round(recipe.completion.share * recipe.data.batch_size) < recipe.data.batch_size
