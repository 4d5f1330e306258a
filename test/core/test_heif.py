import io
import struct
import sys

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import decode_image, encoded_image, read_image

pillow_heif = pytest.importorskip("pillow_heif")
pytest.importorskip("PIL.AvifImagePlugin")
Image = pytest.importorskip("PIL.Image")
pillow_heif.register_heif_opener()

FORMATS = ["HEIC", "AVIF"]
_ORIENTATION = 0x112  # in Exif
_QUARTERS = {1: 0, 3: 2, 6: 3, 8: 1}  # anticlockwise, by orientation


def picture(height=64, width=128):  # multiples of 64: else HEIC pads and crops
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([3 * rows, columns, rows + columns]).astype(np.uint8)


def encoded(kind, orientation=1, rgb=None):
    image = Image.fromarray(picture() if rgb is None else rgb)
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    image.info["exif"] = exif.tobytes()
    content = io.BytesIO()
    image.save(content, "HEIF" if kind == "HEIC" else kind, quality=95, exif=exif.tobytes())
    return content.getvalue()


def with_size(data, height, width):
    """The same file, claiming another size."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_photo_is_read_as_it_was_written(tmp_path, kind):
    path = tmp_path / f"photo.{kind.lower()}"
    path.write_bytes(encoded(kind))
    image = encoded_image(path.read_bytes())
    assert (image.format, image.size) == (kind, (64, 128))
    off = np.abs(read_image(path).astype(int) - picture())
    assert off.shape == (64, 128, 3)
    assert np.median(off) <= 2  # of 255, at this quality


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_turned_upright(kind, orientation):
    rgb = decode_image(encoded(kind, orientation), "x")
    expected = np.rot90(picture(), _QUARTERS[orientation])
    assert rgb.shape == expected.shape
    assert np.median(np.abs(rgb.astype(int) - expected)) <= 2


@pytest.mark.parametrize("kind", FORMATS)
def test_beside_a_calibration_none_is_turned(kind):
    """It describes the rows as they are stored, and these decoders give them as they are shown."""
    assert decode_image(encoded(kind), "x", upright=False).shape == (64, 128, 3)
    for orientation in (3, 5, 6):
        with pytest.raises(InvalidInputError, match=f"order of a calibration, got {kind} that is turned"):
            decode_image(encoded(kind, orientation), "x", upright=False)


@pytest.mark.parametrize("kind", FORMATS)
def test_transparency_and_grey_become_three_channels(kind):
    with_alpha = np.dstack([picture(), np.full((64, 128), 255, np.uint8)])
    assert decode_image(encoded(kind, rgb=with_alpha), "x").shape == (64, 128, 3)
    grey = decode_image(encoded(kind, rgb=picture()[..., 0]), "x")
    assert np.abs(grey.astype(int) - picture()[..., :1]).mean() < 2


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(60_000, 60_000), (14_200, 14_200), (64, 70_000)])
def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch, kind, size):
    def decode(*_):
        pytest.fail("was decoded")

    monkeypatch.setattr("e2e_depth_ros.core.image_files.decode_heif", decode)
    with pytest.raises(InvalidInputError, match="cannot read bomb"):
        decode_image(with_size(encoded(kind), *size), "bomb")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_file_is_refused(kind):
    data = encoded(kind)
    for cut in [*range(20, len(data) - 1, 41), len(data) - 1]:
        with pytest.raises(InvalidInputError, match="cannot read x"):
            decode_image(data[:cut], "x")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_corrupt_file_is_refused_or_read(kind):
    data, random = encoded(kind), np.random.default_rng(1)
    begin = data.index(b"meta")
    for _ in range(60):
        broken = bytearray(data)
        broken[random.integers(begin, len(data))] = random.integers(256)
        try:
            assert decode_image(bytes(broken), "x").ndim == 3
        except InvalidInputError as error:
            assert "cannot read x" in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("kind", "module", "advice"),
    [("HEIC", "pillow_heif", "pip install pillow-heif"), ("AVIF", "PIL.AvifImagePlugin", "pillow>=11.3")],
)
def test_what_to_install_is_told_in_one_line(monkeypatch, kind, module, advice):
    data = encoded(kind)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidInputError, match=advice) as told:
        decode_image(data, "x")
    assert "\n" not in str(told.value)
