import os

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import OUTPUT_MARK, find_frames, write_frame
from e2e_depth_ros.core.image_files import read_image


def picture(path, size=(5, 7)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    assert cv2.imwrite(str(path), rng.integers(0, 255, (*size, 3), dtype=np.uint8))
    return path


def test_names_mirror_the_folder(tmp_path, write_frame):
    write_frame(tmp_path / "data" / "indoor" / "0001", depth=np.ones((40, 56)))
    write_frame(tmp_path / "data" / "indoor" / "0000", depth=np.ones((40, 56)))
    picture(tmp_path / "data" / "photos" / "deep" / "a.JPG")
    picture(tmp_path / "data" / "b.c.png")
    (tmp_path / "data" / "notes.txt").write_text("no image")
    found = find_frames([tmp_path / "data"])
    assert [(f.name, f.group, f.folder is not None) for f in found] == [
        ("b.c", "data", False),
        ("indoor/0000", "indoor", True),
        ("indoor/0001", "indoor", True),
        ("photos/deep/a", "photos/deep", False),
    ]


def test_single_inputs_have_their_own_names(tmp_path, write_frame):
    folder = write_frame(tmp_path / "set" / "0007", depth=np.ones((40, 56)))
    (from_folder,) = find_frames([folder])
    assert (from_folder.name, from_folder.group) == ("0007", "set")
    (from_image,) = find_frames([picture(tmp_path / "set" / "x.png")])
    assert (from_image.name, from_image.folder) == ("x", None)
    _, from_set = find_frames([tmp_path / "set"])
    assert (from_set.name, from_set.group) == ("0007", "set")


def test_inputs_with_equal_names_are_told_apart_by_their_folders(tmp_path):
    for name in ("a", "b"):
        picture(tmp_path / name / "0.png")
    found = find_frames([tmp_path / "a", tmp_path / "b"])
    assert [f.name for f in found] == ["a/0", "b/0"]


def test_equal_names_in_one_folder_end_with_their_suffix(tmp_path):
    picture(tmp_path / "0.png")
    picture(tmp_path / "0.jpg")
    picture(tmp_path / "1.jpg")
    assert [frame.name for frame in find_frames([tmp_path])] == [
        f"{tmp_path.name}/{name}" for name in ("0_jpg", "0_png", "1")
    ]


def test_equal_names_that_no_suffix_tells_apart_are_refused(tmp_path):
    picture(tmp_path / "0.png")
    picture(tmp_path / "0.PNG")
    with pytest.raises(InvalidInputError, match=r"0\.PNG and .*0\.png"):
        find_frames([tmp_path])


def test_results_of_any_earlier_run_are_not_inputs(tmp_path):
    picture(tmp_path / "0.png")
    picture(tmp_path / "older" / "0" / "preview.png")
    (tmp_path / "older" / OUTPUT_MARK).write_text("{}")
    assert [f.name for f in find_frames([tmp_path])] == ["0"]


def test_results_of_an_earlier_run_are_not_inputs(tmp_path):
    picture(tmp_path / "0.png")
    picture(tmp_path / "out" / "0" / "preview.png")
    picture(tmp_path / ".hidden" / "1.png")
    assert [f.name for f in find_frames([tmp_path], exclude=tmp_path / "out")] == ["0"]


def test_links_may_lead_in_circles_and_outside(tmp_path):
    picture(tmp_path / "elsewhere" / "1.png")
    picture(tmp_path / "data" / "0.png")
    (tmp_path / "data" / "circle").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "other").symlink_to(tmp_path / "elsewhere")
    assert [f.name for f in find_frames([tmp_path / "data"])] == ["0", "other/1"]


def test_wrong_inputs_are_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"nowhere does not exist"):
        find_frames([tmp_path / "nowhere"])
    with pytest.raises(InvalidInputError, match="found none"):
        find_frames([tmp_path])
    (tmp_path / "x.txt").write_text("no image")
    with pytest.raises(InvalidInputError, match=r"x\.txt"):
        find_frames([tmp_path / "x.txt"])


def test_image_is_rgb(tmp_path, write_frame):
    (frame,) = find_frames([write_frame(tmp_path / "f", depth=np.ones((40, 56)))])
    rgb = frame.read_image()
    assert rgb.shape == (40, 56, 3)
    np.testing.assert_array_equal(rgb[3, 2], [200, 30, 20])
    np.testing.assert_array_equal(rgb[3, 50], [10, 40, 210])


@pytest.mark.parametrize("kind", ["gray", "alpha", "sixteen bits"])
def test_every_kind_of_png_becomes_rgb(tmp_path, kind):
    value = {
        "gray": np.full((4, 6), 90, np.uint8),
        "alpha": np.full((4, 6, 4), 90, np.uint8),
        "sixteen bits": np.full((4, 6, 3), 90 * 257, np.uint16),
    }[kind]
    assert cv2.imwrite(str(tmp_path / "x.png"), value)
    rgb = read_image(tmp_path / "x.png")
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, np.full((4, 6, 3), 90))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.97])
def test_truncated_image_is_refused(tmp_path, suffix, share):
    path = picture(tmp_path / f"x{suffix}", (120, 160))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InvalidInputError, match=f"x{suffix}"):
        read_image(path)


def test_jpeg_with_trailing_bytes_is_read(tmp_path):
    path = picture(tmp_path / "x.jpg", (20, 30))
    path.write_bytes(path.read_bytes() + b"some camera's notes")
    assert read_image(path).shape == (20, 30, 3)


def test_measurements_are_read(tmp_path, write_frame):
    depth = np.full((40, 56), 2.5)
    depth[0, :4] = (np.nan, np.inf, 0, -1)
    pose = np.diag([1.0, -1, -1, 1])
    folder = write_frame(tmp_path / "f", depth=depth, points=[[1, 2, 3], [4, 5, 6]], camera_from_points=pose)
    (frame,) = find_frames([folder])
    read = frame.read_depth()
    assert np.isnan(read[0, :4]).all()
    assert (read[1:] == 2.5).all()
    points, camera_from_points = frame.read_points()
    np.testing.assert_array_equal(points, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(camera_from_points, pose)
    camera = frame.read_camera()
    assert (camera.size, camera.fx, camera.fy, camera.cx, camera.cy) == ((40, 56), 50, 46, 29, 18)


def test_written_frame_reads_back(tmp_path):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    camera = Camera((20, 30), np.array([[25.0, 0, 14], [0, 27, 9], [0, 0, 1]]))
    depth = rng.uniform(1, 3, (20, 30)).astype(np.float32)
    points, pose = rng.uniform(1, 3, (7, 3)).astype(np.float32), np.diag([-1.0, -1, 1, 1])
    write_frame(tmp_path / "a" / "b", rgb, camera, depth_m=depth, points_m=points, camera_from_points=pose)
    write_frame(tmp_path / "a" / "c", rgb, camera)
    full, bare = find_frames([tmp_path])
    np.testing.assert_array_equal(full.read_image(), rgb)
    np.testing.assert_array_equal(full.read_depth(), depth)
    for read, written in zip(full.read_points(), (points, pose), strict=True):
        np.testing.assert_array_equal(read, written)
    np.testing.assert_array_equal(bare.read_camera().intrinsics, camera.intrinsics)
    assert (bare.read_depth(), bare.read_points()) == (None, None)


def test_pose_of_a_frame_is_read_if_there_is_one(tmp_path, write_frame):
    pose = np.eye(4)[[1, 2, 0, 3]]
    for name in ("run/0", "run/1"):
        write_frame(tmp_path / name)
    np.savez(tmp_path / "run" / "0" / "pose.npz", world_from_camera=pose)
    np.savez(tmp_path / "run" / "1" / "pose.npz", world_from_camera=np.eye(3))
    first, second = find_frames([tmp_path])
    np.testing.assert_array_equal(first.read_pose(), pose)
    assert first.sequence == second.sequence == "run"
    with pytest.raises(InvalidInputError, match=r"world_from_camera.*\(3, 3\)"):
        second.read_pose()


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        (np.diag([2.0, 2, 2, 1]), r"a rotation .* camera_from_points\[:3, :3\]"),
        (np.diag([1.0, 1, -1, 1]), "a rotation"),  # mirrored
        (np.eye(4) + 0.3 * np.eye(4)[3:].T @ np.eye(4)[:1], "0, 0, 0, 1 as last row"),  # transposed
        (np.full((4, 4), np.nan), "a finite camera_from_points"),
    ],
)
def test_what_stretches_or_mirrors_points_is_no_pose(tmp_path, write_frame, pose, message):
    folder = write_frame(tmp_path / "f", points=[[1, 2, 3]], camera_from_points=pose)
    (frame,) = find_frames([folder])
    with pytest.raises(InvalidInputError, match=rf"points\.npz: expected {message}"):
        frame.read_points()


def test_a_pose_of_three_digits_is_one(tmp_path, write_frame):
    pose = np.eye(4)
    pose[:2, :2] = np.round([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]], 3)
    (frame,) = find_frames([write_frame(tmp_path / "f", points=[[1, 2, 3]], camera_from_points=pose)])
    np.testing.assert_array_equal(frame.read_points()[1], pose)


def test_plain_image_has_no_measurements(tmp_path):
    (frame,) = find_frames([picture(tmp_path / "x.png")])
    assert (frame.read_camera(), frame.read_depth(), frame.read_points()) == (None, None, None)
    assert frame.read_pose() is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"depth": np.ones((2, 3, 1))}, r"\(2, 3, 1\)"),
        ({"z": np.ones((2, 3))}, "'depth'.*z"),
        ({"depth": np.array([["a"]])}, "numbers"),
        (None, "cannot read"),
    ],
)
def test_broken_depth_is_refused(tmp_path, write_frame, arrays, message):
    folder = write_frame(tmp_path / "f")
    if arrays is None:
        (folder / "depth.npz").write_bytes(b"PK\x03\x04 not an archive")
    else:
        np.savez(folder / "depth.npz", **arrays)
    (frame,) = find_frames([folder])
    with pytest.raises(InvalidInputError, match=message):
        frame.read_depth()


def test_frame_without_image_is_told(tmp_path, write_frame):
    folder = write_frame(tmp_path / "f", depth=np.ones((40, 56)))
    (folder / "image.png").unlink()
    (frame,) = find_frames([tmp_path])
    with pytest.raises(InvalidInputError, match=r"image\.png"):
        frame.read_image()


def test_two_images_in_a_frame_folder_are_told(tmp_path, write_frame):
    (write_frame(tmp_path / "f") / "image.jpg").write_bytes(b"")
    (frame,) = find_frames([tmp_path])
    with pytest.raises(InvalidInputError, match=r"expected one image in .*f, got image.jpg and image.png"):
        frame.read_image()


def test_named_pipes_are_told_and_not_opened(tmp_path, write_frame):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InvalidInputError, match=r"pipe\.png is a named pipe"):
        find_frames([tmp_path / "pipe.png"])
    with pytest.raises(InvalidInputError, match="named pipe"):
        read_image(tmp_path / "pipe.png")
    folder = write_frame(tmp_path / "frame")
    (folder / "camera_info.yaml").unlink()
    for name in ("camera_info.yaml", "depth.npz", "points.npz", "pose.npz"):
        os.mkfifo(folder / name)
    (frame,) = find_frames([folder])
    for read in (frame.read_camera, frame.read_depth, frame.read_points, frame.read_pose):
        with pytest.raises(InvalidInputError, match="named pipe"):
            read()


def test_an_image_file_without_end_is_refused_unread(tmp_path):
    with (tmp_path / "huge.png").open("wb") as stream:
        stream.truncate(1 << 40)  # a hole: it takes no place on the disk
    with pytest.raises(InvalidInputError, match="expected a file of up to "):
        read_image(tmp_path / "huge.png")
