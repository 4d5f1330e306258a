"""The executable `depth_node`. Nothing heavy is imported at the top: see `node_process`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from e2e_depth_ros.ros.node_process import run_node


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the depth node; see `run_node`."""
    run_node("depth_node", _make, args)


def _make() -> Any:
    from e2e_depth_ros.ros.node import DepthNode  # noqa: PLC0415

    return DepthNode()


if __name__ == "__main__":
    main()
