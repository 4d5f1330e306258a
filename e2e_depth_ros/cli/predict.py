"""`e2e-depth predict`: depth and normals of images, as arrays and as pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_depth_ros.cli.model_arguments import add_model_arguments, load_estimator

if TYPE_CHECKING:
    from rich.console import Console

    from e2e_depth_ros.evaluation.frames import Frame
    from e2e_depth_ros.model.estimator import Estimate, Estimator

_FAILED = 2


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "predict",
        help="depth and normals of images",
        description="Predict depth of images, folders of images and frame folders. For each, "
        "DIR/<relative path without suffix>/ gets depth.npy (float32, (H, W) of the image, 0 near .. 1 far, "
        "NaN where invalid), preview.png, and with --normals normals.npy (float32, (H, W, 3), unit vectors: "
        "x right, y down, z forward).",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="image, folder, or frame folder"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the results go")
    parser.add_argument("--normals", action="store_true", help="predict normals as well")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict every image; those that can't be read are told in one line each, and the rest go on.

    Returns:
        0, or 2 if an image failed.

    Raises:
        E2EDepthError: An argument or the checkpoint is wrong, or nothing can be written.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.evaluation.frames import find_frames  # noqa: PLC0415
    from e2e_depth_ros.model.task import Task  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    frames = find_frames(args.inputs, exclude=args.output)
    estimator = load_estimator(args)
    tasks = [task for task in (Task.DEPTH, Task.NORMALS) if task in estimator.tasks]
    if args.normals and Task.NORMALS not in tasks:
        raise InvalidInputError(f"expected a checkpoint with normals, but {estimator.facts.name} has none")
    if not args.normals and Task.DEPTH in tasks:
        tasks = [Task.DEPTH]
    failed = 0
    for frame in track(frames, description="predict", console=console):
        try:
            _predict(frame, estimator, tasks, args.output / frame.name, console)
        except InvalidInputError as error:  # noqa: PERF203 - one bad image must not stop the rest
            failed += 1
            console.print(f"e2e-depth predict: {error}", markup=False)
    done = len(frames) - failed
    console.print(f"{done} of {len(frames)} images predicted, in {args.output}", markup=False)
    return _FAILED if failed else 0


def _predict(frame: Frame, estimator: Estimator, tasks: list[Any], folder: Path, console: Console) -> None:
    rgb = frame.read_image()
    estimate = estimator.estimate(rgb, tasks=tasks)
    if estimate.non_finite:
        message = f"e2e-depth predict: {estimate.non_finite} pixels of {frame.image_path} came out as NaN"
        console.print(message, markup=False)
    _write(folder, rgb, estimate)


def _write(folder: Path, rgb: Any, estimate: Estimate) -> None:
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from e2e_depth_ros.core.colours import colours_from_depth, colours_from_normals  # noqa: PLC0415
    from e2e_depth_ros.core.errors import E2EDepthError  # noqa: PLC0415
    from e2e_depth_ros.core.maps import farness_from_relative  # noqa: PLC0415

    tiles = [rgb]
    arrays = {}
    if estimate.depth is not None:
        arrays["depth.npy"] = farness_from_relative(estimate.depth)
        tiles.append(colours_from_depth(farness_from_relative(estimate.depth, stretch=True), 0.0, 1.0))
    if estimate.normals is not None:
        arrays["normals.npy"] = estimate.normals.values
        tiles.append(colours_from_normals(estimate.normals.values))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            np.save(folder / name, array)
        done, encoded = cv2.imencode(".png", cv2.cvtColor(np.hstack(tiles), cv2.COLOR_RGB2BGR))
        if done:
            (folder / "preview.png").write_bytes(encoded.tobytes())
    except OSError as error:
        raise E2EDepthError(f"cannot write to {folder}: {error.strerror}") from error
