import os

import cv2
import numpy as np
import pytest

from e2e_depth_ros.evaluation.protocols.dsine import stretched_colours
from e2e_depth_ros.evaluation.protocols.registry import protocol_named
from e2e_depth_ros.evaluation.protocols.tree import DataTree

os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"

# A wall that faces the camera, a wall on the left that faces right, and the floor: optical frame.
OPTICAL = np.array([[[0, 0, -1], [1, 0, 0], [0, -1, 0]]], np.float32)


def read(folder, name, stem, suffix, vectors):
    path = folder / f"{stem}_normal{suffix}"
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(folder / f"{stem}_img.png"), np.full((1, 4, 3), 77, np.uint8))
    if suffix == ".npy":
        np.save(path, vectors)
    else:
        cv2.imwrite(str(path), vectors[..., ::-1])
    protocol = protocol_named(name)
    tree = DataTree(folder)
    (frame,), _ = protocol.find(tree)
    return protocol.read(tree, frame)


@pytest.mark.parametrize("suffix", [".png", ".exr", ".npy"])
def test_normals_arrive_in_the_optical_frame_towards_the_camera(tmp_path, suffix):
    away = -OPTICAL  # as DSINE has them
    if suffix == ".png":
        name, stem = "scannet_normals", "scene0532_00/000000"
        vectors = np.rint((away + 1) / 2 * 255).astype(np.uint8)
    elif suffix == ".exr":
        name, stem, vectors = "sintel_normals", "alley_1/frame_0001", away
    else:
        # As Marigold has them: x right, y up, z backward.
        name, stem, vectors = "nyuv2_normals", "test/000000", OPTICAL * np.float32([1, -1, -1])
    unknown = np.zeros((1, 1, 3), vectors.dtype)
    sample = read(tmp_path, name, stem, suffix, np.concatenate([vectors, unknown], axis=1))
    assert sample.target.valid.tolist() == [[True, True, True, False]]
    np.testing.assert_allclose(sample.target.values[:, :3], OPTICAL, atol=0.005)


def test_short_vectors_are_unknown(tmp_path):
    vectors = np.array([[[0, 0, 0.51], [0, 0, 0.49], [0, 0.6, 0], [0, 0, 0]]], np.float32)
    sample = read(tmp_path, "ibims_normals", "ibims/lab_01", ".exr", vectors)
    assert sample.target.valid.tolist() == [[True, False, True, False]]
    np.testing.assert_allclose(np.linalg.norm(sample.target.values[0, [0, 2]], axis=-1), 1, rtol=1e-6)


def test_colours_are_stretched_as_the_published_evaluation_stretches_them():
    # Of black, ImageNet's normalisation makes -2.1179, -2.0357 and -1.8044, of white 2.2489, 2.4286 and
    # 2.6400. From the lowest to the highest are 4.7579.
    image = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    assert stretched_colours(image).tolist() == [[[0, 4, 16], [234, 243, 255]]]


def test_networks_see_the_stretched_colours(tmp_path, write_set):
    protocol, small = protocol_named("ibims_normals"), write_set("ibims_normals", tmp_path)
    tree = DataTree(small.folder)
    sample = protocol.read(tree, protocol.find(tree)[0][0])
    raw = cv2.imread(str(tmp_path / small.images[0]))[..., ::-1]
    np.testing.assert_array_equal(sample.rgb, stretched_colours(raw))
