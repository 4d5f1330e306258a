"""`e2e-depth bag`: the depth node's pipeline on a recording; its outputs become a recording too."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_INPUTS: Final = {
    "image": "colour images, raw or compressed; of each camera one",
    "camera_info": "their calibration",
    "sparse_points": "metric points (PointCloud2), in any frame that the bag's TF reaches",
    "sparse_depth": "metric depth images, registered to the image",
    "mask": "masks, for the parameters remove_masked_points and remove_masked_samples",
}
_FEW: Final = ("depth/image_rect", "depth/camera_info", "alignment/status")
_WIDEST: Final = 1000  # columns of a table; it takes no more than it needs


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "bag",
        help="depth of a recording (ROS 2 or ROS 1), as a recording",
        description="Run the depth node's pipeline on a bag, each image in turn, and write a bag with its "
        "outputs, stamps kept. Reads rosbag2 (MCAP and SQLite, compressed too) and ROS 1 bags. Shows what is "
        "in the bag and what is used as what; without --output that is all. A run that was cut off goes on.",
    )
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder of rosbag2, .mcap, .db3 or .bag")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the new bag")
    group = parser.add_argument_group(
        "topics",
        "of the bag; where none is given, it is looked for by type. With several images, which are several "
        "cameras, one topic of another kind is for all of them, or there are as many, in the same order",
    )
    for name, meaning in _INPUTS.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            nargs="+",
            default=[],
            metavar="TOPIC",
            help=meaning if name == "image" else f"{meaning}; none for no such input",
        )
    node = parser.add_argument_group("parameters", "of the depth node: see docs/parameters.md")
    node.add_argument("--params-file", type=Path, metavar="FILE", help="ROS parameter file, as the node's")
    node.add_argument(
        "-p", dest="assignments", action="append", default=[], metavar="NAME:=VALUE", help="one parameter"
    )
    out = parser.add_argument_group("output")
    out.add_argument(
        "--outputs",
        nargs="+",
        metavar="NAME",
        help=f"which of the node's topics (default: all that the model predicts), say {' '.join(_FEW)}",
    )
    out.add_argument(
        "--namespace",
        nargs="+",
        default=[],
        metavar="NAME",
        help="of the outputs of each camera (default: the root, and of several cameras their images')",
    )
    out.add_argument("--copy", action="store_true", help="take the topics of the bag along")
    out.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="default: mcap")
    out.add_argument("--compress", action="store_true", help="compress with zstd")
    out.add_argument("--view", type=Path, metavar="FILE", help="save what Rerun's viewer opens, .rrd")
    out.add_argument("--force", action="store_true", help="replace what an earlier run wrote")


def run(args: argparse.Namespace) -> int:
    """Show what is in the bag, and convert it.

    Raises:
        E2EDepthError: The bag, an argument or the checkpoint is wrong.
        OSError: The output can't be written.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed

    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.bag_reader import BagReader  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.bag_writer import remove_bag  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.input_topics import choose_cameras  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with BagReader(args.bag) as reader:
        shown_on = sys.stdout if args.output is None else sys.stderr
        try:
            given = {name: getattr(args, name) for name in _INPUTS}
            cameras = choose_cameras(reader, given, args.namespace)
        except InvalidInputError:
            _show(reader, {}, shown_on)  # what there is to choose from
            raise
        _show(reader, cameras, shown_on)
        if args.output is None:
            return 0
        conversion = _conversion(args, cameras)
        if args.output.resolve() in (args.bag.resolve(), *args.bag.resolve().parents):
            raise InvalidInputError(f"expected an --output beside the bag, got {args.output}, where it lies")
        if args.force:
            remove_bag(args.output)
        _convert(reader, conversion, console, args.view)
    return 0


def _conversion(args: argparse.Namespace, cameras: dict[str, Any]) -> Any:
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.ros.outputs.depth_outputs import Output  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.conversion import Conversion  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.parameter_file import parameters_from  # noqa: PLC0415

    known = {output.value: output for output in Output}
    unknown = sorted({*(args.outputs or ())} - {*known})
    if unknown:
        raise InvalidInputError(f"expected outputs of {', '.join(known)}, got {', '.join(unknown)}")
    return Conversion(
        cameras,
        parameters_from(args.params_file, args.assignments, cameras),
        tuple(output for output in Output if output.value in args.outputs) if args.outputs else None,
        args.output,
        copies=args.copy,
        storage=args.storage,
        compress=args.compress,
    )


def _show(reader: Any, cameras: dict[str, Any], to: TextIO) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from e2e_depth_ros.ros.recordings.input_topics import (  # noqa: PLC0415
        frames_of_several,
        transform_topics,
    )

    transforms = {name for names in transform_topics(reader) for name in names} if cameras else set()
    table = Table("topic", "type", "messages", "used as", box=None)
    for topic in sorted(reader.topics.values(), key=lambda topic: topic.name):
        used = {
            namespace: topics.roles[topic.name]
            for namespace, topics in cameras.items()
            if topic.name in topics.roles
        }
        words = [f"{role} of {name or '/'}" if len(cameras) > 1 else role for name, role in used.items()]
        words += ["transforms"] if topic.name in transforms else []
        table.add_row(topic.name, topic.type_name, str(topic.count), ", ".join(words))
    console = Console(file=to, highlight=False, width=_WIDEST)  # names of topics must stay whole
    console.print(table)
    if any(topic.count for topic in reader.topics.values()):
        console.print(f"{(reader.end_ns - reader.start_ns) * 1e-9:.1f} s", markup=False)
    for frame in frames_of_several(reader, cameras):
        console.print(f"several cameras are in the frame {frame!r}: TF has one place for them", markup=False)


def _convert(reader: Any, conversion: Any, console: Console, view: Path | None) -> None:
    from contextlib import ExitStack  # noqa: PLC0415

    from rich.progress import Progress  # noqa: PLC0415

    from e2e_depth_ros.ros.nodes.estimators import estimator_from_parameters  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.conversion import convert_bag  # noqa: PLC0415

    with ExitStack() as stack:
        names = [*conversion.cameras]
        on_frame = stack.enter_context(_shown(view, names)) if view is not None else lambda _: None
        progress = stack.enter_context(Progress(console=console))
        task = progress.add_task("bag", total=max(1, reader.end_ns - reader.start_ns))
        report = convert_bag(
            reader,
            conversion,
            lambda: estimator_from_parameters(conversion.parameters),
            on_progress=lambda ns: progress.update(task, completed=ns - reader.start_ns),
            on_frame=on_frame,
        )
        progress.update(task, completed=max(1, reader.end_ns - reader.start_ns))
    for line in _lines(report, conversion):
        console.print(line, markup=False)


@contextmanager
def _shown(path: Path, cameras: list[str]) -> Iterator[Callable[[Any], None]]:
    from e2e_depth_ros.offline.viewer import Viewer  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.shown import show_image, show_output  # noqa: PLC0415

    with Viewer(path) as all_cameras:
        viewers = {name: all_cameras.of(name) if len(cameras) > 1 else all_cameras for name in cameras}

        def show(frame: Any) -> None:
            if frame.result is not None:
                viewer = viewers[frame.namespace]
                viewer.at(frame.log_ns)
                show_image(viewer, frame.image)
                for output, message in frame.result.messages.items():
                    show_output(viewer, output, message)

        yield show


def _lines(report: Any, conversion: Any) -> list[str]:
    if report.was_done:
        return [f"{conversion.output_path} holds the whole result already: --force makes it anew"]
    lines = [
        f"{name}: {line}" if len(report.cameras) > 1 else line
        for name, camera in report.cameras.items()
        for line in _lines_of_camera(camera)
    ]
    if report.uncopied:
        lines.append(f"not copied, as nothing tells their types in ROS 2: {', '.join(report.uncopied)}")
    for topic, count in report.unconverted.items():
        lines.append(f"not copied, as they can't be converted: {count} of {topic}")
    rate = report.seconds / report.wall_s if report.wall_s else 0.0
    frames = sum(camera.frames for camera in report.cameras.values())
    lines.append(
        f"{frames} images of {report.seconds:.1f} s in {report.wall_s:.1f} s"
        f" ({rate:.2f} times real time), in {conversion.output_path}"
    )
    return lines


def _lines_of_camera(report: Any) -> list[str]:
    lines = [f"{count} x refused {report.words[reason]}" for reason, count in report.refusals.most_common()]
    if report.states:
        states = ", ".join(f"{state} {count}" for state, count in report.states.most_common())
        lines.append(f"alignment: {states}")
        lines += [f"{state}: {reason}" for state, reason in report.reasons.items()]
    written = ", ".join(f"{name} {count}" for name, count in report.messages.items()) or "nothing"
    return [*lines, f"written: {written}"]
