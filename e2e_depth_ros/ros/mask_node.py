"""The executable `mask_node`. Nothing heavy is imported at the top: see `node_process`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from e2e_depth_ros.ros.node_process import run_node

if TYPE_CHECKING:  # needs rclpy
    from e2e_depth_ros.ros.masker import MaskNode


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the mask node; see `run_node`."""
    run_node("mask_node", _find_class, args)


def _find_class() -> type[MaskNode]:
    from e2e_depth_ros.ros.masker import MaskNode  # noqa: PLC0415

    return MaskNode


if __name__ == "__main__":
    main()
