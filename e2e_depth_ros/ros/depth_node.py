"""The executable `depth_node`. Nothing heavy is imported at the top: see `node_process`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from e2e_depth_ros.ros.node_process import run_node

if TYPE_CHECKING:  # needs rclpy
    from e2e_depth_ros.ros.node import DepthNode


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the depth node; see `run_node`."""
    run_node("depth_node", _find_class, args)


def _find_class() -> type[DepthNode]:
    from e2e_depth_ros.ros.node import DepthNode  # noqa: PLC0415

    return DepthNode


if __name__ == "__main__":
    main()
