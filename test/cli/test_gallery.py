"""A gallery has a row for each image, its prediction where the truth is to be found."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_depth_ros.cli.gallery import Shown, gallery_row
from e2e_depth_ros.cli.main import main
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.targets import DepthTarget
from e2e_depth_ros.training.shards import read_shard, write_shard

RENDERS = Path(__file__).parents[2] / "docs" / "gallery" / "shard-00000.npz"
SIZE = (90, 120)  # panels are 270 pixels high, and 360 wide
TRUTH = (1 / np.linspace(0.3, 1, 90 * 120).reshape(SIZE)).astype(np.float32)


def relative(values):
    return DepthMap(values.astype(np.float32), np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT)


def target_of(rows, columns, source="depth"):
    return DepthTarget(SIZE, rows, columns, TRUTH[rows, columns], source)


def panel(row, index):
    begin = index * (360 + 6)
    return row[30:, begin : begin + 360].astype(int)  # without the label


def test_a_perfect_prediction_looks_like_the_truth_and_the_row_does_not():
    everywhere = target_of(*(grid.ravel() for grid in np.mgrid[0:90, 0:120]))
    flat = relative(np.ones(SIZE))
    row = gallery_row(
        Shown("x", np.zeros((*SIZE, 3), np.uint8), everywhere, {"good": relative(TRUTH / 9), "flat": flat})
    )
    assert row.shape == (270, 4 * 360 + 3 * 6, 3)
    assert panel(row, 0).max() == 0
    assert np.abs(panel(row, 1) - panel(row, 2)).max() <= 2
    assert np.abs(panel(row, 1) - panel(row, 3)).mean() > 20


def test_sparse_truth_is_drawn_as_dots_over_the_image():
    rgb = np.full((*SIZE, 3), 100, np.uint8)
    sparse = target_of(np.array([40, 70]), np.array([30, 100]), "points")
    row = gallery_row(Shown("x", rgb, sparse, {"good": relative(TRUTH / 9)}))
    truth = panel(row, 1)
    assert (truth == 35).mean() > 0.9  # the image, dimmed
    assert (truth[3 * 40 - 30 + 1, 3 * 30 + 1] != 35).any()


def test_without_truth_each_has_its_own_range():
    shown = {"one": relative(TRUTH), "other": relative(5 * TRUTH + 1)}
    row = gallery_row(Shown("x", np.zeros((*SIZE, 3), np.uint8), None, shown))
    assert row.shape == (270, 3 * 360 + 2 * 6, 3)
    assert np.abs(panel(row, 1) - panel(row, 2)).max() <= 2


def test_of_a_model_of_normals_alone_normals_are_drawn(tmp_path, tiny_checkpoint):
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((90, 120, 3), 90, np.uint8))
    path = tmp_path / "gallery.png"
    options = ["--model", str(tiny_checkpoint()), "--task", "normals"]
    assert main(["gallery", str(tmp_path / "photo.png"), "--output", str(path), *options]) == 0
    row = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert row.shape == (270, 3 * 360 + 2 * 6, 3)  # the image, its normals, and the row's depth
    length = np.linalg.norm(panel(row, 1) / 127.5 - 1, axis=-1)
    assert 0.9 < np.median(length) < 1.1  # unit vectors


def test_command_draws_photos_frames_and_renders(tmp_path, write_frame, tiny_checkpoint):
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((50, 70, 3), 90, np.uint8))
    write_frame(tmp_path / "frame", depth=np.fromfunction(lambda v, u: 1 + v / 40 + u / 90, (40, 56)))
    write_shard(tmp_path / "shard-00000.npz", read_shard(RENDERS)[:1])
    inputs = [str(tmp_path / name) for name in ("photo.png", "frame", "shard-00000.npz")]
    picture = tmp_path / "gallery.jpg"
    assert main(["gallery", *inputs, "--output", str(picture), "--model", str(tiny_checkpoint())]) == 0
    assert cv2.imread(str(picture)).shape[0] == 3 * 270 + 2 * 6


def test_an_image_that_cannot_be_read_is_told_and_the_others_are_shown(tmp_path, tiny_checkpoint, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((50, 70, 3), 90, np.uint8))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    picture = tmp_path / "shown" / "gallery.png"
    picture.parent.mkdir()
    assert main(["gallery", str(tmp_path), "--output", str(picture), "--model", str(tiny_checkpoint())]) == 2
    assert cv2.imread(str(picture)).shape[0] == 270
    error = capsys.readouterr().err
    assert error.startswith("e2e-depth gallery: b")
    assert error.count("\n") == 1


@pytest.mark.parametrize(("arguments", "message"), [([], "neither"), (["nowhere.png"], "nowhere")])
def test_wrong_input_is_one_line(tmp_path, tiny_checkpoint, capsys, arguments, message):
    model = str(tiny_checkpoint())
    assert main(["gallery", *arguments, "--output", str(tmp_path / "x.jpg"), "--model", model]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["x.pdf", "x", "nowhere/x.png", "."])
def test_a_picture_that_cannot_be_written_is_told_before_any_work(tmp_path, name, capsys):
    inputs = str(tmp_path / "does-not-exist")  # which would be told next
    assert main(["gallery", inputs, "--output", str(tmp_path / name), "--model", "no-such-model"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path / name) in error
