"""The executable `mask_node`. Nothing heavy is imported at the top: see `node_process`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from e2e_depth_ros.ros.node_process import run_node


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the mask node; see `run_node`."""
    run_node("mask_node", _make, args)


def _make() -> Any:
    from e2e_depth_ros.ros.masker import MaskNode  # noqa: PLC0415

    return MaskNode()


if __name__ == "__main__":
    main()
