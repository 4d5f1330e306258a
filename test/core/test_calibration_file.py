"""Calibration files: read as ROS writes them, written so that they read back, refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from e2e_depth_ros.core.calibration_file import read_calibration, write_calibration
from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.errors import InvalidInputError

K = np.array([[301.0, 0, 155.25], [0, 287.0, 118.5], [0, 0, 1]])
SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LENSES = {
    "": (),
    "plumb_bob": (-0.28, 0.09, 0.0012, -0.0007, -0.011),
    "rational_polynomial": (0.5, -0.2, 0.001, -0.0005, 0.03, 0.8, -0.1, 0.02),
    "equidistant": (0.02, -0.01, 0.003, -0.001),
}


def calibration_file(path: Path, **changes: object) -> Path:
    entries: dict[str, object] = {
        "image_width": 320,
        "image_height": 240,
        "camera_matrix": {"rows": 3, "cols": 3, "data": K.ravel().tolist()},
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": list(LENSES["plumb_bob"])},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": np.eye(3).ravel().tolist()},
        "projection_matrix": {"rows": 3, "cols": 4, "data": [290, 0, 150, 0, 0, 280, 110, 0, 0, 0, 1, 0]},
    }
    entries.update(changes)
    kept = {name: value for name, value in entries.items() if value is not None}
    path.write_text(yaml.safe_dump(kept), encoding="utf-8")
    return path


def test_reads_calibration_files(tmp_path: Path) -> None:
    camera = read_calibration(calibration_file(tmp_path / "camera_info.yaml"))
    assert camera.size == (240, 320)
    assert camera.distortion_model is DistortionModel.PLUMB_BOB
    assert camera.distortion == LENSES["plumb_bob"]
    np.testing.assert_array_equal(camera.intrinsics, K)
    assert camera.rectified().fx == 290


@pytest.mark.parametrize("lens", LENSES)
def test_calibration_files_read_back(tmp_path: Path, lens: str) -> None:
    turn = cv2.Rodrigues(np.array([0.01, -0.02, 0.03]))[0]
    camera = Camera(
        size=(240, 320),
        intrinsics=K,
        distortion_model=DistortionModel(lens),
        distortion=LENSES[lens],
        rectification=turn,
        projection=np.array([[290.0, 0, 150], [0, 285, 110], [0, 0, 1]]),
    )
    write_calibration(tmp_path / "camera_info.yaml", camera)
    read = read_calibration(tmp_path / "camera_info.yaml")
    assert (read.size, read.distortion_model, read.distortion) == (
        camera.size,
        camera.distortion_model,
        camera.distortion,
    )
    for name in ("intrinsics", "rectification", "projection"):
        np.testing.assert_array_equal(getattr(read, name), getattr(camera, name))


def test_says_what_is_wrong_with_a_calibration_file(tmp_path: Path) -> None:
    path = tmp_path / "camera_info.yaml"
    with pytest.raises(InvalidInputError, match=re.escape(str(path))):
        read_calibration(path)
    with pytest.raises(InvalidInputError, match="'camera_matrix'"):
        read_calibration(calibration_file(path, camera_matrix=None))
    with pytest.raises(InvalidInputError, match=r"camera_info.yaml.*image_height, got 'wide'"):
        read_calibration(calibration_file(path, image_height="wide"))
    with pytest.raises(InvalidInputError, match=r"camera_info.yaml.*coefficients"):
        read_calibration(calibration_file(path, distortion_coefficients={"data": [0.1]}))
    with pytest.raises(InvalidInputError, match=r"camera_info.yaml"):
        read_calibration(calibration_file(path, distortion_coefficients=[0.1]))
    path.write_text("- just\n- a list\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"expected a mapping.*list"):
        read_calibration(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_calibration(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_calibration(path)


@pytest.mark.parametrize("model", [None, "plumb_bob", "radtan", ""])
def test_without_a_model_it_is_plumb_bob(tmp_path: Path, model: str | None) -> None:
    camera = read_calibration(calibration_file(tmp_path / "camera_info.yaml", distortion_model=model))
    assert camera.distortion_model is DistortionModel.PLUMB_BOB
    assert camera.distortion == LENSES["plumb_bob"]


def test_numbers_without_a_dot_are_numbers(tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-05 as text; yaml-cpp, which ROS uses, writes it."""
    path = calibration_file(tmp_path / "camera_info.yaml", distortion_coefficients={"data": [0, 0, 0, 0, 7]})
    path.write_text(path.read_text(encoding="utf-8").replace("- 7", "- 1e-05"), encoding="utf-8")
    assert read_calibration(path).distortion == (0, 0, 0, 0, 1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "changes",
    [
        {"distortion_coefficients": {"data": [1e308, 0, 0, 0, 0]}},
        {"distortion_coefficients": {"data": [float("nan"), 0, 0, 0, 0]}},
        {"distortion_coefficients": {"data": [10**400, 0, 0, 0, 0]}},
        {"distortion_coefficients": {"data": [[0.1] * 5]}},
        {"distortion_coefficients": {"data": [0.1] * 1000}},
        {"distortion_coefficients": {"data": "0.1 0.2"}},
        {"distortion_coefficients": {"data": ["one", 0, 0, 0, 0]}},
        {"distortion_coefficients": {"data": [True, 0, 0, 0, 0]}},
        {"distortion_coefficients": {"rows": 1, "cols": 5}},
        {"distortion_model": 5},
        {"distortion_model": ["plumb_bob"]},
        {"camera_matrix": {"data": [1e300, 0, 155, 0, 287, 118, 0, 0, 1]}},
        {"camera_matrix": {"data": [0] * 9}},
        {"camera_matrix": {"data": [1, 0, 0, 0, 1, 0, 0, 0, 1]}},
        {"camera_matrix": [301, 0, 155]},
        {"rectification_matrix": {"data": [1e300, 0, 0, 0, 1, 0, 0, 0, 1]}},
        {"rectification_matrix": {"data": [1, 0, 0, 0, 1, 0, 0, 0, -1]}},
        {"projection_matrix": {"data": [290, 0, 150, float("inf"), 0, 280, 110, 0, 0, 0, 1, 0]}},
        {"projection_matrix": {"data": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]}},
        {"projection_matrix": {"data": [290, 0, 150]}},
        {"image_width": 320.5},
        {"image_width": True},
        {"image_width": -320},
        {"image_width": [320]},
    ],
    ids=str,
)
def test_absurd_calibrations_are_refused_in_a_short_line(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        read_calibration(calibration_file(tmp_path / "camera_info.yaml", **changes))
    said = str(refusal.value)
    assert "camera_info.yaml" in said
    assert len(said) - len(str(tmp_path)) < 400


def test_keys_of_all_kinds_are_told(tmp_path: Path) -> None:
    path = tmp_path / "camera_info.yaml"
    path.write_text("1: a\nimage_width: 320\nnull: 2\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="the entry 'image_height', got 1, None, image_width"):
        read_calibration(path)


def test_a_fisheye_that_would_read_as_a_pinhole_is_not_written(tmp_path: Path) -> None:
    camera = Camera((240, 320), K, DistortionModel.EQUIDISTANT, (0.0,) * 4)
    with pytest.raises(InvalidInputError, match="fisheye with coefficients"):
        write_calibration(tmp_path / "camera_info.yaml", camera)


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"no development data at {SHARED_DATA}")
def test_reads_the_calibrations_of_real_cameras() -> None:
    cameras = {path: read_calibration(path) for path in sorted(SHARED_DATA.glob("*/*/camera_info.yaml"))}
    assert cameras
    for path, camera in cameras.items():
        image = cv2.imread(str(next(path.parent.glob("image.*"))))
        assert image is not None
        assert image.shape[:2] == camera.size
        assert camera.is_distorted == ("arc2017" in str(path))
