"""Reads the images of one camera, and remembers what only several of them tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray

from e2e_depth_ros.core.sixteen_bits import BITS, bits_in_use, eight_bits_from_sixteen
from e2e_depth_ros.ros.declarations.image_parameters import ImageParameters
from e2e_depth_ros.ros.messages.images import rgb_from_message
from e2e_depth_ros.ros.telling.diagnostics import make_status

_SHOWN_CHARACTERS: Final = 80  # of a format that anyone may send


class ImageReader:
    """Decodes images as the parameters say, and finds out how many of 16 bits their samples use.

    That number only grows: in the dark a camera seems to have fewer bits than it has. So it settles with the
    first frames of a lit scene, and a brighter one makes images darker by one step.

    `rgb` belongs to one thread; `status` may be asked from any.
    """

    def __init__(self) -> None:
        self._encoding = ""  # of what `_bits` was found
        self._bits = BITS[0]
        self._last: Mapping[str, object] = {}  # replaced, never changed

    def rgb(self, message: Any, parameters: ImageParameters) -> NDArray[np.uint8]:
        """Decode an image; see `images.rgb_from_message`.

        Args:
            message: Image or CompressedImage.
            parameters: Read anew for each image.

        Raises:
            RefusedMessageError: It can't be used.
        """
        found: dict[str, object] = {}

        def eight_bits(samples: NDArray[np.uint16], encoding: str) -> NDArray[np.uint8]:
            given = parameters.significant_bits
            bits = given or self._bits_found(samples, encoding)
            found["significant_bits"] = bits
            if given:
                found["needed_bits"] = bits_in_use(samples, given)
            return eight_bits_from_sixteen(samples, bits)

        rgb = rgb_from_message(message, eight_bits=eight_bits, max_pixels=parameters.max_image_pixels)
        encoding = message.format if hasattr(message, "format") else message.encoding
        size = f"{rgb.shape[1]} x {rgb.shape[0]}"
        self._last = {"encoding": repr(encoding[:_SHOWN_CHARACTERS]), "size": size, **found}
        return rgb

    def status(self, node_name: str) -> DiagnosticStatus:
        """Say what the last image was.

        Args:
            node_name: Whose status it is.
        """
        name, last = f"{node_name}: image", self._last
        if not last:
            return make_status(name, DiagnosticStatus.OK, "no image yet", {})
        level, words = DiagnosticStatus.OK, f"{last['encoding']}, {last['size']}"
        bits = last.get("significant_bits")
        needed = last.get("needed_bits", bits)
        if bits is not None:
            words += f", {bits} of 16 bits in use"
        if needed != bits:
            level = DiagnosticStatus.WARN
            words = f"samples of {needed} bits are cut to white, as significant_bits is {bits}"
        return make_status(name, level, words, last)

    def _bits_found(self, samples: NDArray[np.uint16], encoding: str) -> int:
        if encoding != self._encoding:
            self._encoding, self._bits = encoding, BITS[0]
        self._bits = bits_in_use(samples, self._bits)
        return self._bits
