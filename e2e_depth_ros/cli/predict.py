"""`e2e-depth predict`: depth and normals of images and videos, as arrays and as pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from e2e_depth_ros.cli.model_arguments import add_model_arguments, load_estimator
from e2e_depth_ros.core.stored_depth import MILLIMETRE_M

if TYPE_CHECKING:
    from e2e_depth_ros.cli.predict_outputs import OutputFolder, Prediction
    from e2e_depth_ros.model.estimator import Estimator
    from e2e_depth_ros.offline.sources import Source, SourceImage

_FAILED: Final = 2
_NOT_OF_THE_RESULT: Final = ("command", "inputs", "output", "view", "force", "threads", "batch_memory")
_SECOND_NS: Final = 1_000_000_000


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "predict",
        help="depth and normals of images and videos",
        description="Predict depth of images, videos, folders of both, frame folders and RGB-D folders. "
        "For each image, DIR/<relative path without suffix>/ gets depth.npy (float32, (H, W) of the image, 0 "
        "near .. 1 far, NaN where invalid), preview.png, and with --normals normals.npy (float32, (H, W, 3), "
        "unit vectors: x right, y down, z forward). With --align depth.npy holds metres along the optical "
        "axis, std.npy its standard deviation in metres, and alignment.json tells how far to trust both. "
        "With --ensemble depth_uncertainty.npy (in units of the relative depth) and normals_uncertainty.npy "
        "(0..1) tell how far its members are from each other. What an equal run did is not done again.",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="image, video, folder, or frame folder"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the results go")
    parser.add_argument("--normals", action="store_true", help="predict normals as well")
    parser.add_argument(
        "--align",
        action="store_true",
        help="metric depth of frame folders, from points.npz (with camera_info.yaml), samples.csv (u, v, "
        "depth), depth.npz or depth.png, and of folders like TUM RGB-D's and ScanNet's",
    )
    parser.add_argument(
        "--correction",
        action="store_true",
        help="with --align: correct, between the samples, what one scale and shift leave",
    )
    parser.add_argument(
        "--format",
        default="npy",
        metavar="LIST",
        help="of depth: npy, png16 (millimetres), exr, png (coloured), ply, pcd, mp4 (of a folder or video), "
        "separated by commas (default: npy); png16, ply and pcd need --align, the last two intrinsics too",
    )
    parser.add_argument(
        "--depth-unit",
        type=float,
        default=MILLIMETRE_M,
        metavar="M",
        help="metres of a unit of depth.png, for --align (default: %(default)s)",
    )
    parser.add_argument("--view", type=Path, metavar="FILE", help="save what Rerun's viewer opens, .rrd")
    parser.add_argument("--force", action="store_true", help="predict anew what is there")
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument("--fov", type=float, metavar="DEG", help="horizontal field of view of the images")
    camera.add_argument(
        "--intrinsics", type=float, nargs=4, metavar=("FX", "FY", "CX", "CY"), help="of the images, pixels"
    )
    camera.add_argument("--calibration", type=Path, metavar="FILE", help="of the images, as camera_info.yaml")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict every image; those that fail are told in one line each, and the rest go on.

    Returns:
        0, or 2 if an image could not be read or, with --align, got no metric depth.

    Raises:
        E2EDepthError: An argument or the checkpoint is wrong, or nothing can be written.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.progress import Progress  # noqa: PLC0415

    from e2e_depth_ros.core.errors import InvalidInputError, one_line  # noqa: PLC0415
    from e2e_depth_ros.offline.depth_formats import check_formats, formats_named  # noqa: PLC0415
    from e2e_depth_ros.offline.given_camera import GivenCamera  # noqa: PLC0415
    from e2e_depth_ros.offline.sources import find_sources  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def tell(words: object) -> None:
        console.print(f"e2e-depth predict: {one_line(str(words), 2000)}", markup=False)

    formats = formats_named(args.format)
    check_formats(formats, is_metric=args.align)
    if args.correction and not args.align:
        raise InvalidInputError("expected --align with --correction, which corrects metres")
    if not 0 < args.depth_unit < float("inf"):
        raise InvalidInputError(f"expected --depth-unit > 0, metres, got {args.depth_unit:g}")
    if args.depth_unit != MILLIMETRE_M and not args.align:
        raise InvalidInputError("expected --align with --depth-unit, the unit of what was measured")
    given = GivenCamera(args.fov, args.intrinsics, args.calibration)
    sources, passed_over = find_sources(args.inputs, exclude=args.output)
    for words in passed_over:
        tell(words)
    work = _Run(args, given, formats, tell)
    with work, Progress(console=console) as progress:
        bar = progress.add_task("predict", total=sum(source.count for source in sources) or None)
        for source in sources:
            for image in work.images_of(source):
                work.do(image)
                progress.advance(bar)
        work.finish()
    skipped = f", {work.skipped} of them by an earlier run" if work.skipped else ""
    done = f"{work.count - work.failed} of {work.count} images predicted{skipped}, in {args.output}"
    console.print(done, markup=False)
    return _FAILED if work.failed else 0


class _Run:
    """What a run has done so far."""

    def __init__(self, args: argparse.Namespace, given: Any, formats: tuple[str, ...], tell: Any) -> None:
        from e2e_depth_ros.cli.predict_outputs import OutputFolder  # noqa: PLC0415

        self._args = args
        self._given = given
        self._tell = tell
        settings = {name: value for name, value in vars(args).items() if name not in _NOT_OF_THE_RESULT}
        settings["calibration"] = args.calibration and str(args.calibration)
        expected = ("normals.npy",) * args.normals + ("alignment.json",) * args.align
        self._open = ExitStack()
        self._output: OutputFolder = self._open.enter_context(
            OutputFolder(args.output, formats, settings, expected)
        )
        self._writer = self._open.enter_context(ThreadPoolExecutor(1))  # beside the network
        self._written: Future[None] | None = None
        self._viewer: Any = None
        self._shown_ns = 0
        self._estimator: Estimator | None = None
        self._tasks: list[Any] = []
        self.count = self.failed = self.skipped = 0

    def __enter__(self) -> None:
        if self._args.view is not None:
            from e2e_depth_ros.offline.viewer import Viewer  # noqa: PLC0415

            self._viewer = self._open.enter_context(Viewer(self._args.view))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def fail(self, error: Exception) -> None:
        """Tell what went wrong: one bad image must not stop the rest."""
        self.failed += 1
        self._tell(error)

    def images_of(self, source: Source) -> Iterator[SourceImage]:
        """Yield the images of a source, as far as they can be read."""
        from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

        try:
            yield from source
        except InvalidInputError as error:  # a video that breaks off
            self.fail(error)

    def do(self, image: SourceImage) -> None:
        """Predict an image, unless that was done. It is written while the next one is predicted."""
        from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
        from e2e_depth_ros.core.image_size import check_image_size  # noqa: PLC0415

        self.count += 1
        is_shown = self._args.view is not None
        if not (self._args.force or is_shown) and self._output.has(image):
            self.skipped += 1
            return
        try:
            rgb = image.read_image()
            check_image_size(rgb.shape, image.image_path)
        except InvalidInputError as error:
            self.fail(error)
            return
        if self._estimator is None:  # only once there is an image to look at: to load takes seconds
            self._estimator = load_estimator(self._args)
            self._tasks = _tasks(self._args, self._estimator)
        try:
            prediction = self._predicted(image, rgb, self._estimator)
            self._show(image, prediction)
        except InvalidInputError as error:
            self.fail(error)
            return
        self.finish()
        self._written = self._writer.submit(self._write, image, prediction)

    def finish(self) -> None:
        """Wait until the last image is written.

        Raises:
            E2EDepthError: It can't be.
        """
        from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

        written, self._written = self._written, None
        try:
            if written is not None:
                written.result()
        except InvalidInputError as error:
            self.fail(error)

    def _write(self, image: SourceImage, prediction: Prediction) -> None:
        self._output.write(image, prediction)
        self._tell_verdict(image, prediction)

    def _predicted(self, image: SourceImage, rgb: Any, estimator: Estimator) -> Prediction:
        from e2e_depth_ros.cli.predict_alignment import (  # noqa: PLC0415
            align_to_samples,
            read_samples,
            summary,
        )
        from e2e_depth_ros.cli.predict_outputs import Prediction  # noqa: PLC0415

        size = rgb.shape[0], rgb.shape[1]
        camera = self._given.camera(size) or image.read_camera(size)
        unit_m = self._args.depth_unit
        samples = read_samples(image, size, camera, unit_m) if self._args.align else None
        estimate = estimator.estimate(rgb, tasks=self._tasks)
        if estimate.non_finite:
            self._tell(f"{estimate.non_finite} pixels of {image.image_path} came out as NaN")
        if samples is None or estimate.depth is None:
            return Prediction(rgb, estimate, camera=camera)
        alignment = align_to_samples(estimate.depth, samples, rgb, correction=self._args.correction)
        if estimate.outlines is not None:
            alignment = alignment.following(estimate.outlines)
        return Prediction(rgb, estimate, samples, alignment, camera, summary(alignment))

    def _show(self, image: SourceImage, prediction: Prediction) -> None:
        from e2e_depth_ros.cli.predict_outputs import show  # noqa: PLC0415

        if self._viewer is not None:
            show(self._viewer, self._shown_ns, prediction)
            self._shown_ns += round(_SECOND_NS / image.fps)

    def _tell_verdict(self, image: SourceImage, prediction: Prediction) -> None:
        from e2e_depth_ros.alignment import AlignmentState  # noqa: PLC0415
        from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

        alignment = prediction.alignment
        if alignment is None or alignment.state is AlignmentState.FRESH:
            return
        verdict = f"{image.name}: {alignment.state.value}: {alignment.reason}"
        if alignment.depth is None:
            raise InvalidInputError(f"{verdict}; there is no metric depth")
        self._tell(verdict)


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
