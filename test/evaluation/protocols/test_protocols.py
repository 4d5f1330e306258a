import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.evaluation.protocols import PROTOCOL_NAMES
from e2e_depth_ros.evaluation.protocols.evaluation import ProtocolReport, evaluate_by_protocol
from e2e_depth_ros.evaluation.protocols.registry import PROTOCOLS, protocol_named
from e2e_depth_ros.evaluation.protocols.store import ScoreStore
from e2e_depth_ros.evaluation.protocols.tree import DataTree
from e2e_depth_ros.model.task import Task

DEPTH = [name for name in PROTOCOL_NAMES if "normals" not in name]
NORMALS = [name for name in PROTOCOL_NAMES if "normals" in name]


def evaluate(name, small, source, output):
    protocol = protocol_named(name)
    report = ProtocolReport(protocol, source.name, {})
    evaluate_by_protocol(protocol, DataTree(small.folder), source, ScoreStore(output, {}), report)
    assert report.failures == {}
    return report


def test_all_names_are_protocols():
    assert tuple(PROTOCOLS) == PROTOCOL_NAMES
    with pytest.raises(InvalidInputError, match=r"nyuv2, .*got 'nyu'"):
        protocol_named("nyu")


@pytest.mark.parametrize("name", DEPTH)
def test_depth_gets_the_scores_worked_out_by_hand(name, tmp_path, write_set, known_source):
    small = write_set(name, tmp_path / "data")
    report = evaluate(name, small, known_source(small.predictions), tmp_path / "out")
    assert protocol_named(name).task is Task.DEPTH
    first, second = (report.scores[image.rpartition(".")[0]] for image in small.images)
    assert (first.pixels, second.pixels) == (4, 2)
    assert first.abs_rel == pytest.approx(38 / 99, rel=1e-6)
    assert (first.delta1, first.delta2) == (2 / 4, 3 / 4)
    assert (second.abs_rel, second.delta1) == (pytest.approx(0.375, rel=1e-6), 0)
    means = report.depth_means()
    # Means of the images' scores, not of the pixels: (4 * 38/99 + 2 * 0.375) / 6 would be another.
    assert means["abs_rel"] == pytest.approx((38 / 99 + 0.375) / 2, rel=1e-6)
    assert means["rmse_m"] == pytest.approx((np.sqrt(5 / 8) + 1) / 2, rel=1e-6)


@pytest.mark.parametrize("name", NORMALS)
def test_normals_get_the_scores_worked_out_by_hand(name, tmp_path, write_set, known_source):
    small = write_set(name, tmp_path / "data")
    report = evaluate(name, small, known_source(small.predictions), tmp_path / "out")
    scores = report.normal_scores()
    angles = np.array([0, 6, 8, 12, 24, 32, 40, 90])
    tolerance = 0.011 if name in ("ibims_normals", "sintel_normals") else 0.4  # of bytes
    assert scores.pixels == 8
    assert scores.mean_deg == pytest.approx(angles.mean(), abs=tolerance)  # of pixels, not of images
    assert scores.rmse_deg == pytest.approx(np.sqrt((angles**2).mean()), abs=tolerance)
    assert scores.within == pytest.approx((1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8))
    assert 12 - tolerance < scores.median_deg < 24 + tolerance


@pytest.mark.parametrize("name", PROTOCOL_NAMES)
def test_every_other_data_set_is_refused(name, tmp_path, write_set):
    protocol = protocol_named(name)
    (tmp_path / "empty").mkdir()
    for other in PROTOCOL_NAMES:
        if other != name:
            write_set(other, tmp_path / other)
    for folder in sorted(tmp_path.iterdir()):
        with pytest.raises(InvalidInputError) as refusal:
            protocol.find(DataTree(folder))
        message = str(refusal.value)
        assert protocol.title in message
        assert protocol.layout.example in message
        assert "\n" not in message


@pytest.mark.parametrize("name", PROTOCOL_NAMES)
def test_a_set_without_targets_is_refused_by_the_first_that_is_missing(name, tmp_path, write_set):
    protocol = protocol_named(name)
    small = write_set(name, tmp_path / "data")
    frames, _ = protocol.find(DataTree(small.folder))
    for frame in frames:
        (small.folder / frame.companions[0]).unlink()
    with pytest.raises(InvalidInputError, match=r"is missing$") as refusal:
        protocol.find(DataTree(small.folder))
    assert any(frame.companions[0] in str(refusal.value) for frame in frames)


@pytest.mark.parametrize("name", PROTOCOL_NAMES)
def test_a_set_is_found_deeper_in_a_folder(name, tmp_path, write_set):
    protocol = protocol_named(name)
    write_set(name, tmp_path / "all" / "sets")
    frames, left_out = protocol.find(DataTree(tmp_path / "all"))
    assert len(frames) == 2
    assert left_out == (1 if name == "kitti_eigen" else 0)
    sample = protocol.read(DataTree(tmp_path / "all"), frames[0])
    assert sample.target.valid.any()


def test_kitti_shows_networks_the_benchmarks_crop(tmp_path, write_set, known_source):
    small = write_set("kitti_eigen", tmp_path / "data")
    source = known_source(small.predictions)
    report = evaluate("kitti_eigen", small, source, tmp_path / "out")
    assert report.left_out == 1
    for rgb in source.shown.values():
        assert rgb.shape == (352, 1216, 3)
        assert rgb[0, 0].tolist() == [23, 13, 90]  # the picture says its own rows and columns


def test_protocols_process_at_the_published_resolutions():
    found = {name: (p.processing_resolution, p.frame_count) for name, p in PROTOCOLS.items()}
    assert found == {
        "nyuv2": (0, 654),
        "kitti_eigen": (0, 652),
        "eth3d": (756, 454),
        "scannet": (0, 800),
        "diode": (640, 771),
        "nyuv2_normals": (0, 654),
        "scannet_normals": (0, 300),
        "ibims_normals": (0, 100),
        "sintel_normals": (0, 1064),
    }


def test_only_sintel_is_outdoors_for_networks_that_want_to_know():
    # The published evaluation leaves GeoWizard at its default, indoor, for all sets of depth.
    assert [name for name, protocol in PROTOCOLS.items() if protocol.domain != "indoor"] == ["sintel_normals"]
    assert PROTOCOLS["sintel_normals"].domain == "outdoor"


def test_broken_files_name_themselves(tmp_path, write_set):
    broken = {
        "nyuv2": np.zeros((480, 640), np.uint8),  # 8 bits
        "scannet": np.zeros((20, 30), np.uint16),  # another size
        "eth3d": b"12345678",
        "diode": b"not an array",
        "ibims_normals": b"",
    }
    for name, content in broken.items():
        protocol, small = protocol_named(name), write_set(name, tmp_path / name)
        tree = DataTree(small.folder)
        frame = protocol.find(tree)[0][0]
        path = small.folder / frame.companions[0]
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            import cv2

            assert cv2.imwrite(str(path), content)
        with pytest.raises(InvalidInputError, match=frame.companions[0]):
            protocol.read(tree, frame)


def test_diode_trusts_its_mask_but_not_blindly(tmp_path, write_set):
    protocol, small = protocol_named("diode"), write_set("diode", tmp_path)
    tree = DataTree(tmp_path)
    frame = protocol.find(tree)[0][0]
    mask = np.ones((48, 64))
    np.save(tmp_path / frame.companions[1], mask)
    with pytest.raises(InvalidInputError, match=f"got none at {48 * 64 - 5} pixels"):
        protocol.read(tree, frame)
    assert small.images


def test_nothing_that_counts_is_an_error(tmp_path, write_set):
    protocol, small = protocol_named("diode"), write_set("diode", tmp_path)
    tree = DataTree(small.folder)
    frame = protocol.find(tree)[0][0]
    np.save(tmp_path / frame.companions[1], np.zeros((48, 64)))
    with pytest.raises(InvalidInputError, match="counts"):
        protocol.read(tree, frame)
