import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import (
    CAMERA_FORMATS,
    FILE_FORMATS,
    MAX_FILE_PIXELS,
    check_size,
    decode_image,
    encoded_image,
    read_image,
)
from helpers import image_bombs

FLAT = (cv2.IMWRITE_JPEG_OPTIMIZE, 1)  # tables of the image's own: a flat area is many bytes of zero
PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
BOMBS = image_bombs.all_bombs()
RESTARTS = (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)


def picture(height=90, width=150):
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 12, (height, width))
    return np.clip(np.dstack([rows + noise, columns + noise, 90 + noise]), 0, 255).astype(np.uint8)


def encoded(suffix, image=None, *flags):
    return cv2.imencode(suffix, picture() if image is None else image, list(flags))[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tiff", ".webp", ".jpg"])
def test_every_format_of_files_is_read(suffix):
    rgb = decode_image(
        encoded(suffix, None, *((cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ())), "x"
    )
    off = np.abs(rgb.astype(int) - picture()[..., ::-1])
    assert off.max() == 0 or (suffix == ".jpg" and np.median(off) < 12)


def test_the_size_is_known_before_anything_is_decoded():
    for suffix in (".png", ".bmp", ".ppm", ".tiff", ".webp", ".jpg"):
        assert encoded_image(encoded(suffix, picture(37, 53))).size == (37, 53)
    assert encoded_image(encoded(".pgm", picture(37, 53)[..., 0])).size == (37, 53)


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".tiff", ".webp"])
def test_cameras_send_jpeg_and_png(suffix):
    with pytest.raises(InvalidInputError, match="expected an image of JPEG, PNG, got"):
        encoded_image(encoded(suffix), formats=CAMERA_FORMATS)


@pytest.mark.parametrize("tail", [b"", bytes(700), b"\xff\xd9", bytes(700) + b"\xff\xd9"], ids=len)
@pytest.mark.parametrize("flags", [(), RESTARTS], ids=["plain", "restarts"])
@pytest.mark.parametrize("size", [(90, 150), (89, 145)])
def test_a_cut_jpeg_is_refused_however_it_ends(tail, flags, size):
    data = encoded(".jpg", picture(*size), *flags)
    begin = data.index(b"\xff\xda") + 14
    for cut in [*range(2, begin, 40), *range(begin, len(data) - 200, 97)]:
        with pytest.raises(InvalidInputError, match="JPEG"):
            decode_image(data[:cut] + tail, "x")


@pytest.mark.parametrize("tail", [b"", bytes(700)], ids=len)
def test_a_cut_progressive_jpeg_is_refused(tail):
    data = encoded(".jpg", None, *PROGRESSIVE)
    for cut in range(2, len(data) - 1, 61):
        with pytest.raises(InvalidInputError, match="JPEG"):
            decode_image(data[:cut] + tail, "x")


def test_a_jpeg_that_lost_a_part_between_restart_markers_is_refused():
    data = encoded(".jpg", None, *RESTARTS)
    lost = data[: data.index(b"\xff\xd1")] + data[data.index(b"\xff\xd2") :]
    with pytest.raises(InvalidInputError, match="lacks a part between restart markers"):
        decode_image(lost, "x")


@pytest.mark.parametrize("flags", [RESTARTS, (*RESTARTS, *PROGRESSIVE)], ids=["baseline", "progressive"])
@pytest.mark.parametrize("number", [0, 1, 7, 8])
def test_a_jpeg_that_ends_where_an_interval_does_is_refused(flags, number):
    """Be it the first: then there is no restart marker in what is left."""
    data = encoded(".jpg", None, *flags)
    marker = bytes((0xFF, 0xD0 + number % 8))
    at = data.index(marker, data.index(b"\xff\xd7") if number > 7 else 0)
    with pytest.raises(InvalidInputError, match="truncated before its end marker"):
        decode_image(data[:at] + b"\xff\xd9", "x")


def segments(data):
    """Markers of a JPEG with their contents, and the data of its first scan."""
    found, at, kind = [], 2, 0
    while kind != 0xDA:
        kind, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((kind, data[at + 4 : end]))
        at = end
    return found, data[at : data.index(b"\xff\xd9", at)]


def test_a_whole_jpeg_of_one_scan_a_channel_is_read_though_it_is_grey():
    """Each of its scans of colour is zeros, by the usual tables."""

    def segment(kind, content):
        return bytes((0xFF, kind)) + (len(content) + 2).to_bytes(2, "big") + content

    grey = picture(96, 144)[..., 0]
    _, brightness = segments(encoded(".jpg", grey))
    heads, _ = segments(encoded(".jpg", np.dstack([grey] * 3)))
    tables = b"".join(segment(kind, content) for kind, content in heads if kind in (0xDB, 0xC4))
    size = b"".join(side.to_bytes(2, "big") for side in grey.shape)
    frame = segment(0xC0, b"\x08" + size + b"\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01")
    colour = bytes(grey.size // 64 // 2)  # four bits a block: no difference, no more coefficients
    scans = [(1, 0x00, brightness), (2, 0x11, colour), (3, 0x11, colour)]
    body = b"".join(segment(0xDA, bytes((1, one, use, 0, 63, 0))) + data for one, use, data in scans)
    data = b"\xff\xd8" + tables + frame + body + b"\xff\xd9"
    np.testing.assert_array_equal(decode_image(data, "x"), decode_image(encoded(".jpg", grey), "x"))
    cut = data[: data.index(brightness) + 900] + bytes(700) + b"\xff\xd9"
    with pytest.raises(InvalidInputError, match="padded with zeros"):
        decode_image(cut, "x")


@pytest.mark.parametrize("level", [126, 127, 129])
def test_a_whole_jpeg_that_ends_in_some_grey_is_read_without_a_word(capfd, level):
    """libjpeg would call it corrupt, in each frame of a camera before such a wall."""
    rgb = np.full((44, 61, 3), level, np.uint8)
    rgb[:20, :30] = (200, 90, 10)
    pixels = encoded_image(encoded(".jpg", rgb)).decode(cv2.IMREAD_COLOR)
    assert abs(pixels[-4:, -4:].astype(int) - 128).max() <= 3
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "flags", [(), FLAT, PROGRESSIVE, RESTARTS], ids=["plain", "flat", "progressive", "restarts"]
)
@pytest.mark.parametrize("content", ["picture", "black", "grey", "white", "grey below", "black below"])
def test_a_whole_jpeg_is_read_whatever_it_shows(flags, content):
    image = picture(200, 310)
    level = {"bl": 0, "gr": 128, "wh": 255}.get(content[:2])
    if level is not None:
        image[100 if "below" in content else 0 :] = level
    assert decode_image(encoded(".jpg", image, *flags), "x").shape == (200, 310, 3)


def test_fill_bytes_and_what_follows_the_end_change_nothing():
    data = encoded(".jpg")
    expected = decode_image(data, "x")
    filled = data[:2] + b"\xff\xff" + data[2:]
    for marker in (b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda"):
        filled = filled.replace(marker, b"\xff\xff\xff" + marker)
    preview = encoded(".jpg", picture(16, 16))
    for variant in (filled, data + bytes(5000), data + preview, data[:-2] + b"\xff\xff\xff\xd9"):
        np.testing.assert_array_equal(decode_image(variant, "x"), expected)


def test_a_thumbnail_is_neither_the_end_nor_the_size():
    data, thumbnail = encoded(".jpg"), encoded(".jpg", picture(16, 16))
    segment = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    data = data[:2] + segment + data[2:]
    assert encoded_image(data).size == (90, 150)
    with pytest.raises(InvalidInputError, match="truncated"):
        encoded_image(data[:-900])


@pytest.mark.parametrize("tail", [b"", bytes(700)], ids=len)
def test_a_cut_png_is_refused(tail):
    data = encoded(".png")
    for cut in range(8, len(data) - 1, 211):
        with pytest.raises(InvalidInputError, match="PNG"):
            decode_image(data[:cut] + tail, "x")


@pytest.mark.parametrize("change", [lambda rows: rows[: len(rows) // 2], lambda rows: rows[:-1]])
def test_a_png_that_lacks_rows_is_refused(change):
    rows = bytes(5 * (1 + 3 * 4))
    assert decode_image(image_bombs.png(4, 5, zlib.compress(rows)), "x").shape == (5, 4, 3)
    with pytest.raises(InvalidInputError, match="lacks a part of its pixels"):
        decode_image(image_bombs.png(4, 5, zlib.compress(change(rows))), "x")


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(
    ("colours", "channels", "bits"),
    [(0, 1, bits) for bits in (1, 2, 4, 8, 16)]
    + [(c, n, bits) for c, n in ((2, 3), (4, 2), (6, 4)) for bits in (8, 16)],
)
def test_the_data_of_every_kind_of_png_are_measured(bits, interlaced, colours, channels):
    for height, width in ((1, 1), (3, 2), (9, 13), (8, 5)):
        sizes = [(height, width)]
        if interlaced:
            grid = np.indices((height, width))
            steps = (
                (0, 8, 0, 8),
                (0, 8, 4, 8),
                (4, 8, 0, 4),
                (0, 4, 2, 4),
                (2, 4, 0, 2),
                (0, 2, 1, 2),
                (1, 2, 0, 1),
            )
            sizes = [grid[0][top::down, left::right].shape for top, down, left, right in steps]
        length = sum(h * (1 + -(-w * bits * channels // 8)) for h, w in sizes if h and w)
        data = image_bombs.png(
            width, height, zlib.compress(bytes(length)), bits=bits, colours=colours, interlaced=interlaced
        )
        assert decode_image(data, "x").shape == (height, width, 3)


def test_what_no_pixel_depends_on_does_not_reach_the_decoder():
    text = image_bombs.png_chunk(b"zTXt", b"x\0\0" + image_bombs.zeros(50))
    plain = encoded(".png")
    assert encoded_image(plain[:33] + text + plain[33:]).data == encoded_image(plain).data


def test_photos_are_turned_upright_and_camera_images_are_not(tmp_path):
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # orientation 6
    data = encoded(".jpg")
    path = tmp_path / "x.jpg"
    path.write_bytes(
        data[:2] + b"\xff\xe1" + (len(exif) + 8).to_bytes(2, "big") + b"Exif\0\0" + exif + data[2:]
    )
    assert read_image(path).shape == (150, 90, 3)
    assert read_image(path, upright=False).shape == (90, 150, 3)


def test_twelve_bits_in_sixteen_are_no_dark_picture():
    bright = np.linspace(0, 4095, 24 * 32).reshape(24, 32).astype(np.uint16)
    rgb = decode_image(encoded(".png", bright), "x")
    assert (rgb.min(), rgb.max()) == (0, 255)


def test_a_file_of_floats_is_refused():
    with pytest.raises(InvalidInputError, match="8 or 16 bits in x, got float32"):
        decode_image(encoded(".tiff", picture().astype(np.float32)), "x")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InvalidInputError, match=r"none\.png does not exist"):
        read_image(tmp_path / "none.png")


def test_a_size_is_refused_by_its_limit():
    check_size(4, 5, max_pixels=20)
    for height, width in ((4, 6), (0, 5), (5, 0), (-3, 3)):
        with pytest.raises(InvalidInputError, match=f"1 to 20 pixels, got height {height} and width {width}"):
            check_size(height, width, max_pixels=20)


# Each bomb in a process of its own: the peak of memory is the process's.
DETONATE = """
import json, resource, sys, time
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import decode_image
data = sys.stdin.buffer.read()
def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before_mb, begun_s = peak_mb(), time.process_time()
try:
    outcome = str(decode_image(data, "x").shape)
except InvalidInputError as error:
    outcome = f"refused: {error}"
took_s, more_mb = time.process_time() - begun_s, peak_mb() - before_mb
print(json.dumps([outcome, took_s, more_mb, len(data)]))
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_once_and_without_its_memory(name):
    data = BOMBS[name]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    run = subprocess.run(
        [sys.executable, "-c", DETONATE], input=data, capture_output=True, check=True, env=environment
    )
    outcome, took_s, more_mb, size = json.loads(run.stdout)
    assert outcome.startswith("refused: "), outcome
    assert took_s < 1  # of the processor's time: others may use it too
    assert more_mb < 40 + 4 * size / 2**20


def limits_of(**environment):
    script = "import e2e_depth_ros.core.image_files, os; print(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'])"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_IO")}
    environment = {**inherited, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), **environment}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=True, text=True
    )


def test_opencv_is_limited_too_unless_the_user_says_otherwise():
    assert limits_of().stdout.strip() == str(MAX_FILE_PIXELS)
    assert limits_of(OPENCV_IO_MAX_IMAGE_PIXELS="1000").stdout.strip() == "1000"


def test_opencv_obeys_the_limit_of_the_user():
    script = (
        "import sys; from e2e_depth_ros.core.image_files import decode_image; "
        "decode_image(sys.stdin.buffer.read(), 'x')"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "OPENCV_IO_MAX_IMAGE_PIXELS": "1000",
    }
    run = subprocess.run(
        [sys.executable, "-c", script],
        input=encoded(".png"),
        capture_output=True,
        check=False,
        env=environment,
    )
    assert b"InvalidInputError: cannot read x: OpenCV refuses it" in run.stderr


def test_every_format_is_known():
    assert set(CAMERA_FORMATS) < set(FILE_FORMATS)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_turned_tiff_is_refused_beside_a_calibration(order):
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    # Width, height, bits, no compression, black is 0, orientation, where the rows are, how many, how long.
    entries = {256: 6, 257: 4, 258: 8, 259: 1, 262: 1, 274: 3, 273: 8, 277: 1, 278: 4, 279: 24}

    def tiff(orientation):
        content = {**entries, 274: orientation}
        packed = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, content[tag]) for tag in sorted(content))
        mark = b"II*\0" if order == "<" else b"MM\0*"
        head = mark + struct.pack(f"{order}I", 8 + pixels.size) + pixels.tobytes()
        return head + struct.pack(f"{order}H", len(content)) + packed + bytes(4)

    np.testing.assert_array_equal(decode_image(tiff(1), "x", upright=False)[..., 0], pixels)
    assert decode_image(tiff(3), "x").shape == (4, 6, 3)
    with pytest.raises(InvalidInputError, match="order of a calibration, got TIFF that is turned"):
        decode_image(tiff(3), "x", upright=False)
