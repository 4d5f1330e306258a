"""Trainings beside each other: what differs, and what they reached last."""

import gzip
import json

import cv2
import pytest
import yaml

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.comparison import differences, markdown_table, read_log, read_run
from e2e_depth_ros.training.pictures import write_curves

RECIPE = {
    "seed": 7,
    "model": {"name": "a", "unet": {"channels": [96, 128]}},
    "data": {"train": [{"shards": "x/*.npz", "weight": 1.0, "limit": 0}]},
    "loss": {"depth": {"anchor": 0.4, "fit_weighting": 0.0}},
    "run": {"threads": 1},
}


def scores(abs_rel, **others):
    return {
        "abs_rel": abs_rel,
        "delta1": 0.5,
        "normals_deg": 21.26,
        "row_abs_rel": 0.5,
        "images": 80,
        **others,
    }


def write_run(folder, abs_rels, recipe=None, **others):
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe or RECIPE))
    lines = []
    for index, abs_rel in enumerate(abs_rels, 1):
        lines.append({"step": 10 * index, "depth_loss": 1 / index, "seconds": 150.0 * index})
        lines.append({"step": 10 * index, "validation": {"validation": scores(abs_rel, **others)}})
    lines.append({"step": 10 * len(abs_rels) + 3, "depth_loss": 0.1, "seconds": 150.0 * len(abs_rels) + 30})
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def changed(**changes):
    recipe = json.loads(json.dumps(RECIPE))
    for key, value in changes.items():
        *parents, name = key.split("__")
        place = recipe
        for parent in parents:
            place = place[parent]
        place[name] = value
    return recipe


def test_the_last_validation_counts(tmp_path):
    run = read_run(write_run(tmp_path / "base", [0.5, 0.4321]))
    assert (run.name, run.steps, run.minutes) == ("base", 20, 5.5)
    assert run.scores["validation"]["abs_rel"] == 0.4321
    assert run.recipe == RECIPE


def test_differences_leave_out_names_and_machine():
    first = {"a": {"b": 1}, "c": [1], "run": {"threads": 1}, "model": {"name": "x"}, "gone": 0.5}
    other = {"a": {"b": 1}, "c": [2], "run": {"threads": 2}, "model": {"name": "y"}, "new": False}
    assert differences(first, other) == {"c": ([1], [2]), "gone": (0.5, None), "new": (None, False)}


def test_differences_go_into_the_entries_of_a_list():
    """Two paths of one folder name were both shown as that name."""
    first = {"train": [{"shards": "a/x/*.npz", "weight": 1.0}, {"hypersim": "data/one"}]}
    other = {"train": [{"shards": "b/x/*.npz", "weight": 1.0}]}
    assert differences(first, other) == {
        "train[0].shards": ("a/x/*.npz", "b/x/*.npz"),
        "train[1]": ({"hypersim": "data/one"}, None),
    }


def test_table_tells_changes_and_scores(tmp_path):
    wider = changed(
        model__unet__channels=[128, 160],
        data__train=[
            {"shards": "z/x/*.npz", "weight": 0.5, "limit": 0},
            {"shards": "y/*.npz", "weight": 1.0, "limit": 0, "domain": ""},
        ],
    )
    free = changed(loss__depth__anchor=0.0, run__threads=2)
    runs = [
        read_run(write_run(tmp_path / "base", [0.5, 0.4321])),
        read_run(write_run(tmp_path / "free", [0.4], free, edge_f1=0.1234)),
        read_run(write_run(tmp_path / "wide", [0.39], wider)),
        read_run(write_run(tmp_path / "again", [0.38])),
    ]
    assert markdown_table(runs).splitlines() == [
        "| run | steps | minutes | AbsRel | delta1 | edge F1 | normals |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| base | 20 | 6 | 0.432 | 0.500 |  | 21.3 deg |",
        "| free | 10 | 3 | 0.400 | 0.500 | 0.123 | 21.3 deg |",
        "| wide | 10 | 3 | 0.390 | 0.500 |  | 21.3 deg |",
        "| again | 10 | 3 | 0.380 | 0.500 |  | 21.3 deg |",
        "",
        "validation: 80 images, AbsRel of the image row 0.500",
        "",
        "free against base:",
        "",
        "- `loss.depth.anchor`: 0.4 -> 0.0",
        "",
        "wide against base:",
        "",
        "- `data.train[0].shards`: x/*.npz -> z/x/*.npz",
        "- `data.train[0].weight`: 1.0 -> 0.5",
        "- `data.train[1]`: absent -> shards y/*.npz weight 1.0",
        "- `model.unet.channels`: [96, 128] -> [128, 160]",
        "",
        "again against base: nothing changed",
    ]


def test_runs_of_different_validation_images_have_tables_of_their_own(tmp_path):
    runs = [
        read_run(write_run(tmp_path / "one", [0.5])),
        read_run(write_run(tmp_path / "other", [0.3], images=79, row_abs_rel=0.25)),
        read_run(write_run(tmp_path / "alike", [0.4])),
        read_run(write_run(tmp_path / "unscored", [])),
    ]
    first, second, third = markdown_table(runs).split("| run |")[1:]
    assert ("| one |" in first, "| alike |" in first, "| other |" in first) == (True, True, False)
    assert "validation: 80 images, AbsRel of the image row 0.500" in first
    assert "| other |" in second
    assert "validation: 79 images, AbsRel of the image row 0.250" in second
    assert "| unscored | 0 | 0 |" in third
    assert "AbsRel" not in third.partition("against")[0]


def test_several_sources_have_columns_of_their_own(tmp_path):
    run = write_run(tmp_path / "base", [0.5])
    log = [{"step": 9, "validation": {"validation 0": scores(0.3), "validation 1": scores(0.7)}}]
    (run / "log.jsonl").write_text(json.dumps(log[0]))
    header, _, row, *_ = markdown_table([read_run(run)]).splitlines()
    assert "| validation 0: AbsRel |" in header
    assert "| validation 1: AbsRel |" in header
    assert row.startswith("| base | 9 | 0 | 0.300 |")


def test_a_compressed_log_is_a_run_without_recipe(tmp_path):
    folder = write_run(tmp_path / "base", [0.5, 0.4])
    packed = tmp_path / "training_log.jsonl.gz"
    packed.write_bytes(gzip.compress((folder / "log.jsonl").read_bytes()))
    run = read_run(packed)
    assert (run.name, run.recipe, run.steps) == ("training_log", {}, 20)
    assert read_log(packed) == read_log(folder / "log.jsonl")
    assert "| training_log | 20 |" in markdown_table([read_run(folder), run])


def test_command_prints_the_table_and_draws_the_curves(tmp_path, capsys):
    runs = [write_run(tmp_path / name, values) for name, values in (("one", [0.5, 0.4]), ("two", [0.3]))]
    picture = tmp_path / "curves.png"
    assert main(["compare", *map(str, runs), "--curves", str(picture)]) == 0
    assert capsys.readouterr().out.count("\n| ") == 3
    nowhere = str(tmp_path / "nowhere" / "x.png")
    assert main(["compare", *map(str, runs), "--curves", nowhere]) == 2
    assert f"cannot write {nowhere}: expected a file in a folder that exists" in capsys.readouterr().err
    both = cv2.imread(str(picture))
    write_curves(picture, runs[0] / "log.jsonl")
    one = cv2.imread(str(picture))
    assert one.shape == both.shape
    assert (one != both).any()
    assert one.min() < 60  # lines and letters, not an empty sheet


def test_what_is_no_training_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.jsonl.gz").write_bytes(b"no gzip")
    (tmp_path / "y.jsonl").write_text("[1, 2]\n")
    for name in ("empty", "x.jsonl.gz", "y.jsonl", "nowhere"):
        assert main(["compare", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert name in error
        assert error.count("\n") == 1
    with pytest.raises(InvalidInputError, match="at least one"):
        markdown_table([])


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"step": ' * 100_000, b"\0" * (1 << 26)], ids=range(3))
def test_a_log_that_is_a_bomb_is_refused(tmp_path, line):
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(line, 1))
    with pytest.raises(InvalidInputError, match=r"log of a training.*(deep|more than)"):
        read_log(tmp_path / "log.jsonl.gz")
