"""One RGB camera becomes a depth sensor: metric depth, normals and point clouds for ROS 2."""

__version__ = "0.1.0"
