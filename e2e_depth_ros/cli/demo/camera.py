"""The executable `demo_camera`: the demo's camera, a process of its own.

Nothing heavy is imported at the top, so that signals are in hand at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.ros.running.stop_signals import StopSignals


def main(argv: Sequence[str] | None = None) -> int:
    """Publish every scene, then print a JSON object: frames published by scene.

    Args:
        argv: Options, and ROS arguments behind `--ros-args`; by default the command line's.

    Returns:
        The exit code: 0 at the end or after a signal, 2 where something is missing or an argument is wrong.
    """
    stop = StopSignals()
    own, mark, of_ros = _parted(sys.argv[1:] if argv is None else list(argv))
    args = _parser().parse_args(own)
    args.ros_arguments = [*mark, *of_ros]
    try:
        check_pace(args)
        from e2e_depth_ros.cli.demo.publisher import publish_scenes  # noqa: PLC0415
        from e2e_depth_ros.cli.demo.scenes import load_scenes  # noqa: PLC0415

        args.scenes = [scene for scene in load_scenes() if scene.camera is not None or not args.measured]
        stop.heed_order()
        published = publish_scenes(args, stop)
    except (E2EDepthError, ImportError) as error:
        sys.stderr.write(f"demo_camera: {error}\n")
        return 2
    if not stop.requested:
        print(json.dumps(published), flush=True)  # noqa: T201
    return 0


def check_pace(args: argparse.Namespace) -> None:
    """Refuse frames, points and a rate that nothing can be published by.

    Raises:
        InvalidInputError: One of them is out of range.
    """
    if args.frames < 1 or args.points < 1 or not 0 < args.rate <= 1000:
        raise InvalidInputError(
            "expected --frames and --points of at least 1 and a --rate of up to 1000, "
            f"got {args.frames}, {args.points} and {args.rate}"
        )


def _parted(argv: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Part the command line into options, the mark between, and what is ROS's."""
    mark = "--ros-args"
    if mark not in argv:
        return argv, [], []
    at = argv.index(mark)
    return argv[:at], [mark], argv[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo_camera", description="Publish the demo's frames and points.")
    parser.add_argument("--frames", type=int, default=30, help="frames of each scene")
    parser.add_argument("--rate", type=float, default=8.0, help="frames a second")
    parser.add_argument("--points", type=int, default=500, help="sparse metric points a frame")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for a first answer")
    parser.add_argument("--seed", type=int, default=0, help="chooses the points")
    parser.add_argument("--listeners", type=int, default=2, help="wait for so many; 2: node and receiver")
    parser.add_argument(
        "--measured", action="store_true", help="leave out photographs, which lack a camera_info"
    )
    parser.add_argument("--repeat", action="store_true", help="begin again after the last scene, for ever")
    return parser


if __name__ == "__main__":
    sys.exit(main())
