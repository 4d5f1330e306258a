"""Which frames to score, on a command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

TOPICS: Final = {
    "image": "colour images of the camera",
    "camera_info": "their calibration",
    "sparse_depth": "measured depth, registered to the image",
    "sparse_points": "measured points",
}
"""The inputs that a topic of a bag can be, and what they are."""


def add_measured_frames_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FRAMES, and which topics of a bag they are."""
    parser.add_argument(
        "frames",
        nargs="+",
        type=Path,
        metavar="FRAMES",
        help="frame folders, shards that render wrote, folders of them, or bags",
    )
    add_topic_arguments(parser)


def add_topic_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which topics of a bag are its frames: without them nobody can tell several cameras apart."""
    group = parser.add_argument_group(
        "topics of a bag",
        "of one camera, and of what measured it; one not given is looked for by type",
    )
    for name, meaning in TOPICS.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar="TOPIC", help=meaning)


def topics_given(args: argparse.Namespace) -> dict[str, str]:
    """Return the topics that were named, by input."""
    return {name: topic for name in TOPICS if (topic := getattr(args, name)) is not None}
