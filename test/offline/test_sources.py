import os

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import OUTPUT_MARK
from e2e_depth_ros.offline.sources import find_sources
from e2e_depth_ros.offline.videos import VideoWriter


def picture(path, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), 80, np.uint8))
    return path


def film(path, count=3):
    pytest.importorskip("av", reason="PyAV is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 10) as writer:
        for index in range(count):
            writer.write(np.full((20, 30, 3), 40 * index, np.uint8))
    return path


def names_in(sources):
    return [image.name for source in sources for image in source]


def test_images_and_videos_of_a_folder_and_what_is_passed_over(tmp_path):
    data, out = tmp_path / "data", tmp_path / "data" / "out"
    picture(data / "a.png")
    film(data / "day" / "b.mp4")
    film(out / "b" / "depth.mp4")  # of an earlier run
    film(data / "older" / "b" / "depth.mp4")
    (data / "older" / OUTPUT_MARK).write_text("{}")
    (data / "notes.txt").write_text("x")
    (data / "more.txt").write_text("x")
    (data / "camera_info.json").write_text("{}")
    sources, passed = find_sources([data], exclude=out)
    assert names_in(sources) == ["a", "day/b/000000", "day/b/000001", "day/b/000002"]
    assert passed == ["passed over 2 files, .txt"]
    assert sum(source.count for source in sources) == 4


def test_samples_of_a_frame_folder_are_not_passed_over(tmp_path):
    picture(tmp_path / "data" / "0" / "image.png")
    (tmp_path / "data" / "0" / "samples.csv").write_text("1,2,3")
    (tmp_path / "data" / "0" / "table.csv").write_text("1,2,3")
    sources, passed = find_sources([tmp_path / "data"], exclude=tmp_path / "out")
    assert names_in(sources) == ["0"]
    assert passed == ["passed over 1 files, .csv"]


def test_a_video_of_an_images_name_ends_with_its_suffix(tmp_path):
    inputs = [picture(tmp_path / "x.png"), film(tmp_path / "x.mp4", 1)]
    sources, _ = find_sources(inputs, exclude=tmp_path / "out")
    assert names_in(sources) == ["x", "x_mp4/000000"]


def test_two_videos_of_one_name_end_with_their_suffixes_or_are_refused(tmp_path):
    one, other = film(tmp_path / "a" / "x.mp4", 1), film(tmp_path / "b" / "x.mp4", 1)
    sources, _ = find_sources([one, other], exclude=tmp_path / "out")
    assert names_in(sources) == ["x/000000", "x_mp4/000000"]
    with pytest.raises(InvalidInputError, match="expected videos of different names"):
        find_sources([one, other, film(tmp_path / "c" / "x.mp4", 1)], exclude=tmp_path / "out")


def test_an_rgbd_folder_gives_images_with_their_depth(tmp_path):
    folder = tmp_path / "desk"
    picture(folder / "rgb" / "1.0.png")
    cv2.imwrite(str(folder / "d.png"), np.full((20, 30), 10000, np.uint16))
    (folder / "rgb.txt").write_text("1.0 rgb/1.0.png\n")
    (folder / "depth.txt").write_text("1.01 d.png\n")
    ((image,), *_), _ = find_sources([folder], exclude=tmp_path / "out")
    assert image.name == "desk/1.0"
    assert image.read_image().shape == (20, 30, 3)
    np.testing.assert_allclose(image.read_depth(), 2.0)
    assert image.depth_name == "d.png"


def test_a_frame_folder_may_hold_a_depth_png(tmp_path):
    picture(tmp_path / "f" / "image.png")
    cv2.imwrite(str(tmp_path / "f" / "depth.png"), np.full((20, 30), 500, np.uint16))
    ((image,), *_), _ = find_sources([tmp_path / "f"], exclude=tmp_path / "out")
    assert image.name == "f"
    np.testing.assert_allclose(image.read_depth(0.01), 5.0)


def test_the_output_is_no_input(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidInputError, match="another folder than the input"):
        find_sources([tmp_path], exclude=tmp_path / "none" / "..")


def test_what_is_nothing_to_look_at_is_told(tmp_path):
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(InvalidInputError, match=r"x\.txt"):
        find_sources([tmp_path / "x.txt"], exclude=tmp_path / "out")
    with pytest.raises(InvalidInputError, match="found none"):
        find_sources([tmp_path], exclude=tmp_path / "out")


def test_a_change_of_what_was_measured_is_a_change(tmp_path):
    picture(tmp_path / "f" / "image.png")
    depth = tmp_path / "f" / "depth.png"
    cv2.imwrite(str(depth), np.full((20, 30), 500, np.uint16))
    ((image,), *_), _ = find_sources([tmp_path / "f"], exclude=tmp_path / "out")
    later_ns = image.changed_ns + 5_000_000_000
    os.utime(depth, ns=(later_ns, later_ns))
    assert image.changed_ns == later_ns


def test_pictures_beside_shards_are_no_images(tmp_path):
    picture(tmp_path / "data" / "a.png")
    picture(tmp_path / "data" / "renders" / "contact_sheet.png")
    (tmp_path / "data" / "renders" / "shard-00000.npz").touch()
    sources, _ = find_sources([tmp_path / "data"], exclude=tmp_path / "out")
    assert names_in(sources) == ["a"]
    with pytest.raises(
        InvalidInputError, match=r"found none: shards .* which e2e-depth evaluate and gallery"
    ):
        find_sources([tmp_path / "data" / "renders"], exclude=tmp_path / "out")


@pytest.mark.parametrize("name", ["drive.mcap", "drive.DB3", "drive.bag", "drive/metadata.yaml"])
def test_of_a_recording_it_is_told_what_reads_it(tmp_path, name):
    (tmp_path / "drive").mkdir()
    (tmp_path / name).touch()
    given = tmp_path / name.partition("/")[0]
    with pytest.raises(InvalidInputError, match=rf"{given}.*: a recording, which e2e-depth bag reads"):
        find_sources([given], exclude=tmp_path / "out")


def test_images_beside_metadata_are_images(tmp_path):
    picture(tmp_path / "data" / "a.png")
    (tmp_path / "data" / "metadata.yaml").touch()
    assert names_in(find_sources([tmp_path / "data"], exclude=tmp_path / "out")[0]) == ["a"]
