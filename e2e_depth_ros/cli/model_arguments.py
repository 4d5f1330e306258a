"""The arguments that choose and load a network, shared by the subcommands that run one."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.engine.engine import ENGINES, FASTEST
from e2e_depth_ros.model.limits import DEFAULT_BATCH_MEMORY_MB
from e2e_depth_ros.model.sampling import DOMAINS, SPACINGS, Sampling
from e2e_depth_ros.model.task import AUTO, TASK_WORDS
from e2e_depth_ros.model.upsampling import DEFAULT_UPSAMPLING, UPSAMPLINGS

if TYPE_CHECKING:
    from e2e_depth_ros.model.estimator import Estimator

DEFAULT_MODEL = "embedded"
MODEL_HELP = "embedded, a folder, or a hub id org/name[@revision]"


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what chooses the network (--model, --device, ...) and how it samples (--steps, --ensemble, ...)."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", default=DEFAULT_MODEL, help=f"{MODEL_HELP} (default: {DEFAULT_MODEL})")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default=FASTEST,
        help="what runs the network: torch, or for exported models and the embedded one onnx (ONNX Runtime) "
        "and openvino; auto takes the fastest that gives the same result (default: %(default)s)",
    )
    group.add_argument(
        "--compile",
        action="store_true",
        help="compile the network by torch.compile: faster on a GPU, but the first frame takes minutes",
    )
    group.add_argument("--revision", help="of a hub id: a branch, tag or commit")
    add_task_argument(group)
    group.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:N; with engine onnx also tensorrt (default: auto)",
    )
    group.add_argument("--dtype", default="auto", help="auto, float32, float16 or bfloat16 (default: auto)")
    group.add_argument(
        "--processing-resolution",
        type=int,
        metavar="PX",
        help="longer edge that the network sees; 0 is the image's own (default: the checkpoint's)",
    )
    group.add_argument(
        "--upsampling",
        choices=UPSAMPLINGS,
        default=DEFAULT_UPSAMPLING,
        help="how depth comes from that size to the image's: bilinear, guided (it jumps where the image "
        "does) or auto, as the checkpoint says (default: %(default)s)",
    )
    group.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads (default: all cores; with engine torch one less)",
    )
    sampling = parser.add_argument_group("sampling", "for models that start from noise (Marigold, GeoWizard)")
    sampling.add_argument(
        "--steps", type=int, metavar="N", help="denoising steps (default: the checkpoint's own number)"
    )
    sampling.add_argument(
        "--spacing",
        choices=SPACINGS,
        default=Sampling.spacing,
        help="how the steps are chosen (default: %(default)s, right with few steps)",
    )
    sampling.add_argument(
        "--ensemble",
        type=int,
        metavar="N",
        default=Sampling.ensemble_size,
        help="predictions per image that become one (default: %(default)s)",
    )
    sampling.add_argument(
        "--noise-seed",
        type=int,
        metavar="N",
        default=Sampling.seed,
        help="of the noise, the same for each image; -1 draws other noise each time (default: %(default)s)",
    )
    sampling.add_argument(
        "--carry",
        type=float,
        metavar="SHARE",
        default=Sampling.carry,
        help="of the last image's result in what the next starts from, for videos; 0.1 is usual "
        "(default: %(default)s)",
    )
    sampling.add_argument(
        "--domain",
        choices=DOMAINS,
        help="kind of scene, for models that want to be told (GeoWizard; default: "
        f"{Sampling.domain}, or as a published protocol says)",
    )
    sampling.add_argument(
        "--batch-memory",
        type=int,
        metavar="MB",
        default=DEFAULT_BATCH_MEMORY_MB,
        help="that one pass may take besides the weights, about (default: %(default)s)",
    )


def model_options() -> Sequence[str]:
    """Name all that `add_model_arguments` adds, as the parsed arguments have it."""
    parser = argparse.ArgumentParser(add_help=False)
    add_model_arguments(parser)
    return tuple(vars(parser.parse_args([])))


def options_given(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Tell which options the user gave, as they are written: those whose value isn't the default.

    Args:
        args: With the parser that made them as `parser`.
        names: Of the options to ask for, as the parsed arguments have them.
    """
    return [
        f"--{name.replace('_', '-')}"
        for name in names
        if getattr(args, name) != args.parser.get_default(name)
    ]


def add_task_argument(parser: argparse._ActionsContainer) -> None:
    """Add what says what a checkpoint predicts (--task)."""
    parser.add_argument(
        "--task",
        choices=TASK_WORDS,
        default=AUTO,
        help="what the checkpoint predicts, where its configs don't say (default: as they or its name say)",
    )


def size_named(text: str, example: str) -> tuple[int, int]:
    """Read a size (H, W) from "HxW", as --size has it.

    Args:
        text: What the user wrote.
        example: What else is expected, for the error.

    Raises:
        InvalidInputError: It is no size.
    """
    height, _, width = text.lower().partition("x")
    if not (text.isascii() and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise InvalidInputError(f"expected --size as HxW, {example}, got {text!r}")
    return int(height), int(width)


def load_estimator(args: argparse.Namespace) -> Estimator:
    """Load the network that the arguments name.

    Raises:
        CheckpointError: It isn't there or isn't whole.
        InvalidInputError: An argument is impossible.
    """
    from e2e_depth_ros.model.estimator import Estimator  # noqa: PLC0415 - heavy imports wait

    return Estimator.load(
        args.model,
        engine=args.engine,
        revision=args.revision,
        task=args.task,
        device=args.device,
        dtype=args.dtype,
        processing_resolution=args.processing_resolution,
        upsampling=args.upsampling,
        num_threads=args.threads,
        sampling=Sampling(
            steps=args.steps,
            spacing=args.spacing,
            ensemble_size=args.ensemble,
            seed=None if args.noise_seed == -1 else args.noise_seed,
            carry=args.carry,
            domain=args.domain or Sampling.domain,
        ),
        batch_memory_mb=args.batch_memory,
        compiled=args.compile,
    )
