"""The loop: it learns, it continues bit for bit, it ends cleanly, and it says what went wrong."""

import dataclasses
import json
import os
import signal
import threading
import time

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.alone import alone_in
from e2e_depth_ros.training.loop import LOG, STATE, TrainingError, train
from e2e_depth_ros.training.objectives import end_to_end
from e2e_depth_ros.training.recipe import Recipe, read_recipe, recipe_from_mapping
from e2e_depth_ros.training.shards import Sample, write_shard

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def scene(seed):
    """A floor, a wall and some boxes in front, shaded by what they are: enough to be learnt by heart."""
    rng = np.random.default_rng(seed)
    height, width = SIZE
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    horizon = rng.uniform(0.3, 0.6) * height
    floor = 1.2 * 40 / np.maximum(y - horizon, 1e-3)
    wall_m = rng.uniform(3, 8)
    depth_m = np.minimum(floor, wall_m).astype(np.float32)
    normals = np.where((floor < wall_m)[..., None], np.float32([0, -1, 0]), np.float32([0, 0, -1]))
    image = np.where((floor < wall_m)[..., None], rng.integers(60, 200, 3), rng.integers(60, 200, 3)).astype(
        float
    )
    for _ in range(2):
        top, left = rng.integers(4, height - 20), rng.integers(4, width - 20)
        box = (slice(top, top + rng.integers(8, 16)), slice(left, left + rng.integers(8, 16)))
        depth_m[box] = rng.uniform(1, 2.5)
        normals[box] = (0, 0, -1)
        image[box] = rng.integers(0, 255, 3)
    image = image * (1 - 0.3 * x[..., None] / width)
    return Sample(np.rint(image).astype(np.uint8), depth_m, normals.astype(np.float32), 40.0, "room", seed)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_shard(folder / "train.npz", [scene(seed) for seed in range(16)])
    return folder


def small_recipe(shards, **optimiser):
    mapping = {
        "seed": 3,
        "model": {
            "name": "small",
            "processing_resolution": 64,
            "autoencoder": {"channels": [16] * 3, "blocks": [0, 1, 1], "latent_channels": 8},
            "unet": {
                "channels": [16, 32],
                "attention": [False, False],
                "heads": [1, 1],
                "prompt_channels": 16,
                "norm_groups": 4,
            },
        },
        "data": {
            "train": [{"shards": str(shards / "*.npz")}],
            "validation": [{"shards": str(shards / "*.npz"), "limit": 4}],
            "sizes": [{"height": 48, "width": 64}, {"height": 32, "width": 48}],
            "batch_size": 2,
            "workers": 0,
        },
        "loss": {
            "depth": {
                "target": "quantiles",
                "clamp_prediction": False,
                "anchor": 0.4,
                "gradient_matching": 0.5,
            },
            "normals": {"weight": 0.5, "length": 0.05},
        },
        "optimiser": {"steps": 8, "learning_rate": 2e-3, "warmup_steps": 3, "ema": 0.9, **optimiser},
        "run": {"device": "cpu", "threads": 1, "log_seconds": 0.0, "checkpoint_minutes": 60.0},
    }
    return recipe_from_mapping(mapping)


def interrupt_after(monkeypatch, steps, number=signal.SIGTERM):
    """Send this process a signal while it is in the given step."""
    original, count = end_to_end.batch_losses, [0]

    def losses(*args):
        count[0] += 1
        if count[0] == steps:
            os.kill(os.getpid(), number)
        return original(*args)

    monkeypatch.setattr(end_to_end, "batch_losses", losses)


def assert_same_weights(one, other):
    one, other = load_file(one), load_file(other)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path, shards, monkeypatch, number):
    recipe = small_recipe(shards)
    whole = train(recipe, tmp_path / "whole")
    assert (whole.finished, whole.stopped_by, whole.steps) == (True, "", 8)

    with monkeypatch.context() as context:
        interrupt_after(context, 3, number)
        first = train(recipe, tmp_path / "parts")
    assert (first.finished, first.stopped_by, first.steps) == (False, number.name, 3)
    second = train(recipe, tmp_path / "parts", resume=True)
    assert (second.finished, second.steps) == (True, 8)

    assert_same_weights(tmp_path / "whole" / STATE, tmp_path / "parts" / STATE)
    for weights in sorted((tmp_path / "whole" / "checkpoint").rglob("*.safetensors")):
        assert_same_weights(weights, tmp_path / "parts" / weights.relative_to(tmp_path / "whole"))
    assert second.scores == whole.scores


def test_handlers_are_back_afterwards(tmp_path, shards, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    interrupt_after(monkeypatch, 1)
    train(small_recipe(shards), tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


def test_workers_survive_a_signal_to_the_group(tmp_path, shards, monkeypatch):
    recipe = small_recipe(shards)
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, workers=1))
    original = end_to_end.batch_losses

    def losses(*args):
        for process in torch.multiprocessing.active_children():
            os.kill(process.pid, signal.SIGTERM)
            os.kill(process.pid, signal.SIGINT)
        return original(*args)

    monkeypatch.setattr(end_to_end, "batch_losses", losses)
    assert train(recipe, tmp_path).finished
    deadline = time.monotonic() + 20
    while torch.multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not torch.multiprocessing.active_children()


def test_writes_what_it_promises(tmp_path, shards):
    result = train(small_recipe(shards), tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    checkpoint = load_checkpoint(result.checkpoint)
    assert checkpoint.facts.tasks == {Task.DEPTH, Task.NORMALS}
    assert checkpoint.facts.processing_resolution == 64
    # What is shipped are the averaged weights, in half precision.
    averaged = load_file(folder / STATE)
    name = "unet.conv_in.weight"
    shipped = load_file(next((result.checkpoint / "unet").glob("*.safetensors")))["conv_in.weight"]
    torch.testing.assert_close(shipped, averaged[f"averaged.{name}"].half(), rtol=0, atol=0)
    assert not torch.equal(averaged[f"averaged.{name}"], averaged[f"model.{name}"])
    assert read_recipe(folder / "recipe.yaml") == small_recipe(shards)
    # 4 rows of 48 x 64 tiles, 5 abreast.
    assert cv2.imread(str(folder / "samples.png")).shape == (4 * 52, 5 * 64 + 4 * 4, 3)
    assert cv2.imread(str(folder / "curves.png")) is not None
    entries = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    steps = [entry for entry in entries if "depth_loss" in entry]
    assert [entry["step"] for entry in steps] == list(range(1, 9))
    assert all(np.isfinite(entry["depth_loss"]) and entry["depth_loss"] > 0 for entry in steps)
    assert entries[-1]["validation"]["validation"]["images"] == 4


def test_tells_when_a_checkpoint_is_written(tmp_path, shards):
    recipe = small_recipe(shards, steps=3)
    recipe = dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, checkpoint_minutes=0.0))
    told = []

    def after_checkpoint(step):
        entries = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
        assert entries[-1]["step"] == step
        assert "validation" in entries[-1]
        assert (tmp_path / STATE).exists()
        assert (tmp_path / "curves.png").exists()
        told.append((step, (tmp_path / "checkpoint" / "model_index.json").exists()))

    train(recipe, tmp_path, after_checkpoint=after_checkpoint)
    assert told == [(1, True), (2, True), (3, True)]


def test_log_of_a_resumed_run_has_each_step_once(tmp_path, shards, monkeypatch):
    recipe = small_recipe(shards)
    with monkeypatch.context() as context:
        interrupt_after(context, 4)
        train(recipe, tmp_path)
    with (tmp_path / LOG).open("a") as log:
        log.write('{"step": 6, "depth_loss": 1.0, "normals_loss": 1.0}\n')  # a crash after the last state
    train(recipe, tmp_path, resume=True)
    entries = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in entries if "depth_loss" in entry] == list(range(1, 9))


def test_prolonged_by_more_steps(tmp_path, shards):
    train(small_recipe(shards, steps=4), tmp_path)
    result = train(small_recipe(shards, steps=6), tmp_path, resume=True)
    assert (result.steps, result.finished) == (6, True)


def test_a_finished_training_keeps_the_recipe_that_it_followed(tmp_path, shards):
    recipe = small_recipe(shards, steps=1)
    train(recipe, tmp_path)
    followed = (tmp_path / "recipe.yaml").read_text()
    train(dataclasses.replace(recipe, seed=9), tmp_path, resume=True)
    assert (tmp_path / "recipe.yaml").read_text() == followed
    train(dataclasses.replace(small_recipe(shards, steps=2), seed=9), tmp_path, resume=True)
    assert "seed: 9" in (tmp_path / "recipe.yaml").read_text()


def test_ends_when_its_time_is_over(tmp_path, shards):
    recipe = small_recipe(shards, steps=100_000)
    recipe = dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, max_minutes=0.01))
    result = train(recipe, tmp_path)
    assert not result.finished
    assert result.stopped_by == "0.01 minutes"
    assert (result.checkpoint / "model_index.json").exists()


def test_bad_steps_change_nothing_and_are_counted(tmp_path, shards, monkeypatch):
    original, count = end_to_end.batch_losses, [0]

    def losses(*args):
        count[0] += 1
        result = original(*args)
        return (
            dataclasses.replace(result, total=result.total * float("nan")) if count[0] in (2, 5) else result
        )

    recipe = small_recipe(shards)
    monkeypatch.setattr(end_to_end, "batch_losses", losses)
    result = train(recipe, tmp_path)
    assert (result.bad_steps, result.steps, result.finished) == (2, 8, True)
    assert all(torch.isfinite(tensor).all() for tensor in load_file(tmp_path / STATE).values())
    last = json.loads((tmp_path / LOG).read_text().splitlines()[-2])
    assert (last["step"], last["bad_steps"]) == (8, 2)


def test_gives_up_when_nothing_is_finite_any_more(tmp_path, shards, monkeypatch):
    original = end_to_end.batch_losses
    monkeypatch.setattr(
        end_to_end,
        "batch_losses",
        lambda *args: dataclasses.replace(original(*args), total=original(*args).total * float("inf")),
    )
    recipe = small_recipe(shards)
    recipe = dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, max_bad_steps=2))
    with pytest.raises(TrainingError, match="the 3 steps up to step 3"):
        train(recipe, tmp_path)


def test_a_training_without_a_measured_pixel_is_told(tmp_path):
    blank = [
        dataclasses.replace(
            scene(seed), depth_m=np.zeros(SIZE, np.float32), normals=np.zeros((*SIZE, 3), np.float32)
        )
        for seed in range(4)
    ]
    write_shard(tmp_path / "blank.npz", blank)
    recipe = small_recipe(tmp_path, steps=30)
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, validation=()))
    with pytest.raises(
        TrainingError, match=r"exactly 0 in 20 steps: do the sources under data\.train hold measured"
    ):
        train(recipe, tmp_path / "out")


def test_one_task_alone(tmp_path, shards):
    recipe = small_recipe(shards, steps=2)
    loss = dataclasses.replace(recipe.loss, normals=dataclasses.replace(recipe.loss.normals, weight=0.0))
    result = train(dataclasses.replace(recipe, loss=loss), tmp_path)
    assert load_checkpoint(result.checkpoint).facts.tasks == {Task.DEPTH}


def test_refuses_to_overwrite_and_to_resume_nothing(tmp_path, shards):
    recipe = small_recipe(shards, steps=1)
    with pytest.raises(InvalidInputError, match="expected a training to resume"):
        train(recipe, tmp_path / "out", resume=True)
    train(recipe, tmp_path / "out")
    with pytest.raises(InvalidInputError, match="found one"):
        train(recipe, tmp_path / "out")


def test_refuses_a_folder_that_another_training_writes_to(tmp_path, shards, monkeypatch):
    recipe = small_recipe(shards, steps=1)

    def begin_another(_):
        train(recipe, tmp_path, resume=True)

    with pytest.raises(InvalidInputError, match=r"of this training alone, got .* running"):
        train(recipe, tmp_path, after_checkpoint=begin_another)
    train(recipe, tmp_path, resume=True)  # it ended
    monkeypatch.setenv("RANK", "1")
    with alone_in(tmp_path), alone_in(tmp_path):  # as the other processes of a training are
        pass


def test_a_training_that_runs_is_told_before_it_has_a_state(tmp_path, shards):
    with (
        alone_in(tmp_path),
        pytest.raises(InvalidInputError, match=r"of this training alone, got .* running"),
    ):
        train(small_recipe(shards, steps=1), tmp_path, resume=True)


def test_refuses_narrow_batches_in_bfloat16(tmp_path, shards):
    """Where a map within the network is one column, kernels of AMX are wrong."""
    recipe = small_recipe(shards)
    sizes = (*recipe.data.sizes, dataclasses.replace(recipe.data.sizes[0], height=32, width=8))
    recipe = dataclasses.replace(
        recipe,
        data=dataclasses.replace(recipe.data, sizes=sizes),
        run=dataclasses.replace(recipe.run, precision="bfloat16"),
    )
    with pytest.raises(InvalidInputError, match=r"wider images .*bfloat16 on a CPU, got 8x32"):
        train(recipe, tmp_path / "run")
    float32 = dataclasses.replace(recipe, run=dataclasses.replace(recipe.run, precision="float32"))
    assert train(float32, tmp_path / "other").finished


def test_refuses_the_state_of_another_network(tmp_path, shards):
    recipe = small_recipe(shards, steps=1)
    train(recipe, tmp_path)
    unet = dataclasses.replace(recipe.model.unet, channels=(16, 48))
    other = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, unet=unet))
    with pytest.raises(CheckpointError, match=r"another network"):
        train(other, tmp_path, resume=True)
    (tmp_path / STATE).write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        train(recipe, tmp_path, resume=True)


def test_runs_outside_of_the_main_thread(tmp_path, shards):
    results = []
    thread = threading.Thread(target=lambda: results.append(train(small_recipe(shards, steps=1), tmp_path)))
    thread.start()
    thread.join()
    assert results[0].finished


def test_recipe_is_hashable_and_frozen(shards):
    recipe = small_recipe(shards)
    assert isinstance(recipe, Recipe)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.seed = 4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_learns_sixteen_scenes_by_heart(tmp_path, shards):
    recipe = small_recipe(
        shards, steps=900, learning_rate=2e-3, warmup_steps=20, decay_steps=540, ema=0.9, clip=1.0
    )
    size = dataclasses.replace(recipe.data.sizes[0], height=48, width=64)
    validation = (dataclasses.replace(recipe.data.validation[0], limit=0),)
    recipe = dataclasses.replace(
        recipe,
        data=dataclasses.replace(recipe.data, sizes=(size,), validation=validation, batch_size=8),
        augmentation=recipe.augmentation.none(),
        run=dataclasses.replace(recipe.run, log_seconds=5.0),
    )
    scores = train(recipe, tmp_path).scores["validation"]
    assert scores.images == 16
    assert scores.abs_rel < 0.05 < scores.row_abs_rel  # 0.025 and 0.303
    assert scores.delta1 > 0.95
    assert scores.normals_deg < 5


def resident(recipe, **changes):
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, resident=True, **changes))


def test_views_on_the_device_are_learnt_from_and_resumed(tmp_path, shards, monkeypatch):
    recipe = resident(small_recipe(shards, steps=10))
    whole = train(recipe, tmp_path / "whole")
    interrupt_after(monkeypatch, 4)
    assert not train(recipe, tmp_path / "parts").finished
    monkeypatch.undo()
    resumed = train(recipe, tmp_path / "parts", resume=True)
    assert resumed.finished
    assert resumed.steps == whole.steps == 10
    assert_same_weights(tmp_path / "whole" / STATE, tmp_path / "parts" / STATE)


def test_the_clock_may_set_the_length_of_a_training(tmp_path, shards):
    recipe = resident(small_recipe(shards, steps=100, minutes=0.04, warmup_steps=0, decay_steps=100))
    began = time.monotonic()
    result = train(recipe, tmp_path / "run")
    assert result.finished
    assert time.monotonic() - began > 2.4
    lines = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    rates = [line["learning_rate"] for line in lines if "learning_rate" in line]
    # As far along the schedule as the clock is, however many steps that was.
    assert len(rates) == result.steps
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.5 * 2e-3
    assert rates[-1] < 0.5 * 2e-3
