import inspect
import json

import cv2
import numpy as np
import pytest

from e2e_depth_ros.alignment import TrackerSettings, align
from e2e_depth_ros.cli.main import build_parser, main
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters

SCALE, SHIFT_M = 2.5, 1.2
# The sensor looks along its own x axis, 0.3 m above the camera.
CAMERA_FROM_POINTS = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.3], [1, 0, 0, 0], [0, 0, 0, 1]])


@pytest.fixture
def frame(tmp_path, write_frame):
    return write_frame(tmp_path / "data" / "set" / "0")


@pytest.fixture
def model(tiny_checkpoint):
    return str(tiny_checkpoint())


@pytest.fixture
def truth(frame, model):
    """Metres that the network is right about up to scale and shift."""
    rgb = cv2.cvtColor(cv2.imread(str(frame / "image.png")), cv2.COLOR_BGR2RGB)
    return SCALE * Estimator.load(model).estimate(rgb).depth.values + SHIFT_M


def lifted(depth):
    """Every pixel as a point of the sensor; the camera is that of the fixture `write_frame`."""
    v, u = np.mgrid[0:40, 0:56]
    points = np.stack([(u - 29) / 50 * depth, (v - 18) / 46 * depth, depth], axis=-1).reshape(-1, 3)
    return (points - CAMERA_FROM_POINTS[:3, 3]) @ CAMERA_FROM_POINTS[:3, :3]


def predict(frame, model, out, *more):
    return main(["predict", str(frame), "--output", str(out), "--model", model, "--align", *more])


def report_in(folder):
    return json.loads((folder / "alignment.json").read_text(encoding="utf-8"))


def test_sparse_depth_makes_every_pixel_metric(frame, model, truth, tmp_path):
    sparse = np.full_like(truth, np.nan)
    sparse[1::3, 2::4] = truth[1::3, 2::4]
    np.savez(frame / "depth.npz", depth=sparse)
    assert predict(frame, model, tmp_path / "out", "--normals") == 0
    folder = tmp_path / "out" / "0"
    depth, std = np.load(folder / "depth.npy"), np.load(folder / "std.npy")
    assert (depth.dtype, std.dtype, std.shape) == (np.float32, np.float32, (40, 56))
    np.testing.assert_allclose(depth, truth, rtol=0.02)
    assert (std > 0).all()
    assert (std < 0.1 * depth).all()
    report = report_in(folder)
    assert (report["state"], report["source"]) == ("fresh", "depth.npz")
    assert report["scale"] == pytest.approx(SCALE, rel=0.1)
    assert report["shift_m"] == pytest.approx(SHIFT_M, rel=0.1)
    assert report["samples_used"] == np.isfinite(sparse).sum()
    # image, relative depth, samples, depth, deviation, normals
    assert cv2.imread(str(folder / "preview.png")).shape == (270, 6 * 378 + 5 * 6, 3)


def test_metric_depth_follows_outlines_after_the_alignment(frame, model, truth, tmp_path):
    np.savez(
        frame / "depth.npz", depth=np.where(np.arange(truth.size).reshape(truth.shape) % 9, np.nan, truth)
    )
    found = {}
    for upsampling in ("bilinear", "guided"):
        chosen = ("--processing-resolution", "32", "--upsampling", upsampling)
        assert predict(frame, model, tmp_path / upsampling, *chosen) in (0, 2)
        folder = tmp_path / upsampling / "0"
        arrays = [np.load(folder / f"{name}.npy") for name in ("depth", "std")]
        found[upsampling] = [*arrays, report_in(folder)]
    (smooth, doubt, report), (sharp, more_doubt, same_report) = found.values()
    assert report == same_report
    assert np.abs(sharp / smooth - 1).max() > 1e-3
    grown = more_doubt / sharp - doubt / smooth
    assert grown.min() > -1e-6
    assert grown.max() > 1e-5


def test_points_are_moved_into_the_camera_and_go_before_depth(frame, model, truth, tmp_path):
    behind = lifted(-truth)[:7]
    points = np.concatenate([lifted(truth)[::5], behind]).astype(np.float32)
    np.savez(frame / "points.npz", points=points, camera_from_points=CAMERA_FROM_POINTS)
    np.savez(frame / "depth.npz", depth=3 * truth)
    assert predict(frame, model, tmp_path / "out") == 0
    np.testing.assert_allclose(np.load(tmp_path / "out" / "0" / "depth.npy"), truth, rtol=0.03)
    report = report_in(tmp_path / "out" / "0")
    assert report["source"] == "points.npz"
    assert report["samples_dropped"]["behind_camera"] == 7


def test_low_resolution_depth_covers_the_image(frame, model, truth, tmp_path):
    np.savez(frame / "depth.npz", depth=cv2.resize(truth, (28, 20), interpolation=cv2.INTER_AREA))
    assert predict(frame, model, tmp_path / "out") == 0
    depth = np.load(tmp_path / "out" / "0" / "depth.npy")
    assert depth.shape == truth.shape
    assert np.abs(depth / truth - 1).mean() < 0.03  # the network's finest detail is not in the small image


def test_result_is_what_evaluate_takes_as_metric(frame, model, truth, tmp_path):
    np.savez(frame / "depth.npz", depth=truth)
    assert predict(frame.parent, model, tmp_path / "out") == 0
    scores = tmp_path / "scores.json"
    arguments = ["--predictions", str(tmp_path / "out"), "--metric", "--json", str(scores)]
    assert main(["evaluate", str(frame.parent), *arguments]) == 0
    assert json.loads(scores.read_text(encoding="utf-8"))["mean"]["abs_rel"] < 0.02


def test_contradicted_samples_leave_no_depth_behind(frame, model, truth, tmp_path, capsys):
    out = tmp_path / "out"
    np.savez(frame / "depth.npz", depth=truth)
    assert predict(frame, model, out) == 0
    noise = np.random.default_rng(1).uniform(0.5, 50, truth.shape)
    np.savez(frame / "depth.npz", depth=noise)
    assert predict(frame, model, out) == 2
    assert sorted(path.name for path in (out / "0").iterdir()) == ["alignment.json", "preview.png"]
    report = report_in(out / "0")
    assert (report["state"], report["scale"]) == ("lost", None)
    assert report["reason"] in capsys.readouterr().err


def test_degraded_depth_is_written_and_told(frame, model, truth, tmp_path, capsys):
    single = np.full_like(truth, np.nan)
    single[20, 30] = truth[20, 30]
    np.savez(frame / "depth.npz", depth=single)
    assert predict(frame, model, tmp_path / "out") == 0
    assert report_in(tmp_path / "out" / "0")["state"] == "degraded"
    assert "one sample determines the scale only" in capsys.readouterr().err
    assert np.load(tmp_path / "out" / "0" / "depth.npy")[20, 30] == pytest.approx(truth[20, 30], rel=0.1)


def test_what_can_not_be_aligned_is_told_and_the_rest_goes_on(frame, model, truth, tmp_path, capsys):
    np.savez(frame / "depth.npz", depth=truth)
    data = frame.parent.parent
    cv2.imwrite(str(data / "photo.png"), np.zeros((10, 12, 3), np.uint8))
    wrong_camera = data / "set" / "1"
    wrong_camera.mkdir()
    (wrong_camera / "camera_info.yaml").write_text((frame / "camera_info.yaml").read_text("utf-8"), "utf-8")
    cv2.imwrite(str(wrong_camera / "image.png"), np.zeros((20, 28, 3), np.uint8))
    np.savez(wrong_camera / "points.npz", points=np.ones((5, 3)), camera_from_points=np.eye(4))
    wrong_depth = data / "set" / "2"
    wrong_depth.mkdir()
    cv2.imwrite(str(wrong_depth / "image.png"), np.zeros((40, 56, 3), np.uint8))
    np.savez(wrong_depth / "depth.npz", depth=truth.T)
    assert predict(data, model, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "depth.npz of set/2: expected depth of the image's view, in the proportions of 56x40" in error
    assert "depth.png, points.npz or depth.npz beside" in error
    assert "(20, 28) in set/1, got (40, 56)" in error
    assert "1 of 4 images" in error
    assert (tmp_path / "out" / "set" / "0" / "depth.npy").is_file()


@pytest.mark.parametrize(
    ("kind", "factor", "words"),
    [
        ("points.npz", -1, "points.npz: 2240 points, all behind the camera: is the frame optical?"),
        ("depth.npz", 1000, "depth.npz: all 2240 samples beyond 80 m: millimetres?"),
        (
            "depth.png",
            1,
            "depth.png: all 2240 samples nearer than 0.1 m: metres where millimetres are meant?",
        ),
        ("samples.csv", 1000, "samples.csv: all 2240 samples beyond 80 m: millimetres?"),
    ],
)
def test_why_no_sample_is_of_use_is_told(frame, model, truth, tmp_path, capsys, kind, factor, words):
    v, u = np.mgrid[0:40, 0:56]
    if kind == "points.npz":
        np.savez(frame / kind, points=lifted(factor * truth), camera_from_points=CAMERA_FROM_POINTS)
    elif kind == "depth.npz":
        np.savez(frame / kind, depth=factor * truth)
    elif kind == "depth.png":
        cv2.imwrite(str(frame / kind), np.rint(factor * truth).astype(np.uint16))
    else:
        table = np.stack([u, v, factor * truth], axis=-1).reshape(-1, 3)
        np.savetxt(frame / kind, table, delimiter=",")
    assert predict(frame, model, tmp_path / "out") == 2
    assert words in report_in(tmp_path / "out" / "0")["reason"]
    assert words in capsys.readouterr().err


def test_checkpoint_without_depth_is_refused(frame, tiny_checkpoint, tmp_path, capsys):
    assert predict(frame, str(tiny_checkpoint("marigold_normals")), tmp_path / "out") == 2
    assert "expected a checkpoint with depth" in capsys.readouterr().err


def test_formats_hold_the_metres_of_the_array(frame, model, truth, tmp_path):
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    np.savez(frame / "depth.npz", depth=truth)
    out = tmp_path / "out"
    assert predict(frame, model, out, "--format", "npy,png16,png,ply,pcd") == 0
    names = ["alignment.json", "depth.npy", "depth_color.png", "depth_mm.png", "points.pcd", "points.ply"]
    assert sorted(path.name for path in (out / "0").iterdir()) == [*names, "preview.png", "std.npy"]
    depth = np.load(out / "0" / "depth.npy")
    millimetres = cv2.imread(str(out / "0" / "depth_mm.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(millimetres / 1000, depth, atol=0.5e-3 + 1e-6)
    v, u = np.mgrid[0:40, 0:56]
    cloud = trimesh.load(out / "0" / "points.ply").vertices.reshape(40, 56, 3)
    expected = np.stack([(u - 29) / 50 * depth, (v - 18) / 46 * depth, depth], axis=-1)
    np.testing.assert_allclose(cloud, expected, atol=1e-5)
    assert predict(frame, model, out, "--format", "png", "--force") == 0
    assert sorted(path.name for path in (out / "0").iterdir())[1:2] == ["depth_color.png"]


@pytest.mark.parametrize("kind", ["samples.csv", "depth.png"])
def test_samples_of_other_files_align_as_well(frame, model, truth, tmp_path, kind):
    if kind == "samples.csv":
        v, u = np.mgrid[1:40:3, 2:56:4]
        table = np.stack([u, v, truth[v, u]], axis=-1).reshape(-1, 3)
        np.savetxt(frame / kind, table, delimiter=",", header="u,v,depth")
    else:
        cv2.imwrite(str(frame / kind), np.rint(truth * 5000).astype(np.uint16))
    assert predict(frame, model, tmp_path / "out", "--depth-unit", "0.0002") == 0
    assert report_in(tmp_path / "out" / "0")["source"] == kind
    np.testing.assert_allclose(np.load(tmp_path / "out" / "0" / "depth.npy"), truth, rtol=0.02)


def test_the_given_field_of_view_makes_the_cloud(frame, model, truth, tmp_path):
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    np.savez(frame / "depth.npz", depth=truth)
    assert predict(frame, model, tmp_path / "out", "--fov", "90", "--format", "ply") == 0
    cloud = trimesh.load(tmp_path / "out" / "0" / "points.ply").vertices.reshape(40, 56, 3)
    np.testing.assert_allclose(cloud[..., 0], (np.arange(56) - 27.5) / 28 * cloud[..., 2], atol=1e-5)


def test_a_calibration_of_another_size_is_told_by_name_and_leaves_no_part_of_a_result(
    frame, model, truth, tmp_path, capsys
):
    np.savez(frame / "depth.npz", depth=truth)
    calibration = frame / "camera_info.yaml"
    calibration.write_text(
        calibration.read_text("utf-8").replace("image_width: 56", "image_width: 57"), "utf-8"
    )
    assert predict(frame, model, tmp_path / "out", "--format", "npy,ply") == 2
    words = capsys.readouterr().err
    assert "e2e-depth predict: 0: expected depth of the camera's size (40, 57), got (40, 56)" in words
    assert [*(tmp_path / "out" / "0").iterdir()] == []


def test_one_word_and_one_default_say_whether_to_correct(frame, model, truth, tmp_path):
    defaults = {
        TrackerSettings().correction,
        inspect.signature(align).parameters["correction"].default,
        Parameters().correction,
        build_parser().parse_args(["predict", "x", "--output", "y", "--align"]).correction,
    }
    assert len(defaults) == 1
    bent = truth * np.linspace(0.8, 1.2, truth.shape[1], dtype=np.float32)
    np.savez(frame / "depth.npz", depth=bent[::2, ::2])
    off = []
    for arguments in ((), ("--correction",)):
        assert predict(frame, model, tmp_path / f"out{len(arguments)}", *arguments) == 0
        depth_m = np.load(tmp_path / f"out{len(arguments)}" / "0" / "depth.npy")
        off.append(np.mean(np.abs(depth_m / bent - 1)))
    assert off[1] < 0.5 * off[0]
