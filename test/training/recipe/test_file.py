"""Recipes: what is written is what is read, and nothing else is accepted."""

from pathlib import Path

import pytest
import yaml

import e2e_depth_ros.training
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.recipe import (
    DepthLossRecipe,
    find_recipe,
    mapping_from_recipe,
    read_recipe,
    recipe_from_mapping,
)

RECIPES = Path(e2e_depth_ros.training.__file__).parent / "recipes"
SMALLEST = {"data": {"train": [{"shards": "a/*.npz"}]}, "optimiser": {"steps": 5}}


def with_key(path, value):
    content = yaml.safe_load(yaml.safe_dump(SMALLEST))
    place = content
    *parents, last = path.split(".")
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return content


def test_defaults_are_the_papers_losses():
    recipe = recipe_from_mapping(SMALLEST)
    assert recipe.loss.depth == DepthLossRecipe(
        weight=1,
        target="metres",
        clamp_prediction=True,
        near_weighting=0,
        anchor=0,
        gradient_matching=0,
        far=0,
    )
    assert recipe.loss.normals.length == 0
    assert (recipe.optimiser.learning_rate, recipe.optimiser.betas) == (3e-5, (0.9, 0.999))


def test_mapping_round_trip_through_yaml():
    recipe = read_recipe(RECIPES / "embedded.yaml")
    text = yaml.safe_dump(mapping_from_recipe(recipe))
    assert recipe_from_mapping(yaml.safe_load(text)) == recipe


def test_number_without_a_dot_is_a_number():
    # YAML 1.1 reads 1e-3 as text.
    content = yaml.safe_load("{data: {train: [{shards: a}]}, optimiser: {steps: 5, learning_rate: 1e-3}}")
    assert recipe_from_mapping(content).optimiser.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("optimizer", {}, "unknown key optimizer"),
        ("optimiser.lr", 1, r"unknown key optimiser\.lr: expected .*learning_rate"),
        (
            "data.train",
            [{"weight": 2}],
            r"train\[0\]\.shards or frames or bag or .* or virtual_kitti: expected one of them",
        ),
        ("data.train", [{"shards": "a", "hypersim": "b"}], r"expected one of them, got shards and hypersim"),
        ("data.train", [{"virtual_kitti": "a", "part": "val"}], r"part: expected train"),
        ("data.train", [{"hypersim": "a", "part": "all"}], r"train or val or test, got 'all'"),
        ("data.train", [{"hypersim": "a", "height": 96, "width": 128}], r"no height unless one_source"),
        ("data.train", [{"hypersim": "a", "height": 96}], r"both or neither, got 96 and 0"),
        ("data.train", [], "train: expected at least one source"),
        ("data.train", "a", r"data\.train: expected a list, got 'a'"),
        ("data.train", [{"shards": "a", "weight": 0}], r"data\.train\[0\]\.weight: expected > 0, got 0"),
        ("optimiser.steps", 1.5, r"optimiser\.steps: expected int, got 1\.5"),
        ("optimiser.steps", True, r"optimiser\.steps: expected int, got True"),
        ("optimiser.steps", 0, r"optimiser\.steps: expected > 0, got 0"),
        ("optimiser.learning_rate", "fast", r"learning_rate: expected float, got 'fast'"),
        ("optimiser.betas", [0.9], r"betas: expected 2 entries, got 1"),
        ("optimiser.decay", "sudden", r"decay: expected linear or cosine or exponential, got 'sudden'"),
        ("run.channels_last", 1, r"channels_last: expected bool, got 1"),
        ("augmentation.flip", 1.5, r"flip: expected in 0\.\.1, got 1\.5"),
        ("loss.depth.anchor", 1.0, r"loss\.depth\.anchor: expected 0 with target metres, got 1\.0"),
        ("loss.depth.span_weighting", 0.5, r"span_weighting: expected 0 with target metres, got 0\.5"),
        ("model.autoencoder.channels", [8, 16, 16, 16], "equal widths"),
        ("model.unet.heads", [1], r"heads: expected one entry for each of channels"),
        ("data.sizes", [{"height": 96, "width": 100}], r"factor 8, got 96 x 100"),
        ("model.upsampling", "nearest", r"auto or bilinear or guided, got 'nearest'"),
        ("model.target_noise", "pink", r"zeros or gaussian or pyramid, got 'pink'"),
        ("loss.depth", {"target": "quantiles", "clip_target": True}, r"clip_target: expected false"),
        ("optimiser.accumulate", 0, r"accumulate: expected > 0, got 0"),
        ("model", None, r"expected keys and values under model, got None"),
        ("optimiser.learning_rate", float("nan"), r"learning_rate: expected a number up to 1e\+18, got nan"),
        ("optimiser.learning_rate", float("-inf"), r"learning_rate: expected a number up to 1e\+18"),
        ("optimiser.steps", 10**40, r"steps: expected a number up to 1e\+18"),
        ("optimiser.learning_rate", 10**400, r"learning_rate: expected a number up to 1e\+18"),
        ("model.unet.layers", 10**6, r"model\.unet\.layers: expected 1 to 64, got 1000000"),
        ("model.unet.channels", [10**9] * 3, r"channels: expected 1 to 65536, got \[1000000000, "),
        ("model.unet", {k: [1] * 5000 for k in ("channels", "heads", "attention")}, r"attention"),
        ("model.unet.prompt_tokens", 10**6, r"prompt_tokens: expected 1 to 1024"),
        (
            "model.autoencoder",
            {"channels": [8] * 99, "blocks": [1] * 99},
            r"channels: expected 1 to 16 numbers",
        ),
        ("model.autoencoder.blocks", [10**6, 0, 0, 0], r"blocks: expected 0 to 64, got \[1000000, 0, 0, 0\]"),
        ("model.autoencoder.latent_channels", 0, r"latent_channels: expected 1 to 65536, got 0"),
        ("model.processing_resolution", 10**9, r"processing_resolution: expected 0 to 8192, got 10"),
        ("data.sizes", [{"height": 10**9, "width": 8}], r"height and width: expected 1 to 8192"),
        ("data.batch_size", 10**9, r"batch_size: expected 1 to 65536"),
        ("data.workers", 10**6, r"workers: expected 0 to 1024, got 1000000"),
    ],
)
def test_wrong_keys_and_values_are_named(path, value, message):
    with pytest.raises(InvalidInputError, match=message):
        recipe_from_mapping(with_key(path, value))


@pytest.mark.parametrize("text", ["", "- a", "a: [", "seed: 1"])
def test_files_that_are_no_recipe(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"recipe\.yaml"):
        read_recipe(path)
    with pytest.raises(InvalidInputError, match=r"missing\.yaml"):
        read_recipe(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"diffusion": {"noise": "pink"}}, r"diffusion\.noise: expected annealed or gaussian, got 'pink'"),
        ({"diffusion": {"strength": 1.5}}, r"diffusion\.strength: expected in 0\.\.1, got 1\.5"),
        ({"diffusion": {"steps": 1}}, r"diffusion\.steps: expected > 1, got 1"),
        ({"objective": "guessing"}, r"objective: expected end_to_end or .*, got 'guessing'"),
        (
            {"data": {"train": [{"shards": "a"}], "validation": [{"shards": "b", "outlines": False}]}},
            r"data\.validation: outlines: expected true: it is how sources train",
        ),
        (
            {"objective": "diffusion", "data": {"train": [{"shards": "a", "outlines": False}]}},
            r"outlines: expected true where the objective is diffusion: end_to_end and geowizard can",
        ),
    ],
)
def test_refuses_impossible_diffusion(keys, message):
    content = {"data": {"train": [{"shards": "a"}]}, "optimiser": {"steps": 1}, **keys}
    with pytest.raises(InvalidInputError, match=message):
        recipe_from_mapping(content)


def test_recipes_that_ship_are_found_by_name(tmp_path, monkeypatch):
    assert find_recipe("embedded") == RECIPES / "embedded.yaml"
    assert find_recipe("mine.yaml") == Path("mine.yaml")  # whether it is there is told when it is read
    assert find_recipe("recipes/embedded") == Path("recipes/embedded")
    with pytest.raises(
        InvalidInputError, match=r"e2e_ft_geowizard, .*got 'embeded'; did you mean embedded\?"
    ):
        find_recipe("embeded")
    monkeypatch.chdir(tmp_path)
    Path("embedded").write_text("a file of one's own")
    assert find_recipe("embedded") == Path("embedded")
