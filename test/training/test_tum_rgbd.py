"""TUM RGB-D from a folder of exactly its layout, made here."""

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.calibration_file import write_calibration
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.datasets import Source
from e2e_depth_ros.training.recipe import SourceRecipe
from e2e_depth_ros.training.tum_rgbd import TumRgbdViews

SIZE = (48, 64)
CAMERA = Camera(SIZE, np.array([[60.0, 0, 30], [0, 55, 22], [0, 0, 1]]))


def write_sequence(folder, image_stamps, depth_stamps, size=SIZE, camera=CAMERA):
    """Walls that face the camera: image i has red i, depth i stands at 1 + i / 10 metres."""
    for kind, stamps in (("rgb", image_stamps), ("depth", depth_stamps)):
        (folder / kind).mkdir(parents=True)
        lines = ["# color images" if kind == "rgb" else "# depth maps", "# file: 'made.bag'"]
        for index, stamp in enumerate(stamps):
            name = f"{kind}/{stamp:.6f}.png"
            depth = np.full(size, round(5000 * (1 + index / 10)), np.uint16)
            depth[0] = 0
            rgb = np.full((*size, 3), (0, 0, index), np.uint8)  # BGR
            cv2.imwrite(str(folder / name), rgb if kind == "rgb" else depth)
            lines.append(f"{stamp:.6f} {name}")
        (folder / f"{kind}.txt").write_text("\n".join(lines) + "\n")
    if camera is not None:
        write_calibration(folder / "camera_info.yaml", camera)
    return folder


def pairs(views):
    """Red of each image, and metres of its depth."""
    return [
        (int(view.image[5, 5, 0]), round(float(view.depth_m[5, 5]), 3))
        for view in (views[i] for i in range(len(views)))
    ]


def test_each_image_gets_the_depth_of_its_time(tmp_path):
    # Depth 0 is nearer to image 1 than to image 0, and image 2 has none within 20 ms.
    write_sequence(tmp_path / "s", (1.000, 1.012, 1.100, 1.200), (1.010, 1.205, 1.135))
    views = TumRgbdViews(tmp_path / "s")
    assert pairs(views) == [(1, 1.0), (3, 1.1)]
    assert views.scenes == ["s", "s"]
    assert not views[0].depth_m[0].any()
    np.testing.assert_allclose(views[0].normals[20, 20], [0, 0, -1], atol=1e-5)


def test_a_single_depth_image_is_found(tmp_path):
    assert pairs(TumRgbdViews(write_sequence(tmp_path / "s", (5.0, 5.1), (5.09,)))) == [(1, 1.0)]


def test_several_sequences_are_one_source(tmp_path):
    for name in ("a", "b"):
        write_sequence(tmp_path / name, (1.0,), (1.0,))
    source = Source(SourceRecipe(tum_rgbd=str(tmp_path)))
    assert (len(source), source.contents) == (2, {"a": 1, "b": 1})


def test_published_sequences_have_the_published_camera(tmp_path):
    folder = write_sequence(tmp_path / "rgbd_dataset_freiburg3_x", (1.0,), (1.0,), (480, 640), camera=None)
    view = TumRgbdViews(folder)[0]
    assert view.normals.any()
    (tmp_path / "rgbd_dataset_freiburg3_x").rename(tmp_path / "mine")
    with pytest.raises(InvalidInputError, match=r"camera_info\.yaml.*freiburg1"):
        TumRgbdViews(tmp_path / "mine")


def test_what_is_no_sequence_is_refused_with_what_is_missing(tmp_path):
    with pytest.raises(InvalidInputError, match=r"missing rgb\.txt"):
        TumRgbdViews(tmp_path)
    folder = write_sequence(tmp_path / "s", (1.0,), (1.5,))
    with pytest.raises(InvalidInputError, match=r"within 0\.02 s"):
        TumRgbdViews(folder)
    (folder / "depth.txt").write_text("1.0 depth/gone.png\n")
    with pytest.raises(InvalidInputError, match=r"missing 1: .*gone\.png"):
        TumRgbdViews(folder)
    for text, message in (("# nothing\n", "found none"), ("now depth/a.png\n", "lines of stamp and file")):
        (folder / "depth.txt").write_text(text)
        with pytest.raises(InvalidInputError, match=message):
            TumRgbdViews(folder)


def test_depth_that_is_no_16_bit_png_is_refused(tmp_path):
    folder = write_sequence(tmp_path / "s", (1.0,), (1.0,))
    cv2.imwrite(str(folder / "depth" / "1.000000.png"), np.zeros(SIZE, np.uint8))
    with pytest.raises(InvalidInputError, match=r"16 bits.*uint8"):
        TumRgbdViews(folder)[0]
