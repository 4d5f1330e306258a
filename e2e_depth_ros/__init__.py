"""One RGB camera becomes a depth sensor: metric depth, normals and point clouds for ROS 2."""

import os

__version__ = "0.1.0"

MAX_PIXELS_OPENCV_READS = 200_000_000
"""Images of more pixels are refused, whoever sent them; parameters may lower it."""
MAX_SIDE_OPENCV_READS = 65_535
"""Images with a longer side are refused too."""

# OpenCV reads its limits once, when it is loaded: this runs before any module of the package loads it. Its
# own are 2^30 pixels and 2^20 a side: a few hundred bytes may claim them, and get the memory. Who has set
# others keeps them.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS_OPENCV_READS))
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_WIDTH", str(MAX_SIDE_OPENCV_READS))
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_HEIGHT", str(MAX_SIDE_OPENCV_READS))
