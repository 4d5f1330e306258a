"""`e2e-depth checkpoint`: what a checkpoint is, and whether it is whole."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_depth_ros.cli.model_arguments import MODEL_HELP

if TYPE_CHECKING:
    from e2e_depth_ros.model.checkpoint import CheckpointFacts


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "checkpoint", help="what a checkpoint is, and whether it is whole"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    inspect = actions.add_parser(
        "inspect", help="print what its configs say; weights stay unread but for their hash"
    )
    verify = actions.add_parser("verify", help="load it and check every tensor")
    verify.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="JSON that inspect or verify printed (--json) when all was well: every file must have its hash",
    )
    for action in (inspect, verify):
        action.add_argument("model", help=MODEL_HELP)
        action.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Inspect or verify.

    Returns:
        0; a checkpoint that is not whole raises.

    Raises:
        CheckpointError: Names the file or tensor that is wrong.
    """
    from e2e_depth_ros.model.checkpoint import find_checkpoint, load_checkpoint, read_facts  # noqa: PLC0415

    facts = read_facts(find_checkpoint(args.model))
    summary = describe(facts)
    if args.action == "verify":
        from e2e_depth_ros.model.integrity import verify_against_hub, verify_against_record  # noqa: PLC0415

        if args.against is not None:
            verify_against_record(summary["sha256"], _recorded(args.against))
            summary["files"] = f"{len(summary['sha256'])} files: as recorded in {args.against}"
        from_hub = verify_against_hub(facts.files)
        if from_hub:
            summary["hub"] = f"{from_hub} files: as the hub has them"
        if facts.folder is not None:
            tensors = load_checkpoint(facts.folder).model.state_dict()
            summary["verified"] = f"{len(tensors)} tensors: all present, of the right shape, finite"
    if args.json:
        json.dump(summary, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print_table(summary)
    return 0


def describe(facts: CheckpointFacts) -> dict[str, Any]:
    """Gather what a checkpoint is as a JSON object; its files are read for their hashes."""
    import torch  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    console = Console(stderr=True)

    def hashing(files: tuple[Path, ...]) -> Iterable[Path]:
        return track(files, "hashes", console=console, transient=True, disable=not console.is_terminal)

    parameters = dict(facts.parameters)
    dtypes = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")}
    return {
        "name": facts.name,
        "folder": str(facts.folder),
        "family": facts.family.value,
        "tasks": sorted(task.value for task in facts.tasks),
        "depth": facts.depth_kind.value,
        "normals axes": " ".join(facts.normals_axes),
        "steps": facts.steps,
        "processing resolution": facts.processing_resolution,
        "UNet input channels": facts.in_channels,
        "latent channels": facts.latent_channels,
        "down factor": facts.down_factor,
        "prediction type": facts.prediction_type,
        "parameters": {**parameters, "total": sum(parameters.values())},
        "weights MB": {name: round(facts.memory_bytes(dtype) / 1e6, 1) for name, dtype in dtypes.items()},
        "file MB": {
            path.relative_to(facts.folder).as_posix(): round(path.stat().st_size / 1e6, 3)
            for path in facts.files
            if facts.folder
        },
        "sha256": facts.sha256(hashing),
    }


def _recorded(path: Path) -> dict[str, str]:
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.model.weights import read_json  # noqa: PLC0415

    hashes = read_json(path).get("sha256")
    if not isinstance(hashes, dict) or not hashes:
        raise InvalidInputError(f"{path}: expected JSON with sha256 of each file, as inspect --json prints")
    return hashes


def _print_table(summary: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(show_header=False)
    for key, value in summary.items():
        if isinstance(value, dict):
            text = "\n".join(f"{name}: {_number(entry)}" for name, entry in value.items())
        else:
            text = ", ".join(value) if isinstance(value, list) else str(value)
        table.add_row(key, text)
    Console().print(table, soft_wrap=True)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
