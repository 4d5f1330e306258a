"""Videos made by PyAV are read; those written are read by OpenCV."""

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av", reason="PyAV is not installed")

from e2e_depth_ros.core.errors import InvalidInputError  # noqa: E402 - after what it needs
from e2e_depth_ros.offline.videos import VideoReader, VideoWriter  # noqa: E402

SIZE = (48, 64)
CODECS = {"mp4": "mpeg4", "mkv": "mpeg4", "avi": "mpeg4", "webm": "libvpx", "gif": "gif"}


def image(index):
    """Four fields of plain colours, which every codec keeps."""
    rgb = np.full((*SIZE, 3), 40, np.uint8)
    rgb[:24, :40] = (200, 40 + 20 * (index % 8), 60)
    rgb[24:, 40:] = (30, 60, 220 - 20 * (index % 8))
    return rgb


def made(path, count=5):
    codec = CODECS[path.suffix[1:]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=12)
        stream.width, stream.height = SIZE[1], SIZE[0]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(image(index), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", CODECS)
def test_every_container_gives_its_images_in_order(tmp_path, suffix):
    path = made(tmp_path / f"x.{suffix}")
    with VideoReader(path) as reader:
        images = list(reader.images())
        assert reader.fps == pytest.approx(12, rel=0.1)
        assert abs(reader.count - 5) <= 1
    assert len(images) == 5
    for index, rgb in enumerate(images):
        assert (rgb.shape, rgb.dtype) == ((*SIZE, 3), np.uint8)
        difference = np.abs(rgb.astype(int) - image(index))
        assert np.median(difference) < 20, index  # GIF has 256 colours


def test_what_is_no_video_is_told_without_ffmpeg_s_numbers(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(InvalidInputError, match=r"x\.mp4: Invalid data found") as raised:
        VideoReader(tmp_path / "x.mp4")
    assert "Errno" not in str(raised.value)


def test_a_video_that_breaks_off_gives_what_was_whole(tmp_path):
    path = made(tmp_path / "x.mkv", 40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    seen = []
    with VideoReader(path) as reader:
        try:
            seen.extend(reader.images())
        except InvalidInputError as error:
            assert "breaks off" in str(error)  # noqa: PT017 - FFmpeg may also just end
    assert 0 < len(seen) < 40


@pytest.mark.parametrize("content", [b"", b"no video", b"\x00\x00\x00\x18ftypmp42"])
def test_what_is_no_video_is_one_line(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"x\.mp4") as error:
        VideoReader(tmp_path / "x.mp4")
    assert "\n" not in str(error.value)


def test_written_videos_are_read_by_opencv(tmp_path):
    with VideoWriter(tmp_path / "y.mp4", 12) as writer:
        for index in range(5):
            writer.write(image(index)[:47])  # an odd height is made even
    capture = cv2.VideoCapture(str(tmp_path / "y.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12, rel=0.01)
    read = []
    while (found := capture.read())[0]:
        read.append(found[1][..., ::-1])
    assert [one.shape for one in read] == [(46, 64, 3)] * 5
    assert np.median(np.abs(read[3].astype(int) - image(3)[:46])) < 12
    assert [path.name for path in tmp_path.iterdir()] == ["y.mp4"]


def pull_the_plug(writer):
    with writer:
        writer.write(image(0))
        raise ZeroDivisionError


def test_a_video_that_is_not_finished_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        pull_the_plug(VideoWriter(tmp_path / "y.mp4"))
    with VideoWriter(tmp_path / "z.mp4"):
        pass
    assert not list(tmp_path.iterdir())
