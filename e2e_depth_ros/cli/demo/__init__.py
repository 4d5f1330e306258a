"""`e2e-depth demo`: node, camera and receiver in three processes, on real frames."""

from e2e_depth_ros.cli.demo.command import add_parser, run

__all__ = ["add_parser", "run"]
