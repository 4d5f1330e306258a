import json

import cv2
import numpy as np
import pytest

from e2e_depth_ros.cli.main import main
from helpers.protocol_sets import WRITERS


def evaluate(data, name, out, *more):
    return main(["evaluate", str(data), "--protocol", name, "--output", str(out), *map(str, more)])


@pytest.mark.parametrize("name", ["scannet", "ibims_normals"])
def test_a_model_is_scored_beside_the_published_rows(name, tmp_path, tiny_checkpoint, capsys):
    small = WRITERS[name](tmp_path / "data")
    model = tiny_checkpoint()
    assert evaluate(small.folder, name, tmp_path / "out", "--model", model) == 0
    text = capsys.readouterr().out
    assert model.name in text
    assert "E2E-FT" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["frames_scored"], report["failures"], report["published"]) == (2, {}, None)
    assert report["settings"]["processing_resolution"] == 0
    assert report["settings"]["domain"] == "indoor"
    assert set(report["frames"]) == {image.rpartition(".")[0] for image in small.images}
    gallery = cv2.imread(str(tmp_path / "out" / "gallery.jpg"))
    assert gallery.shape[0] == 2 * 270 + 6  # the best frame and the worst


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("diode", (), (640, "indoor")),
        ("eth3d", (), (756, "indoor")),
        ("sintel_normals", (), (0, "outdoor")),
        ("diode", ("--processing-resolution", "0", "--domain", "object"), (0, "object")),
    ],
)
def test_the_protocol_says_how_networks_see_unless_the_user_does(
    name, given, wanted, tmp_path, monkeypatch, capsys
):
    from e2e_depth_ros.core.errors import InvalidInputError

    def load(args):
        raise InvalidInputError(f"{args.processing_resolution} {args.domain}")

    monkeypatch.setattr("e2e_depth_ros.cli.evaluate_protocol.load_estimator", load)
    small = WRITERS[name](tmp_path / "data")
    assert evaluate(small.folder, name, tmp_path / "out", *given) == 2
    assert capsys.readouterr().err.strip() == "e2e-depth evaluate: {} {}".format(*wanted)


@pytest.mark.parametrize("taken", ["gallery.jpg", "report.json", "scores.json"])
def test_what_cannot_be_written_is_told_before_the_work(taken, tmp_path, monkeypatch, capsys):
    def predict(*_):
        pytest.fail("the work had begun")

    monkeypatch.setattr("e2e_depth_ros.evaluation.protocols.evaluation.evaluate_by_protocol", predict)
    small = WRITERS["scannet"](tmp_path / "data")
    out = tmp_path / "out"
    (out / taken).mkdir(parents=True)
    saved = ("--predictions", out, "--json", out / "scores.json")
    assert evaluate(small.folder, "scannet", out, *saved) == 2
    assert f"cannot write {out / taken}: expected a file" in capsys.readouterr().err


def test_saved_predictions_give_the_scores_worked_out_by_hand(tmp_path):
    small = WRITERS["scannet"](tmp_path / "data")
    for frame, depth in small.predictions.items():
        folder = tmp_path / "predictions" / frame
        folder.mkdir(parents=True)
        np.save(folder / "depth.npy", depth.astype(np.float32))
    scores = tmp_path / "scores.json"
    saved = ("--predictions", tmp_path / "predictions")
    assert evaluate(small.folder, "scannet", tmp_path / "out", *saved, "--json", scores) == 0
    report = json.loads(scores.read_text())
    assert report["scores"]["abs_rel"] == pytest.approx((38 / 99 + 0.375) / 2, rel=1e-6)
    assert report["all_published"][5] == {
        "method": "Marigold + E2E-FT",
        "abs_rel_percent": 5.8,
        "delta1_percent": 96.2,
    }


def test_the_checkpoints_own_row_is_marked(tmp_path, tiny_checkpoint, capsys):
    small = WRITERS["scannet"](tmp_path / "data")
    model = tmp_path / "marigold-e2e-ft-depth"
    model.symlink_to(tiny_checkpoint("e2e_ft_depth"), target_is_directory=True)
    assert evaluate(small.folder, "scannet", tmp_path / "out", "--model", model) == 0
    text = capsys.readouterr().out
    assert "Marigold + E2E-FT *" in text
    assert "* published of this checkpoint" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["published"]["abs_rel_percent"] == 5.8


def test_an_interrupted_evaluation_goes_on(tmp_path, monkeypatch, capsys):
    from e2e_depth_ros.evaluation.sources import SavedSource

    small = WRITERS["scannet"](tmp_path / "data")
    for frame, depth in small.predictions.items():
        folder = tmp_path / "predictions" / frame
        folder.mkdir(parents=True)
        np.save(folder / "depth.npy", depth.astype(np.float32))
    arguments = ("scannet", tmp_path / "out", "--predictions", tmp_path / "predictions")
    last = max(small.predictions)
    predict = SavedSource.predict

    def interrupted(self, frame, rgb):
        if frame.name == last:
            raise KeyboardInterrupt
        return predict(self, frame, rgb)

    monkeypatch.setattr(SavedSource, "predict", interrupted)
    assert evaluate(small.folder, *arguments) == 130
    monkeypatch.setattr(SavedSource, "predict", predict)
    assert evaluate(small.folder, *arguments) == 0
    assert "1 frames are scored already" in capsys.readouterr().err
    resumed = json.loads((tmp_path / "out" / "report.json").read_text())
    assert evaluate(small.folder, "scannet", tmp_path / "new", *arguments[2:]) == 0
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == resumed
    # Another way to predict is not mixed with it.
    assert evaluate(small.folder, *arguments, "--metric") == 2
    assert "choose another folder" in capsys.readouterr().err


def test_broken_frames_are_told_and_tried_again(tmp_path, capsys):
    small = WRITERS["scannet"](tmp_path / "data")
    arguments = ("scannet", tmp_path / "out", "--predictions", tmp_path / "predictions")
    frames = sorted(small.predictions)
    for frame in frames:
        (tmp_path / "predictions" / frame).mkdir(parents=True)
    np.save(tmp_path / "predictions" / frames[0] / "depth.npy", np.float32(small.predictions[frames[0]]))
    assert evaluate(small.folder, *arguments) == 2
    assert frames[1] in capsys.readouterr().err
    np.save(tmp_path / "predictions" / frames[1] / "depth.npy", np.float32(small.predictions[frames[1]]))
    assert evaluate(small.folder, *arguments) == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["frames_scored"] == 2


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("nyuv2", (), "no image lies there as test/kitchen_0004/rgb_0001.png"),
        ("scannet", ("--max-depth", "5"), "the protocol says the range"),
        ("scannet", ("--metric",), "--predictions"),
        ("scannet", ("--carry", "0.1"), "each for itself"),
        ("scannet", ("--predictions", "nowhere"), "nowhere"),
    ],
)
def test_wrong_input_is_one_line(tmp_path, capsys, name, more, words):
    small = WRITERS["scannet"](tmp_path / "data")
    assert evaluate(small.folder, name, tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_output_is_asked_for(tmp_path, capsys):
    small = WRITERS["scannet"](tmp_path / "data")
    assert main(["evaluate", str(small.folder), "--protocol", "scannet"]) == 2
    assert "--output" in capsys.readouterr().err


def test_a_model_without_normals_is_refused(tmp_path, tiny_checkpoint, capsys):
    small = WRITERS["ibims_normals"](tmp_path / "data")
    model = tiny_checkpoint("marigold_depth")
    assert evaluate(small.folder, "ibims_normals", tmp_path / "out", "--model", model) == 2
    assert "predicts normals" in capsys.readouterr().err


def test_a_protocol_that_is_not_known_is_told_with_the_closest(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path), "--protocol", "kitti"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean kitti_eigen?" in error
