import json
import re
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import find_frames
from e2e_depth_ros.core.frames import write_frame as write_frame_folder
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.core.targets import DepthTarget
from e2e_depth_ros.evaluation.comparison import Protocol
from e2e_depth_ros.evaluation.report import evaluate
from e2e_depth_ros.evaluation.sources import BASELINES, Prediction, SavedSource

SIZE = (40, 56)
DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def plane():
    """A plane with normal (-0.2, 0.7, -0.69), nearly: it recedes towards the upper right."""
    v, u = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    return (1 / (0.3 + 0.006 * (v - 18) - 0.001 * (u - 29))).astype(np.float32)


class Oracle:
    """Predicts the given depth, up to a scale and shift, and normals that are off by an angle."""

    name = "oracle"

    def __init__(self, depth, kind=DepthKind.AFFINE_INVARIANT, normals=None):
        self._depth, self._kind, self._normals = depth, kind, normals

    def predict(self, frame, rgb):
        assert frame.folder is not None
        assert rgb.shape[:2] == SIZE
        valid = np.isfinite(self._depth)
        return Prediction(DepthMap(self._depth, valid, self._kind), self._normals)


def frames_of(tmp_path, write_frame, depth):
    for name in ("one/0", "one/1", "two/0"):
        write_frame(tmp_path / "data" / name, depth=depth)
    return find_frames([tmp_path / "data"])


def test_relative_depth_is_fitted(tmp_path, write_frame):
    frames = frames_of(tmp_path, write_frame, plane())
    report = evaluate(frames, [Oracle((plane() - 1.5) / 7), *BASELINES])
    oracle, constant, row = report.sources
    assert oracle.mean()["abs_rel"] < 1e-5
    assert oracle.mean()["delta1"] == 1
    assert constant.mean()["abs_rel"] > row.mean()["abs_rel"] > 0.01
    assert report.groups == ["one", "two"]
    assert set(oracle.frames["one"]) == {"one/0", "one/1"}


def test_disparity_is_fitted_as_disparity(tmp_path, write_frame):
    frames = frames_of(tmp_path, write_frame, plane())
    disparity = 0.4 / plane() + 0.1
    as_disparity = Oracle(disparity, DepthKind.AFFINE_INVARIANT_DISPARITY)
    as_depth = Oracle(disparity)
    right, wrong = evaluate(frames, [as_disparity, as_depth]).sources
    assert right.mean()["abs_rel"] < 1e-5
    assert wrong.mean()["abs_rel"] > 0.01


def test_metres_are_not_fitted(tmp_path, write_frame):
    frames = frames_of(tmp_path, write_frame, plane())
    (source,) = evaluate(frames, [Oracle(1.1 * plane(), DepthKind.METRIC)]).sources
    assert source.mean()["abs_rel"] == pytest.approx(0.1, abs=1e-5)


def test_every_set_counts_the_same(tmp_path, write_frame):
    write_frame(tmp_path / "one" / "0", depth=plane())
    write_frame(tmp_path / "one" / "1", depth=plane())
    write_frame(tmp_path / "two" / "0", depth=2 * plane())
    (source,) = evaluate(find_frames([tmp_path]), [Oracle(plane(), DepthKind.METRIC)]).sources
    assert source.mean()["abs_rel"] == pytest.approx((0 + 0.5) / 2, abs=1e-6)


def test_fit_is_clipped_to_the_range():
    row, column = np.zeros(4, int), np.arange(4)
    relative = np.array([[0.0, 1.0, 2.0, -40.0]], np.float32)
    target = DepthTarget((1, 4), row, column, np.float32([1, 2, 3, 4]), "depth")
    depth = DepthMap(relative, np.ones((1, 4), bool), DepthKind.AFFINE_INVARIANT)
    scores, _ = Protocol(0.5, 2.5).score(depth, target)
    scale, shift = np.polyfit(relative[0], [1, 2, 3, 4], 1)
    fitted = np.clip(scale * relative[0] + shift, 0.5, 2.5)
    assert scores.abs_rel == pytest.approx(np.mean(np.abs(fitted - [1, 2, 3, 4]) / [1, 2, 3, 4]), rel=1e-6)


def test_edges_are_pooled_over_the_frames_of_a_set_with_dense_depth(tmp_path, write_frame):
    box = np.full(SIZE, 3.0, np.float32)
    box[10:30, 20:40] = 2
    write_frame(tmp_path / "one" / "0", depth=box)
    write_frame(tmp_path / "one" / "1", depth=np.where(np.arange(SIZE[1]) < 5, np.float32(1.5), box))
    write_frame(tmp_path / "two" / "0", depth=plane())  # has no edges
    points = np.stack([np.zeros(9), np.linspace(-0.2, 0.2, 9), np.linspace(2, 3, 9)], axis=1)
    write_frame(tmp_path / "two" / "1", points=points)
    report = evaluate(find_frames([tmp_path]), [Oracle(box, DepthKind.METRIC), BASELINES[0]])
    source, constant = report.sources
    outline = 8 * 20 - 4  # the pixels on both sides of four jumps; the corners of the box belong to two
    one, two = source.edges["one"], source.edges["two"]
    assert (one.predicted, one.true) == (2 * outline, 2 * outline + 2 * SIZE[0])
    assert (two.predicted, two.true) == (outline, 0)
    f1 = 2 * 1 * (312 / 392) / (1 + 312 / 392)
    assert source.mean()["edge_f1"] == source.mean_of_set("one")["edge_f1"] == pytest.approx(f1)
    assert "edge_f1" not in source.mean_of_set("two")
    assert source.mean_of_frames()["edge_f1"] == pytest.approx(2 * 312 / (468 + 392))
    assert constant.mean_of_frames()["edge_f1"] == 0
    assert json.loads(json.dumps(report.as_dict()))["edges"]["one"]["recall"] == pytest.approx(312 / 392)
    assert "1.000" in [next(iter(column.cells)) for column in report.tables()[1].columns]


def test_sparse_depth_has_no_edges_to_score(tmp_path, write_frame):
    """As KITTI's depth images, which are the points of a LiDAR."""
    box = np.full(SIZE, 3.0, np.float32)
    box[10:30, 20:40] = 2
    write_frame(tmp_path / "camera" / "0", depth=box)
    lines = np.where((np.arange(SIZE[0]) % 3 == 0)[:, None] & (np.arange(SIZE[1]) % 2 == 0), box, np.nan)
    write_frame(tmp_path / "lidar" / "0", depth=lines)
    report = evaluate(find_frames([tmp_path]), [Oracle(box, DepthKind.METRIC)])
    (source,) = report.sources
    assert source.mean_of_set("camera")["edge_f1"] == source.mean()["edge_f1"] == 1
    assert source.mean_of_set("lidar")["abs_rel"] == 0
    assert "edge_f1" not in source.mean_of_set("lidar")
    assert set(report.as_dict()["edges"]) == {"camera"}
    columns = [list(column.cells) for column in report.tables()[1].columns]
    assert [column[:2] for column in columns[2:]] == [["1.000", "-"]] * 3


def test_every_frame_counts_the_same_in_the_mean_of_frames(tmp_path, write_frame):
    write_frame(tmp_path / "one" / "0", depth=plane())
    write_frame(tmp_path / "one" / "1", depth=plane())
    write_frame(tmp_path / "two" / "0", depth=2 * plane())
    (source,) = evaluate(find_frames([tmp_path]), [Oracle(plane(), DepthKind.METRIC)]).sources
    assert source.mean_of_frames()["abs_rel"] == pytest.approx((0 + 0 + 0.5) / 3, abs=1e-6)


def test_normals_are_compared_with_the_depth(tmp_path, write_frame):
    frames = frames_of(tmp_path, write_frame, plane())
    normal = np.array([-0.001 * 50, 0.006 * 46, 0.3])
    normal = -normal / np.linalg.norm(normal)
    tilt = np.deg2rad(12)
    off = np.cos(tilt) * normal + np.sin(tilt) * np.cross(normal, [1, 0, 0]) / np.hypot(normal[1], normal[2])
    predicted = NormalMap.from_vectors(np.broadcast_to(off, (*SIZE, 3)).astype(np.float32))
    report = evaluate(frames, [Oracle(plane(), normals=predicted)])
    (source,) = report.sources
    scores = source.normals["one"].scores()
    assert scores.mean_deg == pytest.approx(12, abs=0.5)
    assert scores.within == pytest.approx((0, 0, 0, 1, 1))
    assert scores.pixels > 1000
    assert source.all_normals().scores().pixels == scores.pixels + source.normals["two"].scores().pixels
    assert report.as_dict()["all_normals"]["mean_deg"] == pytest.approx(12, abs=0.5)
    assert "all pixels" in list(report.tables()[-1].columns[1].cells)


def test_failures_are_named_and_count_for_no_source(tmp_path, write_frame):
    frames = frames_of(tmp_path, write_frame, plane())
    (tmp_path / "data" / "one" / "1" / "depth.npz").write_bytes(b"broken")
    told = []
    report = evaluate(frames, BASELINES, on_failure=lambda frame, reason: told.append((frame.name, reason)))
    assert list(report.failures) == ["one/1"]
    assert told == [("one/1", report.failures["one/1"])]
    assert all(list(source.frames["one"]) == ["one/0"] for source in report.sources)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ("a: [", "camera_info.yaml as YAML"),
        (
            "{image_height: 20, image_width: 28, camera_matrix: {data: [25, 0, 14, 0, 23, 9, 0, 0, 1]}}",
            r"camera's size \(20, 28\), got \(40, 56\)",
        ),
    ],
)
def test_a_broken_calibration_stops_no_other_frame(tmp_path, write_frame, calibration, message):
    frames = frames_of(tmp_path, write_frame, plane())
    (tmp_path / "data" / "one" / "1" / "camera_info.yaml").write_text(calibration)
    normals = NormalMap(np.full((*SIZE, 3), -1.0), np.ones(SIZE, bool))
    report = evaluate(frames, [Oracle(plane(), normals=normals)])
    (source,) = report.sources
    assert re.search(message, report.failures["one/1"])
    assert [*source.frames["one"], *source.frames["two"]] == ["one/0", "two/0"]
    assert set(source.normals) == {"one", "two"}


def test_an_image_of_a_few_pixels_is_told_and_not_scored(tmp_path):
    camera = Camera((2, 3), np.array([[20.0, 0, 1], [0, 21, 0.5], [0, 0, 1]]))
    folder = tmp_path / "data" / "0"
    write_frame_folder(folder, np.zeros((2, 3, 3), np.uint8), camera, depth_m=np.ones((2, 3)))
    report = evaluate(find_frames([folder.parent]), BASELINES)
    assert "at least 8 x 8 pixels" in report.failures["0"]


def test_holes_in_a_prediction_are_refused(tmp_path, write_frame):
    frames = frames_of(tmp_path, write_frame, plane())
    depth = plane()
    depth[3, :5] = np.nan
    report = evaluate(frames, [Oracle(depth)])
    assert len(report.failures) == 3
    assert "none at 5 of them" in report.failures["one/0"]


def test_saved_predictions_are_scored(tmp_path, write_frame):
    frames = frames_of(tmp_path, write_frame, plane())
    for frame in frames[:2]:
        (tmp_path / "out" / frame.name).mkdir(parents=True)
        np.save(tmp_path / "out" / frame.name / "depth.npy", plane() / 10)
    (tmp_path / "out" / "two" / "0").mkdir(parents=True)
    np.save(tmp_path / "out" / "two" / "0" / "depth.npy", plane().T)
    report = evaluate(frames, [SavedSource(tmp_path / "out")])
    assert report.sources[0].mean_of_set("one")["abs_rel"] < 1e-5
    assert "(56, 40)" in report.failures["two/0"]
    (tmp_path / "out" / "one" / "0" / "depth.npy").unlink()
    assert "found none" in evaluate(frames, [SavedSource(tmp_path / "out")]).failures["one/0"]


def test_report_is_plain_json(tmp_path, write_frame):
    report = evaluate(frames_of(tmp_path, write_frame, plane()), [Oracle(plane()), *BASELINES])
    read = json.loads(json.dumps(report.as_dict()))
    assert read["name"] == "oracle"
    assert read["mean"]["delta1"] == 1
    assert read["frames"]["one/1"]["pixels"] == SIZE[0] * SIZE[1]
    assert [baseline["name"] for baseline in read["baselines"]] == ["constant", "linear in row"]
    assert read["protocol"] == {"min_depth_m": 1e-3, "max_depth_m": 80.0}


def test_impossible_ranges_are_refused():
    with pytest.raises(InvalidInputError, match=r"5.* and 2"):
        Protocol(5, 2)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real frames in ../shared/data")
def test_baselines_reproduce_the_published_numbers():
    report = evaluate(find_frames([DATA]), BASELINES)
    assert not report.failures
    expected = {
        "arc2017": (0.157, 0.765, 0.165, 0.784),
        "dgp_scene_01": (0.852, 0.178, 0.715, 0.279),
        "pcl": (0.214, 0.577, 0.090, 0.924),
        "redwood": (0.223, 0.584, 0.164, 0.705),
        "tum": (0.131, 0.850, 0.134, 0.821),
    }
    assert report.groups == list(expected)
    for group, numbers in expected.items():
        means = [source.mean_of_set(group) for source in report.sources]
        found = [mean[name] for mean in means for name in ("abs_rel", "delta1")]
        np.testing.assert_allclose(found, numbers, atol=6e-4)
    constant, row = (source.mean() for source in report.sources)
    assert (round(constant["abs_rel"], 3), round(row["abs_rel"], 3)) == (0.316, 0.254)
