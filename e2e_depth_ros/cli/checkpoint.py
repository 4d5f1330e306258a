"""`e2e-depth checkpoint`: what a checkpoint is, whether it is whole, and another layout of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_depth_ros.cli.model_arguments import MODEL_HELP, add_task_argument
from e2e_depth_ros.model.task import TASK_WORDS

if TYPE_CHECKING:
    from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
    from e2e_depth_ros.model.engine.exported import ExportedModel
    from e2e_depth_ros.model.instruct.facts import InstructFacts


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "checkpoint", help="what a checkpoint is, whether it is whole; convert a single file"
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
        add_task_argument(action)
        action.add_argument("--json", action="store_true", help="print JSON instead of a table")
    _add_join_parser(actions)
    _add_convert_parser(actions)


def _add_join_parser(actions: Any) -> None:
    join: argparse.ArgumentParser = actions.add_parser(
        "join",
        help="write a UNet that is published alone (GenPercept) with the parts that it needs",
        description="Write a checkpoint of GenPercept's UNet and of Stable Diffusion 2.1's other parts, from "
        "which it was trained.",
    )
    join.add_argument(
        "unet", type=Path, metavar="UNET", help="folder with its weights, such as unet_depth_v2"
    )
    join.add_argument("base", metavar="BASE", help="Stable Diffusion 2.1: a folder, or a hub id")
    join.add_argument("folder", type=Path, metavar="OUT", help="new or empty folder to write to")
    join.add_argument("--task", choices=TASK_WORDS[1:], required=True, help="what the UNet predicts")


def _add_convert_parser(actions: Any) -> None:
    convert: argparse.ArgumentParser = actions.add_parser(
        "convert",
        help="write InstructDiffusion's single file in diffusers' layout",
        description="Write a checkpoint of InstructDiffusion, a single file in Stable Diffusion's original "
        "layout, as a folder in diffusers' layout. Of a .ckpt only tensors are read, never code.",
    )
    convert.add_argument("source", type=Path, metavar="SRC", help=".ckpt or .safetensors")
    convert.add_argument("folder", type=Path, metavar="OUT", help="new or empty folder to write to")
    convert.add_argument(
        "--tokenizer",
        metavar="T",
        help="folder with vocab.json and merges.txt, or a hub id, for SRC has no tokenizer (default: CLIP's, "
        "from the hub)",
    )
    convert.add_argument(
        "--dtype", choices=("float32", "float16"), help="of the weights in the files (default: as in SRC)"
    )
    convert.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Inspect, verify, join or convert.

    Returns:
        0; a checkpoint that is not whole raises.

    Raises:
        CheckpointError: Names the file or tensor that is wrong.
    """
    if args.action == "convert":
        _print(convert(args), as_json=args.json)
        return 0
    exported = None if args.action == "join" else _exported(args.model)
    if exported is not None and args.action == "verify":
        exported.check_files()
    if exported is not None and not exported.has_weights:
        _print(_summary_of_graphs(args, exported), as_json=args.json)
        return 0
    from e2e_depth_ros.model.checkpoint.layout import paints_by_instruction  # noqa: PLC0415
    from e2e_depth_ros.model.checkpoint.locate import find_checkpoint  # noqa: PLC0415

    if args.action == "join":
        from e2e_depth_ros.model.families.joining import join  # noqa: PLC0415

        sys.stdout.write(f"{join(args.unet, find_checkpoint(args.base), args.folder, args.task)}\n")
        return 0
    from e2e_depth_ros.model.families.registry import read_facts  # noqa: PLC0415
    from e2e_depth_ros.model.instruct.facts import read_instruct_facts  # noqa: PLC0415

    folder = find_checkpoint(args.model)
    facts: CheckpointFacts | InstructFacts
    if paints_by_instruction(folder):
        facts = read_instruct_facts(folder)
        summary = describe_instructed(facts)
    else:
        facts = read_facts(folder, task=args.task)
        summary = describe(facts)
    if args.action == "verify":
        from e2e_depth_ros.model.checkpoint.integrity import verify_against_hub  # noqa: PLC0415

        _verify_against(args.against, summary)
        from_hub = verify_against_hub(facts.files)
        if from_hub:
            summary["hub"] = f"{from_hub} files: as the hub has them"
        summary["verified"] = f"{_load(facts, args.task)} tensors: all present, of the right shape, finite"
    _print(summary, as_json=args.json)
    return 0


def _exported(model: str) -> ExportedModel | None:
    from e2e_depth_ros.model.engine.exported import find_exported  # noqa: PLC0415

    return find_exported(model)


def _summary_of_graphs(args: argparse.Namespace, exported: ExportedModel) -> dict[str, Any]:
    """Gather what graphs without a checkpoint are; for verify, their files were found whole."""
    facts, size = exported.facts, exported.size
    summary = {
        "name": facts.name,
        "folder": str(exported.folder),
        "family": "graphs for ONNX Runtime and OpenVINO",
        "tasks": sorted(task.value for task in facts.tasks),
        "depth": facts.depth_kind.value,
        "precision": exported.precision,
        "size": "any" if size is None else f"{size[0]}x{size[1]}",
        "processing resolution": facts.processing_resolution,
        "upsampling": facts.upsampling,
        "down factor": facts.down_factor,
        "sha256": dict(exported.files),
    }
    if args.action == "verify":
        _verify_against(args.against, summary)
        summary["verified"] = f"{len(exported.files)} files: all present, as they were exported"
    return summary


def _verify_against(record: Path | None, summary: dict[str, Any]) -> None:
    from e2e_depth_ros.model.checkpoint.integrity import verify_against_record  # noqa: PLC0415

    if record is not None:
        verify_against_record(summary["sha256"], _recorded(record))
        summary["files"] = f"{len(summary['sha256'])} files: as recorded in {record}"


def convert(args: argparse.Namespace) -> dict[str, Any]:
    """Convert a single file, and account for its tensors as a JSON object."""
    import torch  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from e2e_depth_ros.model.instruct.conversion import convert_checkpoint  # noqa: PLC0415
    from e2e_depth_ros.model.instruct.tokenizer import CLIP_TOKENIZER  # noqa: PLC0415

    tokenizer = args.tokenizer or CLIP_TOKENIZER
    dtype = getattr(torch, args.dtype) if args.dtype else None
    with Console(stderr=True).status(f"converting {args.source.name}"):
        done = convert_checkpoint(args.source, args.folder, tokenizer=tokenizer, dtype=dtype)
    return {
        "folder": str(done.folder),
        "tensors written": done.written,
        "of these moving averages": done.from_ema,
        "unused": list(done.unused),
    }


def describe(facts: CheckpointFacts) -> dict[str, Any]:
    """Gather what a checkpoint is as a JSON object; its files are read for their hashes."""
    return {
        "name": facts.name,
        "folder": str(facts.folder),
        "family": facts.family.title,
        "tasks": sorted(task.value for task in facts.tasks),
        "depth": facts.depth_kind.value,
        "normals axes": " ".join(facts.normals_axes),
        "steps": facts.steps,
        "processing resolution": facts.processing_resolution,
        "upsampling": facts.upsampling,
        "UNet input channels": facts.in_channels,
        "latent channels": facts.latent_channels,
        "down factor": facts.down_factor,
        "prediction type": facts.prediction_type,
        **_sizes(facts),
    }


def describe_instructed(facts: InstructFacts) -> dict[str, Any]:
    """Gather what a checkpoint that paints by instruction is; see `describe`."""
    from e2e_depth_ros.model.checkpoint.layout import INSTRUCTED_IMAGE  # noqa: PLC0415
    from e2e_depth_ros.model.instruct.facts import FAMILY  # noqa: PLC0415

    return {
        "name": facts.name,
        "folder": str(facts.folder),
        "family": FAMILY,
        "tasks": [INSTRUCTED_IMAGE],
        "steps": facts.steps,
        "processing resolution": facts.processing_resolution,
        "UNet input channels": facts.unet_config["in_channels"],
        "latent channels": facts.vae_config["latent_channels"],
        "prediction type": facts.scheduler_config["prediction_type"],
        **_sizes(facts),
    }


def _load(facts: CheckpointFacts | InstructFacts, task: str) -> int:
    """Load a checkpoint and so check every tensor; return how many there are."""
    from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts  # noqa: PLC0415
    from e2e_depth_ros.model.families.registry import load_checkpoint  # noqa: PLC0415
    from e2e_depth_ros.model.instruct.painter import Painter  # noqa: PLC0415

    if isinstance(facts, CheckpointFacts):
        return len(load_checkpoint(facts.folder, task=task).model.state_dict()) if facts.folder else 0
    painter = Painter.load(facts.folder, device="cpu", dtype="float32")
    return len(painter.network.state_dict()) + painter.text_encoder.tensors


def _sizes(facts: CheckpointFacts | InstructFacts) -> dict[str, Any]:
    import torch  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    console = Console(stderr=True)

    def hashing(files: tuple[Path, ...]) -> Iterable[Path]:
        return track(files, "hashes", console=console, transient=True, disable=not console.is_terminal)

    parameters = dict(facts.parameters)
    dtypes = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")}
    return {
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
    from e2e_depth_ros.model.checkpoint.configs import read_json  # noqa: PLC0415

    hashes = read_json(path).get("sha256")
    if not isinstance(hashes, dict) or not hashes:
        raise InvalidInputError(f"{path}: expected JSON with sha256 of each file, as inspect --json prints")
    return hashes


def _print(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        json.dump(summary, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print_table(summary)


def _print_table(summary: dict[str, Any]) -> None:
    """Print a line for each entry, however long: a hash that is cut or broken up can't be compared."""
    width = max(map(len, summary))
    for key, value in summary.items():
        if isinstance(value, dict):
            lines = [f"{name}: {_number(entry)}" for name, entry in value.items()]
        else:
            lines = [", ".join(value) if isinstance(value, list) else str(value)]
        for name, line in zip([key, *[""] * len(lines)], lines, strict=False):
            sys.stdout.write(f"{name:{width}}  {line}\n")


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
