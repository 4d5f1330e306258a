"""`e2e-depth view`: a bag with the depth node's outputs in Rerun's viewer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "view",
        help="look at a bag with the outputs: image, depth, normals, cloud and status",
        description="Show a bag with the depth node's outputs, as `e2e-depth bag --copy` or ros2 bag record "
        "write it, in Rerun's viewer; or save what the viewer opens.",
    )
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder of rosbag2, .mcap, .db3 or .bag")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save it, .rrd; else the viewer opens")
    parser.add_argument("--image", metavar="TOPIC", help="colour images (default: looked for by type)")
    parser.add_argument("--namespace", default="", metavar="NAME", help="of the outputs (default: the root)")


def run(args: argparse.Namespace) -> int:
    """Show the bag.

    Raises:
        E2EDepthError: It is no bag, or holds none of the outputs.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.progress import Progress  # noqa: PLC0415

    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.offline.viewer import Viewer  # noqa: PLC0415
    from e2e_depth_ros.ros.outputs.depth_outputs import Output  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.bag_reader import BagReader  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.input_topics import choose_topics  # noqa: PLC0415
    from e2e_depth_ros.ros.recordings.shown import show_image, show_output  # noqa: PLC0415

    with BagReader(args.bag) as reader:
        of_topic = {f"/{args.namespace.strip('/')}/{one.value}".replace("//", "/"): one for one in Output}
        outputs = {topic: output for topic, output in of_topic.items() if topic in reader.topics}
        if not outputs:
            raise InvalidInputError(
                f"expected outputs such as {next(iter(of_topic))} in {args.bag}, found none"
            )
        images = [] if args.image is None else [choose_topics(reader, {"image": args.image}).image]
        images = images or _colour_images(reader, outputs)
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        with Viewer(args.output) as viewer, Progress(console=console) as progress:
            bar = progress.add_task("view", total=max(1, reader.end_ns - reader.start_ns))
            for recorded in reader.messages([*outputs, *images]):
                message = reader.read(recorded)
                viewer.at(recorded.log_ns)
                if recorded.topic in outputs:
                    show_output(viewer, outputs[recorded.topic], message)
                else:
                    show_image(viewer, message)
                progress.update(bar, completed=recorded.log_ns - reader.start_ns)
    return 0


def _colour_images(reader: Any, outputs: Any) -> list[str]:
    """The topics of colour images beside the outputs: the only one, as several would hide each other."""
    kinds = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
    found = [
        topic.name
        for topic in reader.topics.values()
        if topic.type_name in kinds and topic.count and topic.name not in outputs
    ]
    return found if len(found) == 1 else []
