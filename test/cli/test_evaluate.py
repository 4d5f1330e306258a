import json

import numpy as np
import pytest

from e2e_depth_ros.cli.main import main


def depth():
    v, u = np.mgrid[0:40, 0:56]
    return (1 / (0.3 + 0.004 * v - 0.001 * u)).astype(np.float32)


@pytest.fixture
def frames(tmp_path, write_frame):
    write_frame(tmp_path / "data" / "one" / "0", depth=depth())
    write_frame(tmp_path / "data" / "two" / "0", depth=2 * depth())
    return tmp_path / "data"


def test_model_is_scored_beside_the_baselines(frames, tmp_path, tiny_checkpoint, capsys):
    out = tmp_path / "scores.json"
    assert main(["evaluate", str(frames), "--model", str(tiny_checkpoint()), "--json", str(out)]) == 0
    text = capsys.readouterr().out
    for word in ("one", "two", "mean of sets", "constant", "linear in", "AbsRel", "11.25"):
        assert word in text
    scores = json.loads(out.read_text())
    assert set(scores["sets"]) == {"one", "two"}
    assert 0 < scores["mean"]["abs_rel"] < 1
    assert scores["mean"]["abs_rel"] == pytest.approx(
        np.mean([s["abs_rel"] for s in scores["sets"].values()])
    )
    assert scores["normals"]["one"]["pixels"] > 100


def test_what_is_scored_is_what_predict_writes(frames, tmp_path, tiny_checkpoint):
    """Along the outlines of the image as the checkpoint says, or not at all."""
    arguments = ["--model", str(tiny_checkpoint()), "--processing-resolution", "32"]
    means = {}
    for upsampling in ("auto", "bilinear"):
        out, direct, saved = (tmp_path / f"{upsampling}{end}" for end in ("", ".json", "-saved.json"))
        chosen = [*arguments, "--upsampling", upsampling]
        assert main(["evaluate", str(frames), *chosen, "--json", str(direct)]) == 0
        assert main(["predict", str(frames), "--output", str(out), *chosen]) == 0
        assert main(["evaluate", str(frames), "--predictions", str(out), "--json", str(saved)]) == 0
        means[upsampling], of_files = (json.loads(path.read_text())["mean"] for path in (direct, saved))
        assert means[upsampling] == pytest.approx(of_files, rel=1e-4)
    assert means["auto"] != pytest.approx(means["bilinear"], rel=1e-3)


def test_predict_then_evaluate_is_the_same_as_evaluate(frames, tmp_path, tiny_checkpoint):
    model, out = str(tiny_checkpoint()), tmp_path / "out"
    direct, saved = tmp_path / "direct.json", tmp_path / "saved.json"
    assert main(["predict", str(frames), "--output", str(out), "--model", model]) == 0
    assert main(["evaluate", str(frames), "--predictions", str(out), "--json", str(saved)]) == 0
    assert main(["evaluate", str(frames), "--model", model, "--json", str(direct)]) == 0
    first, second = (json.loads(path.read_text())["mean"] for path in (direct, saved))
    assert first == pytest.approx(second, rel=1e-4)


def test_crops_take_the_place_of_frames(frames, tmp_path, tiny_checkpoint, capsys):
    out, model = tmp_path / "scores.json", str(tiny_checkpoint())
    assert main(["evaluate", str(frames), "--model", model, "--crops", "3", "--json", str(out)]) == 0
    scores = json.loads(out.read_text())
    assert set(scores["frames"]) == {f"{name}/0 crop {n}" for name in ("one", "two") for n in range(3)}
    assert len({one["abs_rel"] for one in scores["frames"].values()}) == 6
    assert main(["evaluate", str(frames), "--model", model, "--crops", "0"]) == 2
    assert "expected 1 to 1000 crops, got 0" in capsys.readouterr().err
    assert main(["evaluate", str(frames), "--predictions", str(tmp_path), "--crops", "3"]) == 2
    assert "no --predictions of crops" in capsys.readouterr().err
    assert main(["evaluate", str(frames), "--align", "--crops", "3"]) == 2
    assert "expected no --crops with --align" in capsys.readouterr().err


def test_all_crops_of_a_broken_frame_are_told_once(frames, tiny_checkpoint, capsys):
    (frames / "two" / "0" / "camera_info.yaml").write_text("no calibration")
    assert main(["evaluate", str(frames), "--model", str(tiny_checkpoint()), "--crops", "3"]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "two/0" in line]
    assert len(told) == 1, told
    assert " crop " not in told[0]


def test_saved_metres_are_compared_without_a_fit(frames, tmp_path, capsys):
    for name, metres in (("one/0", 1.2 * depth()), ("two/0", 2.4 * depth())):
        (tmp_path / "out" / name).mkdir(parents=True)
        np.save(tmp_path / "out" / name / "depth.npy", metres)
    out = tmp_path / "scores.json"
    arguments = ["--predictions", str(tmp_path / "out"), "--metric", "--json", str(out)]
    assert main(["evaluate", str(frames), *arguments]) == 0
    assert json.loads(out.read_text())["mean"]["abs_rel"] == pytest.approx(0.2, abs=1e-5)
    assert main(["evaluate", str(frames), "--metric"]) == 2
    assert "--predictions" in capsys.readouterr().err


def test_broken_frames_are_told_and_the_rest_is_scored(frames, write_frame, tmp_path, capsys):
    write_frame(frames / "two" / "1")
    for name in ("one/0", "two/0", "two/1"):
        (tmp_path / "out" / name).mkdir(parents=True)
        np.save(tmp_path / "out" / name / "depth.npy", depth())
    out = tmp_path / "scores.json"
    assert main(["evaluate", str(frames), "--predictions", str(tmp_path / "out"), "--json", str(out)]) == 2
    assert "two/1" in capsys.readouterr().err
    scores = json.loads(out.read_text())
    assert list(scores["failures"]) == ["two/1"]
    assert set(scores["frames"]) == {"one/0", "two/0"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--align", "--costmap"], "one evaluation at a time, got --costmap and --align"),
        (["--align", "--flicker"], "one evaluation at a time, got --align and --flicker"),
        (["--maps", "maps.png"], "expected --costmap with --maps"),
        (["--tolerance", "1"], "expected --costmap with --tolerance"),
        (["--samples", "lidar:16"], "expected --align or --costmap with --samples"),
        (["--costmap", "--relative", "model"], "expected --align with --relative"),
        (["--align", "--model", "mine"], "expected --relative model with --model"),
        (["--align", "--model", "embedded"], "expected --relative model with --model"),
        (["--align", "--engine", "onnx", "--steps", "2"], "--relative model with --engine and --steps"),
        (["--predictions", "out", "--model", "mine"], "expected no --model with --predictions"),
        (["--predictions", "out", "--threads", "1"], "expected no --threads with --predictions"),
        (["--align", "--predictions", "out", "--metric"], "no --predictions and --metric with --align"),
        (["--costmap", "--max-depth", "9"], "expected no --max-depth with --costmap"),
        (["--output", "out"], "expected --protocol with --output"),
        (["--protocol", "nyuv2", "--image", "/left"], "expected no --image with --protocol"),
        (["--align", "--seed", "-1"], "expected a seed of 0 or more, got -1"),
    ],
)
def test_what_would_be_passed_over_is_refused(frames, capsys, options, words):
    assert main(["evaluate", str(frames), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_range_is_refused_if_impossible(frames, capsys):
    assert main(["evaluate", str(frames), "--min-depth", "3", "--max-depth", "2"]) == 2
    assert "3.0 and 2.0" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["nowhere", "plain"])
def test_wrong_input_is_one_line(tmp_path, capsys, what):
    import cv2

    (tmp_path / "plain").mkdir()
    cv2.imwrite(str(tmp_path / "plain" / "x.png"), np.zeros((4, 5, 3), np.uint8))
    assert main(["evaluate", str(tmp_path / what)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
