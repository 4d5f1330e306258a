"""The arguments that choose and load a network, shared by the subcommands that run one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2e_depth_ros.model.estimator import Estimator

MODEL_HELP = "embedded, a folder, or a hub id org/name[@revision]"


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model, --revision, --device, --dtype, --processing-resolution and --threads."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", default="embedded", help=f"{MODEL_HELP} (default: embedded)")
    group.add_argument("--revision", help="of a hub id: a branch, tag or commit")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    group.add_argument("--dtype", default="auto", help="auto, float32, float16 or bfloat16 (default: auto)")
    group.add_argument(
        "--processing-resolution",
        type=int,
        metavar="PX",
        help="longer edge that the network sees; 0 is the image's own (default: the checkpoint's)",
    )
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: as torch finds fit)")


def load_estimator(args: argparse.Namespace) -> Estimator:
    """Load the network that the arguments name.

    Raises:
        CheckpointError: It isn't there or isn't whole.
        InvalidInputError: An argument is impossible.
    """
    from e2e_depth_ros.model.estimator import Estimator  # noqa: PLC0415 - torch and diffusers take seconds

    return Estimator.load(
        args.model,
        revision=args.revision,
        device=args.device,
        dtype=args.dtype,
        processing_resolution=args.processing_resolution,
        num_threads=args.threads,
    )
