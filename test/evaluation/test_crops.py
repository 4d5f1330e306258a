"""Crops of frames: image, depth, points and camera stay together."""

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import find_frames
from e2e_depth_ros.core.targets import read_depth_target
from e2e_depth_ros.evaluation.crops import crops_of


def depth_m(size=(40, 56)):
    v, u = np.mgrid[: size[0], : size[1]]
    return (1 + 0.02 * v + 0.0003 * u).astype(np.float32)


@pytest.fixture
def frame(tmp_path, write_frame):
    (found,) = find_frames([write_frame(tmp_path / "set" / "0", depth=depth_m())])
    return found


def test_image_depth_and_camera_are_of_one_place(frame):
    image, camera = frame.read_image(), frame.read_camera()
    crops = crops_of([frame], 12)
    assert len({crop.name for crop in crops}) == 12
    sizes = set()
    for crop in crops:
        assert (crop.group, crop.sequence) == (frame.group, frame.sequence)
        depth, seen = crop.read_depth(), crop.read_camera()
        sizes.add(depth.shape)
        assert crop.read_image().shape == (*depth.shape, 3)
        assert seen.size == depth.shape
        assert 0.84 < depth.shape[0] / 40 <= 1
        top, left = (int(at[0]) for at in np.nonzero(depth_m() == depth[0, 0]))
        np.testing.assert_array_equal(depth, depth_m()[top:, left:][: depth.shape[0], : depth.shape[1]])
        np.testing.assert_array_equal(
            crop.read_image(), image[top:, left:][: depth.shape[0], : depth.shape[1]]
        )
        assert (seen.cx, seen.cy) == pytest.approx((camera.cx - left, camera.cy - top))
        assert (seen.fx, seen.fy) == (camera.fx, camera.fy)
    assert len(sizes) > 4


def test_crops_are_the_same_every_time_and_others_of_another_frame(frame, tmp_path, write_frame):
    other, _ = find_frames([write_frame(tmp_path / "set" / "1", depth=depth_m()), frame.folder])
    once, again, others = (
        [crop.read_depth()[0, 0] for crop in crops_of([of], 6)] for of in (frame, frame, other)
    )
    assert once == again
    assert once != others


def test_a_frame_is_read_once_for_all_of_its_crops(frame, tmp_path, write_frame, monkeypatch):
    frames = find_frames([write_frame(tmp_path / "set" / "1", depth=depth_m()), frame.folder])
    read = []
    original = type(frame).read_image
    monkeypatch.setattr(type(frame), "read_image", lambda self: read.append(self.name) or original(self))
    for crop in crops_of(frames, 5):
        crop.read_image()[:] = 0  # of this crop alone
        assert crop.read_image().any()
        assert crop.read_depth().shape == crop.read_camera().size
    assert read == [one.name for one in frames]


def test_points_of_a_crop_are_those_that_its_camera_sees(frame):
    """Whatever is measured as points lands where the same depth would."""
    camera = frame.read_camera()
    x, y = camera.normalized_grid
    points = np.stack([x * depth_m(), y * depth_m(), depth_m()], axis=-1).reshape(-1, 3).astype(np.float32)

    class OfPoints:
        name, group, sequence = frame.name, frame.group, frame.sequence
        read_image, read_camera, read_pose = frame.read_image, frame.read_camera, frame.read_pose

        def read_depth(self):
            return None

        def read_points(self):
            return points, np.eye(4)

    for dense, sparse in zip(crops_of([frame], 4), crops_of([OfPoints()], 4), strict=True):
        size = dense.read_image().shape[:2]
        expected = read_depth_target(dense, size)
        seen = read_depth_target(sparse, size)
        image = np.zeros(size, np.float32)
        image[seen.row, seen.column] = seen.depth_m
        np.testing.assert_allclose(image[expected.row, expected.column], expected.depth_m, rtol=1e-6)


@pytest.mark.parametrize("count", [0, -1, 1001, 10**26])
def test_no_crops_and_too_many_are_refused(frame, count):
    with pytest.raises(InvalidInputError, match=f"expected 1 to 1000 crops, got {count}"):
        crops_of([frame], count)


def test_crops_are_the_same_whatever_else_is_scored(tmp_path, write_frame):
    one, other = (write_frame(tmp_path / group / "0", depth=depth_m()) for group in ("a", "b"))
    (alone,) = find_frames([one])
    among = next(frame for frame in find_frames([one, other.parent]) if frame.group == "a")
    inside = next(frame for frame in find_frames([tmp_path]) if frame.group == "a")
    assert len({alone.name, among.name}) == 2
    wholes = [[crop.read_depth()[0, 0] for crop in crops_of([of], 6)] for of in (alone, among, inside)]
    assert wholes[0] == wholes[1] == wholes[2]


def test_crops_of_a_small_image_are_no_smaller_than_a_network_takes(tmp_path, write_frame):
    (frame,) = find_frames([write_frame(tmp_path / "0", depth=depth_m((8, 9)))])
    assert {crop.read_depth().shape for crop in crops_of([frame], 30)} == {(8, 8), (8, 9)}
