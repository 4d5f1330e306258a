"""Metric alignment as it is evaluated: the stand-in network, the simulated sensors, methods and report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.core.calibration_file import write_calibration
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import find_frames
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.upsampling import Outlines
from e2e_depth_ros.evaluation.alignment import Relative, evaluate_alignment, read_scene
from e2e_depth_ros.evaluation.alignment_methods import (
    AlignmentMethod,
    Completed,
    affine_floor,
    correction,
    delaunay,
    image_planes,
    inverse_distance,
    least_squares,
    median_of_nearest,
    scale_and_shift,
)
from e2e_depth_ros.evaluation.alignment_report import FLOOR
from e2e_depth_ros.evaluation.protocol_samples import PixelSamples, SamplingProtocol, draw_samples
from e2e_depth_ros.evaluation.surrogate import fill_holes, smooth_noise, surrogate_relative_depth

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SIZE = (120, 160)
METHODS = (
    AlignmentMethod("least squares", least_squares),
    AlignmentMethod("scale and shift", scale_and_shift),
    AlignmentMethod("correction", correction),
)


def scene_depth():
    v, u = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    depth = 2 + 3 * u / SIZE[1] + 1.5 * (1 - v / SIZE[0])
    depth[60:100, 40:90] = 1.4
    return depth


def texture():
    noise = np.random.default_rng(0).uniform(0, 255, (30, 40, 3)).astype(np.uint8)
    return cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_NEAREST)


@pytest.fixture
def frames(tmp_path):
    """Two frame folders with dense depth."""
    for index in range(2):
        folder = tmp_path / "set" / f"{index}"
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "image.png"), texture())
        np.savez(folder / "depth.npz", depth=scene_depth())
        write_camera(folder)
    return find_frames([tmp_path])


def write_camera(folder):
    k = [140.0, 0.0, 79.5, 0.0, 135.0, 59.5, 0.0, 0.0, 1.0]
    (folder / "camera_info.yaml").write_text(
        f"image_width: {SIZE[1]}\nimage_height: {SIZE[0]}\ncamera_name: c\n"
        f"camera_matrix: {{rows: 3, cols: 3, data: {k}}}\n"
        "distortion_model: plumb_bob\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}\n"
        "rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}\n"
        f"projection_matrix: {{rows: 3, cols: 4, data: {[*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]}}}\n"
    )


def test_surrogate_is_about_as_wrong_as_a_good_network_and_monotone_with_depth():
    truth = scene_depth()
    errors = []
    for seed in range(10):
        relative = surrogate_relative_depth(truth, np.random.default_rng(seed))
        assert relative.shape == SIZE
        assert relative.dtype == np.float32
        low, high = np.percentile(relative, [2, 98])
        assert -0.1 < low < 0.1
        assert 0.8 < high < 1.1
        metric = affine_floor(as_map(relative), truth)
        errors.append(np.mean(np.abs(metric - truth) / truth))
        assert np.corrcoef(relative.ravel(), truth.ravel())[0, 1] > 0.8
    assert 0.035 < np.mean(errors) < 0.075


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real frames in ../shared/data")
def test_surrogate_of_real_rooms_is_as_wrong_as_a_fine_tuned_network_on_nyu():
    depths = [frame.read_depth() for frame in find_frames([DATA])]
    dense = [depth[::2, ::2] for depth in depths if depth is not None]  # streets have the points of a LiDAR
    errors = []
    for index, truth in enumerate(dense):
        valid = np.isfinite(truth) & (truth > 0)
        for seed in range(4):
            values = surrogate_relative_depth(truth, np.random.default_rng([seed, index]))[valid]
            metric = np.polyval(np.polyfit(values, truth[valid], 1), values)
            errors.append(np.mean(np.abs(metric - truth[valid]) / truth[valid]))
    assert np.mean(errors) == pytest.approx(0.055, abs=0.003)


def as_map(values):
    return DepthMap(values, np.isfinite(values), DepthKind.AFFINE_INVARIANT)


def test_smooth_noise_has_the_stated_scale():
    noise = np.stack([smooth_noise((200, 260), 12.0, np.random.default_rng(seed)) for seed in range(20)])
    assert noise.mean() == pytest.approx(0, abs=0.1)
    assert noise.std() == pytest.approx(1, abs=0.1)
    # Noise blurred with deviation s has correlation exp(-d^2 / 4 s^2).
    shifted = (noise[:, :, 24:] * noise[:, :, :-24]).mean()
    assert shifted == pytest.approx(np.exp(-1), abs=0.12)


def test_holes_are_filled_from_the_nearest_pixel():
    depth = np.full((5, 9), np.nan)
    depth[2, 1], depth[2, 7] = 3.0, 8.0
    filled = fill_holes(depth)
    assert (filled[:, :4] == 3).all()
    assert (filled[:, 5:] == 8).all()
    with pytest.raises(InvalidInputError, match="at one pixel"):
        fill_holes(np.zeros((3, 4)))


def drawn(text, seed=0, depth=None, **options):
    depth = scene_depth() if depth is None else depth
    protocol = SamplingProtocol.parse(text, **options)
    return draw_samples(depth, texture(), 140.0, protocol, np.random.default_rng(seed)), depth


def error_of(samples, depth):
    return samples.depth_m / depth[samples.rows, samples.columns] - 1


def test_random_samples():
    samples, depth = drawn("random:300")
    assert len(set(zip(samples.rows, samples.columns, strict=True))) == 300
    assert error_of(samples, depth).std() == pytest.approx(0.01, rel=0.2)
    again, _ = drawn("random:300")
    np.testing.assert_array_equal(again.depth_m, samples.depth_m)
    np.testing.assert_array_equal(
        np.sort(drawn("random:300", outliers=0.3)[0].rows), np.sort(samples.rows)
    )  # the same places


def test_lidar_samples_lie_on_lines():
    samples, _ = drawn("lidar:16")
    middle = np.abs(samples.columns - 80) <= 2
    assert 10 <= len(np.unique(samples.rows[middle])) <= 16
    assert len(samples.rows) > 500


def test_corner_samples_lie_on_the_image_s_corners():
    samples, _ = drawn("corners:50")
    assert 20 <= len(samples.rows) <= 50


def test_patch_and_one_depth_are_what_they_say():
    patch, _ = drawn("patch")
    assert np.ptp(patch.rows) <= 16
    assert np.ptp(patch.columns) <= 16
    one, depth = drawn("one-depth")
    true = depth[one.rows, one.columns]
    assert true.max() / true.min() < 1.05
    assert np.ptp(one.columns) > 16


def test_outliers_and_occlusion():
    samples, depth = drawn("random:500", outliers=0.3)
    assert (np.abs(error_of(samples, depth)) > 0.05).mean() == pytest.approx(0.28, abs=0.05)
    samples, depth = drawn("random:500", occlusion=True)
    wrong = np.abs(error_of(samples, depth)) > 0.06
    assert 0.01 < wrong.mean() < 0.16
    assert (error_of(samples, depth)[wrong] > 0).all()  # the background, never nearer
    assert (depth[samples.rows, samples.columns][wrong] < 2).all()  # seen through the box


def test_sparse_depth_is_sampled_where_it_is():
    depth = np.full(SIZE, np.nan, dtype=np.float32)
    depth[::6, ::2] = 3.0
    for text in ("random:100", "lidar:16", "corners:50", "patch", "one-depth"):
        samples, _ = drawn(text, depth=depth)
        assert len(samples.rows) > 3
        assert np.isfinite(depth[samples.rows, samples.columns]).all()


@pytest.mark.parametrize("text", ["random", "random:0", "random:x", "lidar", "patch:3", "sonar:4", ""])
def test_unknown_protocols_are_refused(text):
    with pytest.raises(InvalidInputError, match="expected random:N"):
        SamplingProtocol.parse(text)


def test_share_of_outliers_is_checked():
    with pytest.raises(InvalidInputError, match=r"within 0..1, got 1.5"):
        SamplingProtocol.parse("random:5", outliers=1.5)


def test_report_orders_the_methods_as_expected(frames):
    report = evaluate_alignment(frames, METHODS, SamplingProtocol.parse("random:400", outliers=0.3), seed=3)
    assert not report.failures
    errors = {method: report.summary(method, "indoors")["abs_rel"] for method in report.scores}
    assert errors["correction"] < 0.5 * errors["scale and shift"]
    assert errors[FLOOR] <= errors["scale and shift"] < 1.08 * errors[FLOOR]
    assert errors["least squares"] > 1.3 * errors["scale and shift"]
    assert report.harm() < 1
    content = json.loads(json.dumps(report.as_dict()))
    assert content["methods"]["correction"]["mean"]["indoors"]["abs_rel"] == pytest.approx(
        errors["correction"]
    )
    assert len(report.tables()) == 2


def test_the_seed_decides_everything(frames):
    def scores(seed):
        report = evaluate_alignment(frames, METHODS[:2], SamplingProtocol.parse("random:50"), seed=seed)
        return [one.scores for group in report.scores["scale and shift"].values() for one in group.values()]

    assert scores(1) == scores(1)
    assert scores(1) != scores(2)
    assert scores(1)[0] != scores(1)[1]  # frames draw their own


def test_pixels_of_samples_are_not_scored(frames):
    @dataclass
    class Cheat:
        """Knows the samples and nothing else."""

        seen: PixelSamples | None = None

        def __call__(self, seen, samples):
            self.seen = samples
            depth = np.full(seen.relative.size, 50.0)
            depth[samples.rows, samples.columns] = samples.depth_m
            return Completed(depth)

    cheat = Cheat()
    report = evaluate_alignment(
        frames[:1], [AlignmentMethod("cheat", cheat)], SamplingProtocol.parse("random:200")
    )
    score = next(iter(report.scores["cheat"]["set"].values())).scores
    assert score.delta1 == 0
    assert score.pixels == SIZE[0] * SIZE[1] - 200


def test_a_method_without_depth_counts_as_wrong(frames):
    nothing = AlignmentMethod(
        "nothing", lambda seen, _samples: Completed(np.full(seen.relative.size, np.nan))
    )
    report = evaluate_alignment(frames, [nothing], SamplingProtocol.parse("random:20"))
    summary = report.summary("nothing", "set")
    assert (summary["abs_rel"], summary["delta1"], summary["lost"]) == (1.0, 0.0, 1.0)


def test_of_a_lidar_half_the_beams_are_scored(tmp_path):
    folder = tmp_path / "frame"
    folder.mkdir()
    cv2.imwrite(str(folder / "image.png"), texture())
    write_camera(folder)
    elevation = np.deg2rad(np.arange(-10, 10, 0.5) + 0.25)[:, None]
    azimuth = np.deg2rad(np.linspace(-25, 25, 300))[None]
    distance = 4.0
    points = distance * np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation) + 0 * azimuth,
        ],
        axis=-1,
    ).reshape(-1, 3)
    pose = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    np.savez(folder / "points.npz", points=points.astype(np.float32), camera_from_points=pose)
    scene = read_scene(find_frames([folder])[0])
    fit, score = np.isfinite(scene.to_fit), np.isfinite(scene.to_score)
    assert not (fit & score).any()
    assert 0.7 < fit.sum() / score.sum() < 1.4
    assert (fit | score).sum() == np.isfinite(scene.truth_m).sum()


def test_our_metres_follow_outlines_after_the_alignment(frames):
    """As the node's do: all methods are given the smooth map, and only what ours make of it is changed."""
    box = np.zeros((*SIZE, 3), np.uint8)
    box[60:100, 40:90] = (90, 120, 200)
    smooth = cv2.GaussianBlur(scene_depth(), (0, 0), 5)
    errors = {}
    for outlines in (None, Outlines(box, 40)):
        report = evaluate_alignment(
            frames[:1],
            METHODS[:2],
            SamplingProtocol.parse("random:200"),
            relative_source=lambda _, outlines=outlines: Relative(as_map(smooth), outlines),
        )
        errors[outlines is not None] = [report.summary(one.name, "set")["abs_rel"] for one in METHODS[:2]]
    assert errors[False][0] == errors[True][0]
    assert errors[True][1] < 0.97 * errors[False][1]


def test_what_interpolates_beats_a_median_and_what_looks_for_support_withstands_outliers(frames):
    pytest.importorskip("scipy")
    methods = [
        AlignmentMethod(one.__name__, one)
        for one in (median_of_nearest, inverse_distance, delaunay, image_planes)
    ]

    def errors(outliers):
        protocol = SamplingProtocol.parse("random:400", outliers=outliers)
        report = evaluate_alignment(frames, methods, protocol)
        return {one.name: report.summary(one.name, "set")["abs_rel"] for one in methods}

    clean, spoilt = errors(0.0), errors(0.2)
    assert max(clean["delaunay"], clean["image_planes"], clean["inverse_distance"]) > 0
    assert (
        max(clean["delaunay"], clean["image_planes"], clean["inverse_distance"]) < clean["median_of_nearest"]
    )
    assert clean["median_of_nearest"] < 0.1
    assert spoilt["image_planes"] < 0.5 * spoilt["delaunay"]


def test_the_report_tells_edges_calibration_and_where(frames):
    report = evaluate_alignment(frames, METHODS, SamplingProtocol.parse("random:400"))
    ours = report.summary("correction", "indoors")
    assert report.places == ["indoors"]
    assert 0.5 < ours["edge_f1"] <= 1
    assert 0.8 < ours["within"] <= 1
    assert np.isnan(report.summary("least squares", "indoors")["within"])
    assert report.as_dict()["methods"]["least squares"]["mean"]["indoors"]["within"] is None


def test_a_frame_that_cannot_be_read_is_reported(frames):
    (frames[0].folder / "camera_info.yaml").unlink()
    write_calibration(frames[1].folder / "camera_info.yaml", frames[1].read_camera().resized((60, 80)))
    report = evaluate_alignment(frames, METHODS[:1], SamplingProtocol.parse("random:50"))
    assert list(report.failures) == [frame.name for frame in frames]
    assert "camera_info.yaml" in report.failures[frames[0].name]
    assert f"image's size {SIZE} in set/1, got (60, 80)" in report.failures[frames[1].name]


def test_command_line(frames, tmp_path, capsys):
    pytest.importorskip("scipy")
    pytest.importorskip("sklearn")
    output = tmp_path / "scores.json"
    folder = str(frames[0].folder.parent)
    arguments = ["evaluate", folder, "--align", "--samples", "random:80", "--outliers", "0.2", "--seed", "4"]
    assert main([*arguments, "--json", str(output)]) == 0
    printed = capsys.readouterr().out
    for expected in (
        "least squares",
        "RANSAC",
        "inverse distance",
        "median of 16",
        "Delaunay",
        "image planes",
        "edge F1",
        "scale and shift",
        "correction",
        "affine floor",
        "p95",
        "seed 4",
    ):
        assert expected in printed
    assert set(json.loads(output.read_text())["methods"]) >= {"RANSAC", "correction", "affine floor"}
    assert main([*arguments[:3], "--samples", "sonar:3"]) == 2
    assert "expected random:N" in capsys.readouterr().err
