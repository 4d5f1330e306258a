"""`e2e-depth predict`: depth and normals of images, as arrays and as pictures."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_depth_ros.cli.model_arguments import add_model_arguments, load_estimator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from e2e_depth_ros.alignment import Alignment
    from e2e_depth_ros.alignment.samples import Samples
    from e2e_depth_ros.cli.pictures import Rgb
    from e2e_depth_ros.evaluation.frames import Frame
    from e2e_depth_ros.model.estimator import Estimate, Estimator

_FAILED = 2
_PRODUCTS = (
    "depth.npy",
    "std.npy",
    "normals.npy",
    "depth_uncertainty.npy",
    "normals_uncertainty.npy",
    "alignment.json",
    "preview.png",
)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "predict",
        help="depth and normals of images",
        description="Predict depth of images, folders of images and frame folders. For each, "
        "DIR/<relative path without suffix>/ gets depth.npy (float32, (H, W) of the image, 0 near .. 1 far, "
        "NaN where invalid), preview.png, and with --normals normals.npy (float32, (H, W, 3), unit vectors: "
        "x right, y down, z forward). With --align depth.npy holds metres along the optical axis, std.npy "
        "its standard deviation in metres, and alignment.json tells how far to trust both. With --ensemble "
        "depth_uncertainty.npy (in units of the relative depth) and normals_uncertainty.npy (0..1) tell how "
        "far its members are from each other.",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="image, folder, or frame folder"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the results go")
    parser.add_argument("--normals", action="store_true", help="predict normals as well")
    parser.add_argument(
        "--align",
        action="store_true",
        help="metric depth of frame folders, from their points.npz (with camera_info.yaml) or else depth.npz",
    )
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict every image; those that fail are told in one line each, and the rest go on.

    Returns:
        0, or 2 if an image could not be read or, with --align, got no metric depth.

    Raises:
        E2EDepthError: An argument or the checkpoint is wrong, or nothing can be written.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.core.errors import InvalidInputError, one_line  # noqa: PLC0415
    from e2e_depth_ros.core.image_size import check_image_size  # noqa: PLC0415
    from e2e_depth_ros.evaluation.frames import find_frames  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    frames = find_frames(args.inputs, exclude=args.output)
    estimator: Estimator | None = None
    tasks: list[Any] = []
    failed = 0

    def tell(error: InvalidInputError) -> None:  # one bad image must not stop the rest
        nonlocal failed
        failed += 1
        console.print(f"e2e-depth predict: {one_line(str(error))}", markup=False)

    for frame in track(frames, description="predict", console=console):
        try:
            rgb = frame.read_image()
            check_image_size(rgb.shape, frame.image_path)
        except InvalidInputError as error:
            tell(error)
            continue
        if estimator is None:  # only once there is an image to look at: to load takes seconds
            estimator = load_estimator(args)
            tasks = _tasks(args, estimator)
        try:
            _predict(frame, rgb, estimator, tasks, args.output / frame.name, console, is_metric=args.align)
        except InvalidInputError as error:
            tell(error)
    done = len(frames) - failed
    console.print(f"{done} of {len(frames)} images predicted, in {args.output}", markup=False)
    return _FAILED if failed else 0


def _tasks(args: argparse.Namespace, estimator: Estimator) -> list[Any]:
    """What to predict: depth where the checkpoint has it, and normals where asked for or alone."""
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.model.task import Task  # noqa: PLC0415

    for task, is_wanted in ((Task.NORMALS, args.normals), (Task.DEPTH, args.align)):
        if is_wanted and task not in estimator.tasks:
            raise InvalidInputError(
                f"expected a checkpoint with {task.value}, but {estimator.facts.name} has none"
            )
    if args.normals or Task.DEPTH not in estimator.tasks:
        return [task for task in (Task.DEPTH, Task.NORMALS) if task in estimator.tasks]
    return [Task.DEPTH]


def _predict(
    frame: Frame,
    rgb: Rgb,
    estimator: Estimator,
    tasks: list[Any],
    folder: Path,
    console: Console,
    *,
    is_metric: bool,
) -> None:
    from e2e_depth_ros.alignment import AlignmentState  # noqa: PLC0415
    from e2e_depth_ros.cli.predict_alignment import align_to_samples, read_samples, summary  # noqa: PLC0415
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

    height, width = rgb.shape[:2]
    samples = read_samples(frame, (height, width)) if is_metric else None
    estimate = estimator.estimate(rgb, tasks=tasks)
    if estimate.non_finite:
        message = f"e2e-depth predict: {estimate.non_finite} pixels of {frame.image_path} came out as NaN"
        console.print(message, markup=False)
    if samples is None or estimate.depth is None:
        _write(folder, _arrays(estimate), _panels(rgb, estimate))
        return
    alignment = align_to_samples(estimate.depth, samples, rgb)
    if estimate.outlines is not None:
        alignment = alignment.following(estimate.outlines)
    _write(
        folder,
        _arrays(estimate, alignment),
        _panels(rgb, estimate, samples, alignment),
        summary(alignment),
    )
    verdict = f"{frame.name}: {alignment.state.value}: {alignment.reason}"
    if alignment.depth is None:
        raise InvalidInputError(f"{verdict}; there is no metric depth")
    if alignment.state is not AlignmentState.FRESH:
        console.print(f"e2e-depth predict: {verdict}", markup=False)


def _arrays(estimate: Estimate, alignment: Alignment | None = None) -> dict[str, NDArray[np.float32]]:
    """What goes into files, by name; no depth at all where an alignment is lost."""
    from e2e_depth_ros.core.maps import farness_from_relative  # noqa: PLC0415

    arrays = {}
    if alignment is not None:
        if alignment.depth is not None and alignment.std_m is not None:
            arrays = {"depth.npy": alignment.depth_m, "std.npy": alignment.std_m}
    elif estimate.outlined_depth is not None:
        arrays = {"depth.npy": farness_from_relative(estimate.outlined_depth)}
        if estimate.depth_uncertainty is not None:
            arrays["depth_uncertainty.npy"] = estimate.depth_uncertainty
    if estimate.normals is not None:
        arrays["normals.npy"] = estimate.normals.values
    if estimate.normals_uncertainty is not None:
        arrays["normals_uncertainty.npy"] = estimate.normals_uncertainty
    return arrays


def _panels(
    rgb: Rgb, estimate: Estimate, samples: Samples | None = None, alignment: Alignment | None = None
) -> list[tuple[str, Rgb]]:
    from e2e_depth_ros.cli.predict_alignment import alignment_panels  # noqa: PLC0415
    from e2e_depth_ros.core.colours import colours_from_depth, colours_from_normals  # noqa: PLC0415
    from e2e_depth_ros.core.maps import farness_from_relative  # noqa: PLC0415

    panels = [("image", rgb)]
    if estimate.outlined_depth is not None:
        farness = farness_from_relative(estimate.outlined_depth, stretch=True)
        panels.append(("relative depth", colours_from_depth(farness, 0.0, 1.0)))
    if samples is not None and alignment is not None:
        panels += alignment_panels(rgb, samples, alignment)
    if estimate.normals is not None:
        panels.append(("normals", colours_from_normals(estimate.normals.values)))
    return panels


def _write(
    folder: Path,
    arrays: dict[str, NDArray[np.float32]],
    panels: list[tuple[str, Rgb]],
    report: dict[str, Any] | None = None,
) -> None:
    """Write the results of one image; what an earlier run left there and this one does not make, goes."""
    import numpy as np  # noqa: PLC0415

    from e2e_depth_ros.cli.pictures import labelled_row, write_picture  # noqa: PLC0415
    from e2e_depth_ros.core.errors import E2EDepthError  # noqa: PLC0415

    def remove() -> None:
        for name in _PRODUCTS:
            (folder / name).unlink(missing_ok=True)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove()
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            (folder / name).write_bytes(content.getbuffer())  # unlike NumPy it says why it can't
        if report is not None:
            (folder / "alignment.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        write_picture(folder / "preview.png", labelled_row(panels))
    except OSError as error:
        with contextlib.suppress(OSError):  # half a file would pass for a whole one
            remove()
        raise E2EDepthError(f"cannot write to {folder}: {error.strerror or error}") from error
