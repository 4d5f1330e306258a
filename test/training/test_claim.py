"""The claim in small: the stored table is what the stored networks score, and it says what the page says."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.training.claim import DIFFUSION, Row, held_out_views, measure, rows
from e2e_depth_ros.training.claim_report import table, write_report
from e2e_depth_ros.training.recipe_file import read_recipe, read_yaml
from e2e_depth_ros.training.render_recipe import RenderRecipe

DOCS = Path(__file__).parents[2] / "docs"
CLAIM = DOCS / "claim"
CHECKPOINTS = CLAIM / "checkpoints"
STORED = json.loads((CLAIM / "table.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def views():
    return held_out_views(4)


def stored(row):
    key = (row.name, row.sampling.steps or 1, row.sampling.spacing, row.sampling.ensemble_size)
    found = [
        one
        for one in STORED["rows"]
        if (one["name"], one["steps"], one["spacing"], one["ensemble_size"]) == key
    ]
    assert len(found) == 1, key
    return found[0]


@pytest.mark.parametrize(
    "row",
    [row for row in rows() if (row.sampling.steps or 1) <= 4 and row.sampling.ensemble_size == 1],
    ids=lambda row: f"{row.checkpoint}-{row.sampling.steps}-{row.sampling.spacing}",
)
def test_stored_scores_are_those_of_the_stored_networks(views, row):
    measured = measure(row, CHECKPOINTS, views)
    assert measured.sha256 == stored(row)["sha256"]
    assert measured.abs_rel == pytest.approx(
        stored(row)["abs_rel_of_views"][: len(views)], rel=0.02, abs=2e-3
    )


def test_table_of_the_page_is_the_stored_one():
    page = (DOCS / "claim.md").read_text(encoding="utf-8")
    assert (CLAIM / "table.md").read_text(encoding="utf-8") in page
    assert len(STORED["rows"]) == len(rows())
    for row in rows():
        one = stored(row)
        assert len(one["abs_rel_of_views"]) == STORED["views"]["count"]
        assert np.mean(one["abs_rel_of_views"]) == pytest.approx(one["scores"]["abs_rel"], abs=1e-4)
        assert f"| {one['scores']['abs_rel']:.3f} | {one['scores']['delta1']:.3f} |" in page


def test_page_names_each_network_by_its_hash():
    page = (DOCS / "claim.md").read_text(encoding="utf-8")
    hashes = {one["checkpoint"]: one["sha256"] for one in STORED["rows"]}
    for checkpoint, digest in hashes.items():
        assert re.search(rf"`{checkpoint}`.*`{digest[:16]}`", page), checkpoint
        size = sum(path.stat().st_size for path in (CHECKPOINTS / checkpoint).rglob("*") if path.is_file())
        assert size < 3 * 2**20


def test_every_network_has_its_recipe_and_its_log():
    names = {"autoencoder", "image_diffusion", *(row.checkpoint for row in rows())}
    for name in names:
        recipe = read_recipe(CLAIM / "recipes" / f"{name}.yaml")
        assert recipe.data.sizes[0].height == 64
        assert (CLAIM / "logs" / f"{name}.jsonl.gz").is_file()
    train = read_yaml(CLAIM / "recipes" / "render_train.yaml", RenderRecipe)
    # Some scenes are dropped, never more than one in ten: the seeds stay apart.
    assert train.first_seed + 1.1 * train.images < STORED["views"]["first_seed"]


def test_views_are_the_same_each_time(views):
    again = held_out_views(2)
    assert all((one.image == other.image).all() for one, other in zip(again, views, strict=False))
    assert views[0].image.shape == (128, 192, 3)


def test_report_has_what_it_promises(views, tmp_path):
    chosen = [Row("E2E", "e2e_zeros", Sampling()), Row("Flawed", DIFFUSION, Sampling(1, "leading"))]
    measured = [measure(row, CHECKPOINTS, views[:2], shown=2) for row in chosen]
    measured[1] = replace(measured[1], cpu_ms=2.5 * measured[0].cpu_ms)
    text = write_report(tmp_path, measured, views[:2])
    assert text == table(measured)
    lines = text.splitlines()
    assert lines[2].startswith("| E2E | 1 |  | 1 | ")
    assert lines[2].endswith(" | 1.0 |")
    assert lines[3].startswith("| Flawed | 1 | leading | 1 | ")
    assert lines[3].endswith(" | 2.5 |")
    assert {path.name for path in tmp_path.iterdir()} == {
        "table.md",
        "table.json",
        "plot.png",
        "pictures.png",
    }


def test_command_refuses_no_views(tmp_path, capsys):
    assert main(["claim", str(CHECKPOINTS), "--output", str(tmp_path), "--views", "0"]) == 2
    assert "--views: expected at least 1, got 0" in capsys.readouterr().err
