"""Several processes make the training that one makes, and it ends and resumes as one does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import InvalidInputError, MissingDependencyError
from e2e_depth_ros.training import processes as processes_module
from e2e_depth_ros.training.loop import LOG, STATE, train
from e2e_depth_ros.training.processes import join_processes
from e2e_depth_ros.training.recipe import RunRecipe, read_recipe
from e2e_depth_ros.training.shards import Sample, write_shard

pytest.importorskip("accelerate")
SECONDS = 500  # of a run in processes of its own, on a machine that has other things to do

# Trains, but is told to stop in the second step, not by the main process; then goes on.
INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from e2e_depth_ros.training.loop import train
from e2e_depth_ros.training.objectives.end_to_end import EndToEnd
from e2e_depth_ros.training.recipe import read_recipe

recipe, output, forward, calls = read_recipe(Path(sys.argv[1])), Path(sys.argv[2]), EndToEnd.forward, []

def interrupting(self, batch, number):
    calls.append(number)
    if len(calls) == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGTERM)
    return forward(self, batch, number)

EndToEnd.forward = interrupting
first = train(recipe, output)
assert (first.steps, first.finished, first.stopped_by) == (2, False, "SIGTERM"), first
assert calls == {"0": [0, 2, 4, 6], "1": [1, 3, 5, 7]}[os.environ["RANK"]], calls
second = train(recipe, output, resume=True)
assert (second.steps, second.finished) == (4, True), second
"""


@pytest.fixture
def recipe_file(tmp_path, tiny_checkpoint):
    """E2E-FT from a Marigold: 4 steps of 4 batches of 2, some of their pixels unknown."""
    rng = np.random.default_rng(0)
    samples = []
    for scene in range(6):
        v, u = np.mgrid[0:40, 0:56].astype(np.float32)
        depth_m = (2 + scene + 0.03 * u + 0.05 * v).astype(np.float32)
        depth_m[: 3 * scene, :9] = 0
        normals = np.zeros((40, 56, 3), np.float32)
        normals[..., 1:] = (-0.6, -0.8)
        image = rng.integers(0, 255, (40, 56, 3)).astype(np.uint8)
        samples.append(Sample(image, depth_m, normals, 40.0, "room", scene))
    write_shard(tmp_path / "train.npz", samples)
    source = {"shards": str(tmp_path / "*.npz")}
    recipe = {
        "seed": 5,
        "model": {
            "name": "tuned",
            "start": str(tiny_checkpoint("marigold_depth")),
            "processing_resolution": 56,
            "train_autoencoder": False,
            "target_noise": "gaussian",
        },
        "data": {
            "train": [source],
            "validation": [{**source, "limit": 2}],
            "sizes": [{"height": 32, "width": 48}],
            "batch_size": 2,
            "workers": 0,
        },
        "loss": {"normals": {"weight": 0.0}},
        "optimiser": {"steps": 4, "learning_rate": 1e-3, "warmup_steps": 1, "accumulate": 4, "ema": 0.5},
        "run": {"device": "cpu", "threads": 1, "log_seconds": 0.0},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def run_two(*arguments):
    """Run Python with these arguments in two processes, told of each other as launchers tell them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {
        **os.environ,
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=SECONDS)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)
    return said


def logged(folder):
    """Return the numbers of each step, and the scores."""
    entries = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [e for e in entries if "depth_loss" in e], [e for e in entries if "validation" in e]


@pytest.mark.timeout(1300)
@pytest.mark.slow
def test_two_processes_make_the_training_of_one(tmp_path, recipe_file):
    alone, together, parts = tmp_path / "alone", tmp_path / "together", tmp_path / "parts"
    recipe = read_recipe(recipe_file)
    train(recipe, alone)
    said = run_two("-m", "e2e_depth_ros.cli.main", "train", recipe_file, "--output", together)
    assert "2 processes (cpu)" in said[0]
    assert "checkpoint:" in said[0]
    assert "step" not in said[1]  # the main one alone reports
    assert "checkpoint:" not in said[1]

    (steps, scores), (expected_steps, expected_scores) = logged(together), logged(alone)
    assert [entry["step"] for entry in steps] == [1, 2, 3, 4]
    for entry, expected in zip(steps, expected_steps, strict=True):
        assert entry["depth_loss"] == pytest.approx(expected["depth_loss"], abs=1e-5)
        assert entry["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-4)
    assert len(scores) == len(expected_scores) == 1
    found = scores[0]["validation"]["validation"]["abs_rel"]
    assert found == pytest.approx(expected_scores[0]["validation"]["validation"]["abs_rel"], abs=1e-4)
    weights, expected = load_file(together / STATE), load_file(alone / STATE)
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        if not name.startswith("optimiser."):
            # Adam divides by the gradient's size: where that is all rounding, so is the step.
            torch.testing.assert_close(weights[name], tensor, rtol=0, atol=2e-4)
    assert (together / "samples.png").exists()
    assert (together / "checkpoint" / "model_index.json").exists()

    run_two("-c", INTERRUPTED, recipe_file, parts)
    for name, tensor in load_file(parts / STATE).items():
        assert torch.equal(tensor, weights[name]), name
    assert [entry["depth_loss"] for entry in logged(parts)[0]] == [entry["depth_loss"] for entry in steps]


def test_a_launcher_of_one_process_needs_no_accelerate(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    alone = join_processes(RunRecipe(device="cpu"))
    assert (alone.index, alone.count, alone.is_main, str(alone)) == (0, 1, True, "cpu")
    assert alone.gather([1.5, 2.5]) == [[1.5, 2.5]]
    assert (alone.agree("SIGTERM"), alone.agree("")) == ("SIGTERM", "")

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MissingDependencyError, match="accelerate"):
        join_processes(RunRecipe(device="cpu"))


@pytest.mark.parametrize("count", [3, 8])
def test_batches_that_cannot_be_shared_evenly_are_refused(tmp_path, recipe_file, monkeypatch, count):
    class Several(processes_module.Processes):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.count = count

    monkeypatch.setattr(processes_module, "Processes", Several)
    with pytest.raises(InvalidInputError, match=f"multiple of the {count} processes.*got 4"):
        train(read_recipe(recipe_file), Path(tmp_path / "out"))


# The clock of its second process gains a second each time it is read.
BY_THE_CLOCK = """
import os, sys, time
from pathlib import Path
from e2e_depth_ros.training.loop import train
from e2e_depth_ros.training.recipe import read_recipe

if os.environ["RANK"] == "1":
    real, ahead = time.monotonic, [0]
    def monotonic():
        ahead[0] += 1
        return real() + ahead[0]
    time.monotonic = monotonic
result = train(read_recipe(Path(sys.argv[1])), Path(sys.argv[2]))
assert result.finished, result
"""


@pytest.mark.timeout(SECONDS + 100)
@pytest.mark.slow
def test_processes_end_by_one_clock(tmp_path, recipe_file):
    recipe = yaml.safe_load(recipe_file.read_text(encoding="utf-8"))
    recipe["optimiser"]["minutes"] = 0.05
    recipe_file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    run_two("-c", BY_THE_CLOCK, recipe_file, tmp_path / "run")
    steps, _ = logged(tmp_path / "run")
    assert 0 < steps[-1]["seconds"] < 30  # of the main one's clock, on a busy machine too
