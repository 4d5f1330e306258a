import os

import cv2
import numpy as np
import pytest

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.task import Task


@pytest.fixture
def inputs(tmp_path, write_frame):
    write_frame(tmp_path / "data" / "set" / "0", depth=np.ones((40, 56)))
    photos = tmp_path / "data" / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    cv2.imwrite(str(photos / "odd.jpg"), rng.integers(0, 255, (37, 23, 3), dtype=np.uint8))
    return tmp_path / "data"


def test_results_mirror_the_inputs(inputs, tmp_path, tiny_checkpoint, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(inputs), "--output", str(out), "--model", str(tiny_checkpoint())]) == 0
    for name, size in (("set/0", (40, 56)), ("photos/odd", (37, 23))):
        assert sorted(path.name for path in (out / name).iterdir()) == ["depth.npy", "preview.png"]
        depth = np.load(out / name / "depth.npy")
        assert (depth.shape, depth.dtype) == (size, np.float32)
        assert depth.min() >= 0
        assert depth.max() <= 1
        panel = round(270 * size[1] / size[0])
        assert cv2.imread(str(out / name / "preview.png")).shape == (270, 2 * panel + 6, 3)
    assert "2 of 2 images" in capsys.readouterr().err


def test_depth_and_normals_are_those_of_the_estimator(inputs, tmp_path, tiny_checkpoint):
    out, model = tmp_path / "out", str(tiny_checkpoint())
    arguments = ["--output", str(out), "--model", model, "--normals", "--processing-resolution", "48"]
    assert main(["predict", str(inputs / "set" / "0"), *arguments]) == 0
    rgb = cv2.cvtColor(cv2.imread(str(inputs / "set" / "0" / "image.png")), cv2.COLOR_BGR2RGB)
    estimate = Estimator.load(model, processing_resolution=48).estimate(rgb, tasks=(Task.DEPTH, Task.NORMALS))
    np.testing.assert_allclose(np.load(out / "0" / "depth.npy"), estimate.outlined_depth.values, atol=1e-5)
    normals = np.load(out / "0" / "normals.npy")
    assert (normals.shape, normals.dtype) == ((40, 56, 3), np.float32)
    np.testing.assert_allclose(normals, estimate.normals.values, atol=1e-4)
    preview = cv2.imread(str(out / "0" / "preview.png"))
    assert preview.shape == (270, 3 * 378 + 2 * 6, 3)
    np.testing.assert_array_equal(preview[200, 100], (20, 30, 200))
    panel = cv2.resize(preview[:, 384:762], (56, 40), interpolation=cv2.INTER_AREA)
    brightness, depth = (
        values[8:] for values in (panel.sum(axis=2, dtype=int), estimate.outlined_depth.values)
    )
    low, high = np.percentile(depth, (10, 90))  # below the label
    nearest, farthest = brightness[depth < low], brightness[depth > high]
    assert nearest.min() > farthest.max()


def test_the_upsampling_is_the_users_choice(inputs, tmp_path, tiny_checkpoint, capsys):
    model = str(tiny_checkpoint())
    rgb = cv2.cvtColor(cv2.imread(str(inputs / "set" / "0" / "image.png")), cv2.COLOR_BGR2RGB)
    estimate = Estimator.load(model, processing_resolution=32).estimate(rgb)
    arguments = [str(inputs / "set" / "0"), "--model", model, "--processing-resolution", "32"]
    expected = {
        "auto": estimate.outlined_depth.values,
        "guided": estimate.outlined_depth.values,
        "bilinear": estimate.depth.values,
    }
    assert np.abs(expected["guided"] - expected["bilinear"]).max() > 1e-3
    for name, values in expected.items():
        out = tmp_path / name
        assert main(["predict", *arguments, "--output", str(out), "--upsampling", name]) == 0
        np.testing.assert_allclose(np.load(out / "0" / "depth.npy"), values, atol=1e-5)
    with pytest.raises(SystemExit):
        main(["predict", *arguments, "--output", str(tmp_path), "--upsampling", "nearest"])
    assert "invalid choice: 'nearest'" in capsys.readouterr().err


def test_broken_images_are_told_and_the_rest_goes_on(inputs, tmp_path, tiny_checkpoint, capsys):
    (inputs / "photos" / "broken.png").write_bytes(b"not a picture")
    (inputs / "photos" / "empty.jpg").write_bytes(b"")
    out = tmp_path / "out"
    assert main(["predict", str(inputs), "--output", str(out), "--model", str(tiny_checkpoint())]) == 2
    lines = capsys.readouterr().err.splitlines()
    for name in ("broken.png", "empty.jpg"):
        assert sum(name in line for line in lines) == 1
    assert any("2 of 4 images" in line for line in lines)
    assert (out / "photos" / "odd" / "depth.npy").is_file()
    assert not (out / "photos" / "broken").exists()


def test_normals_need_a_checkpoint_that_has_them(inputs, tmp_path, tiny_checkpoint, capsys):
    arguments = ["--output", str(tmp_path / "out"), "--model", str(tiny_checkpoint("marigold_depth"))]
    assert main(["predict", str(inputs), *arguments, "--normals"]) == 2
    assert "has none" in capsys.readouterr().err


def test_normals_checkpoint_writes_normals(inputs, tmp_path, tiny_checkpoint):
    out = tmp_path / "out"
    model = str(tiny_checkpoint("marigold_normals"))
    assert main(["predict", str(inputs / "set"), "--output", str(out), "--model", model]) == 0
    assert sorted(path.name for path in (out / "0").iterdir()) == ["normals.npy", "preview.png"]


def test_ensembles_write_their_uncertainty(inputs, tmp_path, tiny_checkpoint):
    out, frame = tmp_path / "out", str(inputs / "set" / "0")
    for layout, name in (("marigold_depth_v1_1", "depth"), ("marigold_normals_lcm", "normals")):
        model = ["--model", str(tiny_checkpoint(layout)), "--steps", "1"]
        assert main(["predict", frame, "--output", str(out), *model, "--ensemble", "3"]) == 0
        uncertainty = np.load(out / "0" / f"{name}_uncertainty.npy")
        assert uncertainty.shape == (40, 56)
        assert uncertainty.max() > 0
        assert main(["predict", frame, "--output", str(out), *model]) == 0
        assert sorted(path.name for path in (out / "0").iterdir()) == [f"{name}.npy", "preview.png"]


def test_wrong_input_is_one_line(tmp_path, capsys):
    assert main(["predict", str(tmp_path / "nowhere"), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nowhere" in error


def test_output_that_cannot_be_written_is_one_line(inputs, tmp_path, tiny_checkpoint, capsys):
    (tmp_path / "out").write_text("a file")
    arguments = ["--output", str(tmp_path / "out"), "--model", str(tiny_checkpoint())]
    assert main(["predict", str(inputs), *arguments]) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    "size", [(1, 100_000), (100_000, 1), (1, 60_000), (60_000, 1), (1, 1), (2, 2), (7, 200), (40, 1400)]
)
def test_what_a_network_sees_nothing_in_is_told_before_one_is_loaded(tmp_path, capsys, size):
    cv2.imwrite(str(tmp_path / "strip.png"), np.zeros((*size, 3), np.uint8))
    command = [
        "predict",
        str(tmp_path / "strip.png"),
        "--output",
        str(tmp_path / "out"),
        "--model",
        "/nowhere",
    ]
    assert main(command) == 2
    if max(size) > 65535:
        message = f"expected up to 65535 pixels a side, got height {size[0]} and width {size[1]}"
    else:
        limits = "at least 8 x 8 pixels, its longer side up to 32 times the shorter"
        message = f"{limits}, got {size[0]} x {size[1]} in"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_strip_takes_neither_memory_nor_the_others_results(inputs, tmp_path, tiny_checkpoint, capsys):
    cv2.imwrite(str(inputs / "photos" / "strip.png"), np.zeros((1, 100_000, 3), np.uint8))
    out = tmp_path / "out"
    assert main(["predict", str(inputs), "--output", str(out), "--model", str(tiny_checkpoint())]) == 2
    assert "2 of 3 images" in capsys.readouterr().err
    assert (out / "photos" / "odd" / "depth.npy").is_file()


def test_a_named_pipe_is_one_line(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    assert main(["predict", str(tmp_path / "pipe.png"), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"e2e-depth predict: expected a file, but {tmp_path / 'pipe.png'} is a named pipe\n"
    )


def test_a_video_becomes_arrays_and_a_video_of_depth(tmp_path, tiny_checkpoint, capsys):
    pytest.importorskip("av", reason="PyAV is not installed")
    from e2e_depth_ros.offline.videos import VideoWriter

    with VideoWriter(tmp_path / "drive.mp4", 10) as writer:
        for index in range(3):
            writer.write(np.full((40, 56, 3), 60 * index, np.uint8))
    out = tmp_path / "out"
    arguments = ["--output", str(out), "--model", str(tiny_checkpoint()), "--format", "npy,mp4"]
    assert main(["predict", str(tmp_path / "drive.mp4"), *arguments]) == 0
    assert "3 of 3 images" in capsys.readouterr().err
    for index in range(3):
        assert np.load(out / "drive" / f"00000{index}" / "depth.npy").shape == (40, 56)
    capture = cv2.VideoCapture(str(out / "drive" / "depth.mp4"))
    frames = []
    while (found := capture.read())[0]:
        frames.append(found[1])
    assert [frame.shape for frame in frames] == [(40, 112, 3)] * 3
    assert [round(frame[:, 10:46].mean(), -1) for frame in frames] == [0, 60, 120]


def test_what_is_done_is_skipped_unless_something_changed(inputs, tmp_path, tiny_checkpoint, capsys):
    out, model = tmp_path / "out", str(tiny_checkpoint())
    command = ["predict", str(inputs), "--output", str(out), "--model", model]

    def skipped(*more):
        assert main([*command, *more]) == 0
        line = next(line for line in capsys.readouterr().err.splitlines() if "2 of 2" in line)
        return line.count("2 of them by an earlier run")

    assert skipped() == 0
    before = (out / "set" / "0" / "depth.npy").stat().st_mtime_ns
    assert skipped() == 1
    assert (out / "set" / "0" / "depth.npy").stat().st_mtime_ns == before
    assert skipped("--force") == 0
    assert skipped("--upsampling", "bilinear") == 0
    assert skipped("--upsampling", "bilinear", "--normals") == 0


def test_what_another_run_left_is_not_taken_for_this_one_s(inputs, tmp_path, tiny_checkpoint, capsys):
    out, model = tmp_path / "out", str(tiny_checkpoint())
    command = ["--output", str(out), "--model", model]
    assert main(["predict", str(inputs), *command]) == 0
    left = (out / "photos" / "odd" / "depth.npy").stat().st_mtime_ns
    other = [*command, "--processing-resolution", "32"]
    assert (
        main(["predict", str(inputs / "set"), *other]) == 0
    )  # as one that is cut off does some of the images
    assert main(["predict", str(inputs), *other]) == 0
    assert (out / "photos" / "odd" / "depth.npy").stat().st_mtime_ns > left
    capsys.readouterr()
    assert main(["predict", str(inputs), *other]) == 0
    assert "2 of them by an earlier run" in capsys.readouterr().err


def test_images_of_one_name_and_files_of_other_kinds(inputs, tmp_path, tiny_checkpoint, capsys):
    cv2.imwrite(str(inputs / "photos" / "odd.png"), np.zeros((30, 20, 3), np.uint8))
    (inputs / "notes.docx").write_bytes(b"x")
    out = tmp_path / "out"
    assert (
        main(["predict", str(inputs / "photos"), "--output", str(out), "--model", str(tiny_checkpoint())])
        == 0
    )
    names = sorted(path.parent.relative_to(out).as_posix() for path in out.rglob("depth.npy"))
    assert names == ["photos/odd_jpg", "photos/odd_png"]
    assert (
        main(["predict", str(inputs), "--output", str(tmp_path / "more"), "--model", str(tiny_checkpoint())])
        == 0
    )
    assert "passed over 1 files, .docx" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--format", "npz"], "expected formats of npy, png16"),
        (["--format", "png16"], "expected metres for the format png16"),
        (["--fov", "200"], "expected --fov of 1 to 180"),
        (["--correction"], "expected --align with --correction"),
        (["--depth-unit", "0"], "expected --depth-unit > 0, metres, got 0"),
        (["--depth-unit", "0.0002"], "expected --align with --depth-unit"),
        (["--depth-unit", "nan"], "expected --depth-unit > 0, metres, got nan"),
    ],
)
def test_what_cannot_be_is_told_before_a_network_is_loaded(inputs, tmp_path, capsys, more, words):
    assert (
        main(["predict", str(inputs), "--output", str(tmp_path / "out"), "--model", "/nowhere", *more]) == 2
    )
    assert words in capsys.readouterr().err
