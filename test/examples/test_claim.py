"""The claim in small: the page says what was measured, and its command measures it again."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.training.recipe import read_recipe

scenes = pytest.importorskip("e2e_depth_scenes.recipe_file", reason="e2e_depth_scenes is not installed")

CLAIM = Path(__file__).parents[2] / "examples" / "claim"
RECIPES = CLAIM / "recipes"
PAGE = (CLAIM / "README.md").read_text(encoding="utf-8")
STORED = json.loads((CLAIM / "table.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", autouse=True)
def _scripts_find_each_other():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CLAIM)
        yield


@pytest.fixture(scope="module")
def views():
    from measuring import held_out_views

    return held_out_views(2)


@pytest.fixture
def runs(tmp_path, tiny_checkpoint):
    """What the trainings leave, with tiny networks of random weights."""
    from measuring import DIFFUSION, rows

    for seed, name in enumerate(sorted({row.checkpoint for row in rows()})):
        layout = "marigold_depth_v1_0" if name == DIFFUSION else "e2e_ft_depth"
        folder = tmp_path / "runs" / name / "checkpoint"
        shutil.copytree(tiny_checkpoint(layout, seed), folder)
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps({**index, "tasks": ["depth"]}))
    return tmp_path / "runs"


def stored(row):
    key = (row.name, row.sampling.steps or 1, row.sampling.spacing, row.sampling.ensemble_size)
    found = [
        one
        for one in STORED["rows"]
        if (one["name"], one["steps"], one["spacing"], one["ensemble_size"]) == key
    ]
    assert len(found) == 1, key
    return found[0]


def test_table_of_the_page_is_the_stored_one():
    from measuring import rows

    assert (CLAIM / "table.md").read_text(encoding="utf-8") in PAGE
    assert len(STORED["rows"]) == len(rows())
    for row in rows():
        one = stored(row)
        assert len(one["abs_rel_of_views"]) == STORED["views"]["count"]
        assert np.mean(one["abs_rel_of_views"]) == pytest.approx(one["scores"]["abs_rel"], abs=1e-4)
        assert f"| {one['scores']['abs_rel']:.3f} | {one['scores']['delta1']:.3f} |" in PAGE


def test_every_network_has_its_recipe_and_its_log():
    from measuring import rows

    names = {"autoencoder", "image_diffusion", *(row.checkpoint for row in rows())}
    for name in names:
        assert read_recipe(RECIPES / f"{name}.yaml").data.sizes[0].height == 64
        assert (CLAIM / "logs" / f"{name}.jsonl.gz").is_file()
        assert f"(recipes/{name}.yaml) | [log](logs/{name}.jsonl.gz) |" in PAGE


def test_no_training_sees_the_views():
    train = scenes.read_recipe(RECIPES / "render_train.yaml")
    # Some scenes are dropped, never more than one in ten.
    assert train.first_seed + 1.1 * train.images < STORED["views"]["first_seed"]


def test_the_views_are_those_of_the_recipe(views):
    from measuring import FIRST_SEED, SIZE, held_out_views

    recipe = scenes.read_recipe(RECIPES / "render_validation.yaml")
    assert (recipe.first_seed, recipe.size) == (FIRST_SEED, SIZE)
    assert views[0].image.shape == (*SIZE, 3)
    again = held_out_views(1)
    assert (again[0].image == views[0].image).all()


def test_script_makes_everything_in_an_order_that_works():
    script = CLAIM / "run"
    subprocess.run(["bash", "-n", script], check=True)
    made = re.search(r"for run in (.+); do", script.read_text(encoding="utf-8")).group(1).split()
    for index, name in enumerate(made):
        recipe = read_recipe(RECIPES / f"{name}.yaml")
        for start in filter(None, (recipe.model.start, recipe.model.autoencoder.start)):
            assert start in {f"runs/claim/{earlier}/checkpoint" for earlier in made[:index]}
        for source in recipe.data.train:
            assert source.shards == "renders/claim/train/*.npz"
    assert {row["checkpoint"] for row in STORED["rows"]} <= set(made)


def test_report_has_what_it_promises(views, runs, tmp_path):
    from measuring import DIFFUSION, Row, measure
    from report import table, write_report

    chosen = [Row("E2E", "e2e_zeros", Sampling()), Row("Flawed", DIFFUSION, Sampling(1, "leading"))]
    measured = [measure(row, runs, views, shown=2) for row in chosen]
    measured[1] = replace(measured[1], cpu_ms=2.5 * measured[0].cpu_ms)
    text = write_report(tmp_path / "out", measured, views)
    assert text == table(measured)
    lines = text.splitlines()
    assert lines[2].startswith("| E2E | 1 |  | 1 | ")
    assert lines[2].endswith(" | 1.0 |")
    assert lines[3].startswith("| Flawed | 1 | leading | 1 | ")
    assert lines[3].endswith(" | 2.5 |")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"table.md", "table.json", "plot.png", "pictures.png"}


def test_command_measures_every_row(runs, tmp_path, capsys):
    from claim import main

    assert main([str(runs), "--output", str(tmp_path / "out"), "--views", "1"]) == 0
    table = json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in table["rows"]] == [row["name"] for row in STORED["rows"]]
    assert len({row["sha256"] for row in table["rows"]}) == len({row["checkpoint"] for row in table["rows"]})
    assert "| Diffusion, one step, flawed | 1 | leading | 1 |" in capsys.readouterr().out


def test_what_is_missing_is_told_in_one_line(runs, tmp_path, capsys):
    from claim import main
    from measuring import DIFFUSION

    shutil.rmtree(runs / DIFFUSION)
    assert main([str(runs), "--output", str(tmp_path), "--views", "1"]) == 2
    error = capsys.readouterr().err
    assert DIFFUSION in error
    assert error.count("\n") == 1
    with pytest.raises(SystemExit):
        main([str(runs), "--output", str(tmp_path), "--views", "0"])
    assert "--views: expected at least 1, got 0" in capsys.readouterr().err
