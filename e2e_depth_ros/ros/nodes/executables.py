"""The executables `depth_node` and `mask_node`.

Nothing heavy is imported at the top: see `node_process`. Without an installation:

    python -m e2e_depth_ros.ros.nodes.executables depth_node --ros-args ...
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from e2e_depth_ros.ros.nodes.node_process import run_node

if TYPE_CHECKING:  # they need rclpy
    from e2e_depth_ros.ros.nodes.depth_node import DepthNode
    from e2e_depth_ros.ros.nodes.mask_node import MaskNode


def depth_node(args: Sequence[str] | None = None) -> NoReturn:
    """Run the depth node; see `run_node`."""
    run_node("depth_node", _depth_node, args)


def mask_node(args: Sequence[str] | None = None) -> NoReturn:
    """Run the mask node; see `run_node`."""
    run_node("mask_node", _mask_node, args)


def _depth_node() -> type[DepthNode]:
    from e2e_depth_ros.ros.nodes.depth_node import DepthNode  # noqa: PLC0415

    return DepthNode


def _mask_node() -> type[MaskNode]:
    from e2e_depth_ros.ros.nodes.mask_node import MaskNode  # noqa: PLC0415

    return MaskNode


if __name__ == "__main__":
    executable = {"depth_node": depth_node, "mask_node": mask_node}.get("".join(sys.argv[1:2]))
    if executable is None:
        sys.stderr.write(f"expected depth_node or mask_node, got {' '.join(sys.argv[1:]) or 'nothing'}\n")
        sys.exit(2)
    del sys.argv[1]
    executable()
