from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.core.framing import framing_for
from e2e_depth_ros.model.upsampling import outlines_to_follow


@pytest.mark.parametrize(
    ("resolution", "upsampling", "network_px"),
    [
        (32, "guided", 32),
        (32, "bilinear", None),
        (80, "guided", None),
        (0, "guided", None),
        (96, "guided", None),
    ],
)
def test_outlines_are_for_what_is_enlarged(resolution: int, upsampling: str, network_px: int | None) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    outlines = outlines_to_follow(image, framing_for((60, 80), resolution, 8), upsampling)
    assert (None if outlines is None else outlines.network_px) == network_px
    assert outlines is None or outlines.image is image
