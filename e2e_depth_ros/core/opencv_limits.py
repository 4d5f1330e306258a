"""How large an image OpenCV reads: it is told before it is loaded, as it looks only once."""

import os
from typing import Final

MAX_PIXELS_OPENCV_READS: Final = 200_000_000
"""Images of more pixels are refused, whoever sent them; parameters may lower it."""
MAX_SIDE_OPENCV_READS: Final = 65_535
"""Images with a longer side are refused too."""


def limit_opencv() -> None:
    """Set OpenCV's limits for the process; who has set others keeps them.

    Its own are 2^30 pixels and 2^20 a side: a few hundred bytes may claim them, and get the memory.
    """
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS_OPENCV_READS))
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_WIDTH", str(MAX_SIDE_OPENCV_READS))
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_HEIGHT", str(MAX_SIDE_OPENCV_READS))
