"""Each format is read back by another library than the one that wrote it."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.offline.depth_formats import (
    FORMATS,
    PredictedDepth,
    check_formats,
    formats_named,
    write_depth,
)

SIZE = (30, 44)
CAMERA = Camera(SIZE, np.array([[50.0, 0, 20], [0, 52, 16], [0, 0, 1]]))
RGB = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
DEPTH_M = np.linspace(0.4, 9.0, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
DEPTH_M[3, 5] = np.nan
METRIC = PredictedDepth(RGB, DEPTH_M, True, CAMERA)
KNOWN = np.isfinite(DEPTH_M)


def written(folder, name, depth=METRIC):
    if name == "exr":
        pytest.importorskip("OpenEXR", reason="OpenEXR is not installed")
    write_depth(folder, [name], depth)
    return folder / FORMATS[name].file


def test_npy_is_what_numpy_reads(tmp_path):
    np.testing.assert_array_equal(np.load(written(tmp_path, "npy")), DEPTH_M)


def test_png16_has_the_millimetres_of_rep_118(tmp_path):
    values = cv2.imread(str(written(tmp_path, "png16")), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16
    assert values[3, 5] == 0
    np.testing.assert_allclose(values[KNOWN] / 1000, DEPTH_M[KNOWN], atol=0.5e-3 + 1e-6)


def test_exr_is_float_to_opencv(tmp_path):
    path = written(tmp_path, "exr")
    # OpenCV asks once in a process whether it may.
    script = (
        "import sys, cv2, numpy as np; np.save(sys.argv[2], cv2.imread(sys.argv[1], cv2.IMREAD_UNCHANGED))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(path), str(tmp_path / "read.npy")],
        env={"OPENCV_IO_ENABLE_OPENEXR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    read = np.load(tmp_path / "read.npy", allow_pickle=True)
    if read.ndim == 0:
        pytest.skip("this build of OpenCV reads no EXR")
    np.testing.assert_array_equal(read.reshape(*SIZE, -1)[..., 0], DEPTH_M)


def test_png_is_coloured_of_the_images_size(tmp_path):
    picture = cv2.imread(str(written(tmp_path, "png")))
    assert picture.shape == (*SIZE, 3)
    assert not picture[3, 5].any()
    brightness = picture.astype(int).sum(axis=2)
    assert brightness[0].mean() > brightness[15].mean() > brightness[-1].mean()  # near is bright


def test_ply_is_a_coloured_cloud_to_trimesh(tmp_path):
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    cloud = trimesh.load(written(tmp_path, "ply"))
    row, column = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    x, y = (column - 20) / 50 * DEPTH_M, (row - 16) / 52 * DEPTH_M
    expected = np.stack([x, y, DEPTH_M], axis=-1)[KNOWN]
    np.testing.assert_allclose(cloud.vertices, expected, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(cloud.colors)[:, :3], RGB[KNOWN])


def test_pcd_is_the_same_cloud_to_open3d(tmp_path):
    open3d = pytest.importorskip("open3d", reason="Open3D has no wheel here")
    cloud = open3d.io.read_point_cloud(str(written(tmp_path, "pcd")))
    np.testing.assert_allclose(np.asarray(cloud.points), METRIC.points()[KNOWN], atol=1e-5)
    np.testing.assert_allclose(np.asarray(cloud.colors) * 255, RGB[KNOWN], atol=0.51)


def test_relative_depth_is_written_where_no_metres_are_meant(tmp_path):
    farness = np.linspace(0, 1, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
    relative = PredictedDepth(RGB, farness, False)
    picture = cv2.imread(str(written(tmp_path, "png", relative)))
    assert picture[0, 0].sum() > picture[-1, -1].sum()
    for name in ("png16", "ply", "pcd"):
        with pytest.raises(InvalidInputError, match=f"format {name}.*--align"):
            check_formats([name], is_metric=False)
    check_formats(["npy", "png"], is_metric=False)


def test_a_cloud_without_intrinsics_says_which_options_give_them(tmp_path):
    with pytest.raises(InvalidInputError, match="--fov, --intrinsics or --calibration"):
        write_depth(tmp_path, ["ply"], PredictedDepth(RGB, DEPTH_M, True))


def test_names_are_read_and_wrong_ones_told():
    assert formats_named(" npy,png16,npy ,mp4") == ("npy", "png16", "mp4")
    for text in ("npz", "", ","):
        with pytest.raises(InvalidInputError, match="expected formats of npy, png16, exr"):
            formats_named(text)
