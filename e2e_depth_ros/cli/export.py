"""`e2e-depth export`: a checkpoint as graphs that run without torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_depth_ros.cli.model_arguments import MODEL_HELP, add_task_argument, size_named
from e2e_depth_ros.core.errors import InvalidInputError, MissingDependencyError, first_line
from e2e_depth_ros.model.task import Task

if TYPE_CHECKING:
    from e2e_depth_ros.model.families.registry import LoadedCheckpoint

_EXTRA = "pip install 'e2e_depth_ros[export]'"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export",
        help="write a checkpoint as graphs that run without torch",
        description="Write a checkpoint of one deterministic step as ONNX graphs. The folder is a model: "
        "give it to --model, or to the node's parameter model. Each graph is compared with torch before "
        "it is kept.",
    )
    parser.add_argument("model", help=MODEL_HELP)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="new folder; or the checkpoint's own, whose weights the graphs then share",
    )
    parser.add_argument("--revision", help="of a hub id: a branch, tag or commit")
    add_task_argument(parser)
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=[task.value for task in Task],
        help="what the graphs predict (default: all that the checkpoint does)",
    )
    parser.add_argument(
        "--size",
        default="dynamic",
        metavar="HxW",
        help="the only size that the network sees, or dynamic: any (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "float16"),
        default="float32",
        help="in which the graphs compute; float16 is for GPUs (default: %(default)s)",
    )
    parser.add_argument(
        "--vae", metavar="MODEL", help="take another autoencoder, say a tiny one; the price is printed"
    )


def run(args: argparse.Namespace) -> int:
    """Export a checkpoint, and tell how far its graphs are from torch.

    Raises:
        CheckpointError: The checkpoint is broken, or the folder can't be written.
        InvalidInputError: An argument is impossible, or a graph can't express the network.
        MissingDependencyError: What writes graphs isn't installed.
    """
    from rich.console import Console  # noqa: PLC0415

    try:
        from e2e_depth_ros.model.export.folder import export, is_own_folder  # noqa: PLC0415 - onnx is an extra
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "onnx":
            raise
        raise MissingDependencyError(f"to write graphs takes onnx: {_EXTRA} ({first_line(error)})") from error
    from e2e_depth_ros.model.checkpoint.locate import find_checkpoint  # noqa: PLC0415
    from e2e_depth_ros.model.families.registry import load_checkpoint  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    size = None if args.size == "dynamic" else size_named(args.size, "say 480x640, or dynamic")
    tasks = [Task(word) for word in args.tasks] if args.tasks else None
    with Console(stderr=True).status("loading"):
        folder = find_checkpoint(args.model, revision=args.revision)
        checkpoint = load_checkpoint(folder, task=args.task)
        if args.vae is not None:
            if is_own_folder(args.output, checkpoint.facts):
                raise InvalidInputError(
                    f"expected another folder than the checkpoint's own with --vae, got {args.output}, where "
                    "another autoencoder lies"
                )
            checkpoint = _with_autoencoder(checkpoint, args.vae, console)
    with Console(stderr=True).status("writing and comparing graphs"):
        exported = export(checkpoint, args.output, tasks=tasks, precision=args.precision, size=size)
    for name, difference in exported.difference.items():
        console.print(f"{name}: at most {difference:.1e} from torch, of decoded values in -1..1")
    megabytes = sum((args.output / name).stat().st_size for name in exported.model.files) / 1e6
    console.print(f"{args.output}: {megabytes:.1f} MB; --model {args.output} runs it", markup=False)
    return 0


def _with_autoencoder(checkpoint: LoadedCheckpoint, name: str, console: Any) -> LoadedCheckpoint:
    """Swap the autoencoder, and print how far depth moves by it."""
    from e2e_depth_ros.model.checkpoint.locate import find_checkpoint  # noqa: PLC0415
    from e2e_depth_ros.model.export.autoencoder_swap import swap_autoencoder  # noqa: PLC0415

    swapped, price = swap_autoencoder(checkpoint, find_checkpoint(name))
    moved = ", ".join(f"{task.value} {value:.3f}" for task, value in price.items())
    console.print(
        f"with the autoencoder of {name}, decoded values in -1..1 move by {moved} (mean)", markup=False
    )
    return swapped
