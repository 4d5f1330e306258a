import json
import os

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.metrics import NormalErrors, score_depth
from e2e_depth_ros.evaluation.protocols.store import ScoreStore

SETTINGS = {"protocol": "nyuv2", "model": "tiny", "steps": 1}
DEPTH = score_depth(np.array([1.0, 2.1]), np.array([1.1, 2.0]))


def normals():
    errors = NormalErrors()
    angle = np.deg2rad([0.1, 3, 33.33, 180])
    errors.add(np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1), np.tile([0, 0, 1.0], (4, 1)))
    return errors


def test_scores_come_back_as_they_were(tmp_path):
    store = ScoreStore(tmp_path / "new" / "out", SETTINGS)
    store.add("b/1", DEPTH)
    store.add("a/2", normals())
    again = ScoreStore(tmp_path / "new" / "out", SETTINGS).scores
    assert list(again) == ["b/1", "a/2"]
    assert again["b/1"] == DEPTH
    assert again["a/2"].scores() == normals().scores()
    np.testing.assert_array_equal(again["a/2"].counts, normals().counts)


def test_a_line_that_was_cut_off_is_forgotten(tmp_path):
    store = ScoreStore(tmp_path, SETTINGS)
    store.add("a", DEPTH)
    store.add("b", DEPTH)
    path = tmp_path / "frames.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    store = ScoreStore(tmp_path, SETTINGS)
    assert list(store.scores) == ["a"]
    store.add("c", DEPTH)
    assert list(ScoreStore(tmp_path, SETTINGS).scores) == ["a", "c"]
    path.write_text('{"protocol"', encoding="utf-8")  # even the first line
    assert ScoreStore(tmp_path, SETTINGS).scores == {}


@pytest.mark.parametrize("change", [{"model": "other"}, {"steps": 4}, {"dtype": "float16"}])
def test_scores_of_other_settings_are_refused(tmp_path, change):
    ScoreStore(tmp_path, SETTINGS).add("a", DEPTH)
    with pytest.raises(InvalidInputError, match=next(iter(change))):
        ScoreStore(tmp_path, SETTINGS | change)


def test_what_is_no_store_is_refused(tmp_path):
    (tmp_path / "frames.jsonl").write_text("not json\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="JSON"):
        ScoreStore(tmp_path, SETTINGS)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="file"):
        ScoreStore(tmp_path / "file", SETTINGS)


def test_lines_are_readable(tmp_path):
    ScoreStore(tmp_path, SETTINGS).add("a", normals())
    first, second = map(json.loads, (tmp_path / "frames.jsonl").read_text().splitlines())
    assert first == SETTINGS
    assert second["mean_deg"] == pytest.approx((0.1 + 3 + 33.33 + 180) / 4)


@pytest.mark.parametrize("line", ["[" * 100_000, "5", "[1]"], ids=range(3))
def test_lines_that_are_no_scores_are_refused(tmp_path, line):
    ScoreStore(tmp_path, SETTINGS)
    with (tmp_path / "frames.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidInputError, match="expected one object of JSON a line"):
        ScoreStore(tmp_path, SETTINGS)


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "frames.jsonl")
    with pytest.raises(InvalidInputError, match="named pipe"):
        ScoreStore(tmp_path, SETTINGS)
