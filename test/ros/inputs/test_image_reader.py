import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.declarations.image_parameters import ImageParameters
from e2e_depth_ros.ros.inputs.image_reader import ImageReader
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

AUTO = ImageParameters()


def ramp(largest, channels=1):
    values = np.linspace(0, largest, 24 * 40).reshape(24, 40).astype(np.uint16)
    return values if channels == 1 else np.repeat(values[..., None], channels, axis=2)


def message(values, encoding):
    return message_from_array(values, encoding, Header())


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    ("encoding", "channels"),
    [("mono16", 1), ("bayer_rggb16", 1), ("rgb16", 3), ("bgr16", 3), ("rgba16", 4), ("16UC3", 3)],
)
def test_the_bits_in_use_fill_the_range(encoding, channels, bits):
    reader = ImageReader()
    rgb = reader.rgb(message(ramp((1 << bits) - 1, channels), encoding), AUTO)
    assert rgb[0, 0].max() <= 12  # a mosaic's corner takes from its neighbours
    assert rgb[-1, -1].min() >= 243
    status = reader.status("depth")
    assert status.message == f"'{encoding}', 40 x 24, {bits} of 16 bits in use"
    assert status.level == DiagnosticStatus.OK


def test_a_png_of_sixteen_bits_is_scaled_alike():
    reader = ImageReader()
    data = cv2.imencode(".png", ramp(4095))[1].tobytes()
    rgb = reader.rgb(CompressedImage(format="mono16; png compressed ", data=data), AUTO)
    assert (rgb.min(), rgb.max()) == (0, 255)
    assert "12 of 16 bits" in reader.status("depth").message


def test_bits_grow_with_the_light_and_stay():
    reader = ImageReader()
    brightest = [
        int(reader.rgb(message(ramp(largest), "mono16"), AUTO).max())
        for largest in (60, 3000, 4095, 2048, 60)
    ]
    assert brightest == [60, round(255 * 3000 / 4095), 255, 128, 4]


def test_another_encoding_begins_anew():
    reader = ImageReader()
    reader.rgb(message(ramp(60000), "mono16"), AUTO)
    assert reader.rgb(message(ramp(4095, 3), "rgb16"), AUTO).max() == 255


def test_given_bits_are_kept_and_what_they_cut_is_told():
    reader = ImageReader()
    twelve = ImageParameters(significant_bits=12)
    assert reader.rgb(message(ramp(300), "mono16"), twelve).max() == round(255 * 300 / 4095)
    assert reader.status("depth").level == DiagnosticStatus.OK
    assert reader.rgb(message(ramp(20000), "mono16"), twelve).max() == 255
    status = reader.status("depth")
    assert status.level == DiagnosticStatus.WARN
    assert "significant_bits is 12" in status.message


def test_images_of_eight_bits_say_no_bits():
    reader = ImageReader()
    assert reader.status("depth").message == "no image yet"
    reader.rgb(message(np.zeros((4, 6), np.uint8), "mono8"), AUTO)
    status = reader.status("depth")
    assert (status.name, status.message) == ("depth: image", "'mono8', 6 x 4")


def test_a_long_format_is_cut():
    reader = ImageReader()
    data = cv2.imencode(".png", ramp(4095))[1].tobytes()
    reader.rgb(CompressedImage(format="x\n" * 100_000, data=data), AUTO)
    told = reader.status("depth")
    assert len(told.message) < 300
    assert "\n" not in told.message


def test_a_limit_on_pixels_is_live():
    reader = ImageReader()
    image = message(np.zeros((4, 6), np.uint8), "mono8")
    reader.rgb(image, ImageParameters(max_image_pixels=24))
    with pytest.raises(RefusedMessageError, match="max_image_pixels = 23 pixels, got height 4 and width 6"):
        reader.rgb(image, ImageParameters(max_image_pixels=23))


@pytest.mark.parametrize(
    "values", [{"significant_bits": 17}, {"significant_bits": -1}, {"max_image_pixels": 0}]
)
def test_bad_parameters_are_refused(values):
    with pytest.raises(InvalidInputError, match=next(iter(values))):
        ImageParameters(**values)
