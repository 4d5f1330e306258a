"""`e2e-depth benchmark`: latency of each stage, throughput and memory on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from e2e_depth_ros.cli.model_arguments import (
    add_model_arguments,
    load_estimator,
    model_options,
    options_given,
    size_named,
)
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.user_file import check_writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

TOTAL = "total"
WITHOUT_NETWORK = "all but the network"

_OF_COMPARE: Final = ("dtypes", "diffusers", "chart", "busy")
_NOT_OF_COMPARE: Final = ("dds", "points", "mask", "mask_period")
_MODELS_OF_COMPARE: Final = {"model", "engine", "compile", "device", "processing_resolution", "threads"}

_WARM_UP = 3  # the first frames pay for caches and memory


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "benchmark",
        help="latency of each stage, throughput and memory on this machine",
    )
    parser.add_argument(
        "--size",
        default="480x640",
        metavar="HxW",
        help="size of the camera's image, pixels (default: 480x640)",
    )
    parser.add_argument("--frames", type=int, default=50, help="frames to time (default: 50)")
    parser.add_argument(
        "--dds",
        type=int,
        default=0,
        metavar="N",
        help="also start node and camera (30 Hz) as processes, and time N depth images where they arrive:"
        " alone, with normals, and with every output",
    )
    parser.add_argument(
        "--points",
        type=int,
        default=0,
        metavar="N",
        help="also time a point cloud of N points to samples, and samples to metric depth",
    )
    parser.add_argument(
        "--compare",
        nargs="*",
        metavar="MODEL",
        help="instead time every engine, or --engine, and several numbers of --threads for --model, and for "
        "further models, in turns; all stay loaded",
    )
    parser.add_argument(
        "--dtypes",
        nargs="+",
        default=["float32"],
        choices=("float32", "float16", "bfloat16"),
        help="with --compare: number formats to try (default: float32)",
    )
    parser.add_argument(
        "--diffusers", action="store_true", help="with --compare: time diffusers' own pipeline beside ours"
    )
    parser.add_argument("--chart", type=Path, metavar="FILE", help="with --compare: draw the times of depth")
    parser.add_argument(
        "--busy",
        type=int,
        default=0,
        metavar="N",
        help="with --compare: time all again beside N processes that keep a core busy each",
    )
    parser.add_argument(
        "--mask",
        metavar="MODEL",
        help="with --dds: then time as many again while mask_node paints with this checkpoint",
    )
    parser.add_argument(
        "--mask-period",
        type=float,
        metavar="S",
        default=5.0,
        help="seconds from the start of one mask to the start of the next (default: %(default)g)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the numbers there too; - for stdout alone"
    )
    add_model_arguments(parser)
    parser.set_defaults(parser=parser)  # to tell what was given


def run(args: argparse.Namespace) -> int:
    """Time the way of a frame; with ROS through the node's own pipeline, without it the network alone."""
    size = size_named(args.size, "say 480x640")
    _check(args)
    if args.compare is not None:
        return _compare(args, size)
    if args.dds:
        from e2e_depth_ros.cli.demo.processes import prepare_environment  # noqa: PLC0415

        prepare_environment()
    estimator = load_estimator(args)
    cases = {**_time_network(estimator, size, args.frames), **_time_node(estimator, size, args.frames)}
    report: dict[str, Any] = {
        "model": estimator.facts.name,
        **asdict(estimator.place),
        "image size": list(size),
        "processing resolution": estimator.processing_resolution,
        "frames": args.frames,
        "memory MB": _memory_mb(),
        "cases": {name: summarise(laps) for name, laps in cases.items()},
    }
    if args.points:
        report["alignment"] = _time_alignment(size, args.frames, args.points)
    if args.dds:
        report["over DDS"] = _time_arrivals(estimator, args, size)
    if args.json is None or str(args.json) != "-":
        _print(report)
    _write_json(args.json, report)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what would fail, or be passed over, after minutes."""
    if args.frames < 1:
        raise InvalidInputError(f"expected at least 1 frame, got {args.frames}")
    if args.points < 0:
        raise InvalidInputError(f"expected at least 0 points, got {args.points}")
    if args.dds and args.dds < 3:
        raise InvalidInputError(f"expected at least 3 images for --dds, got {args.dds}")
    if args.mask and not args.dds:
        raise InvalidInputError("expected --mask only with --dds N, got it alone")
    if args.compare is None:
        if alone := " and ".join(options_given(args, _OF_COMPARE)):
            raise InvalidInputError(f"expected --compare with {alone}")
    else:
        others = [name for name in model_options() if name not in _MODELS_OF_COMPARE]
        if passed_over := " and ".join(options_given(args, [*_NOT_OF_COMPARE, *others])):
            raise InvalidInputError(
                f"expected no {passed_over} with --compare, which passes over them; its formats are --dtypes"
            )
    if args.json is not None and str(args.json) != "-":
        check_writable(args.json)


def _compare(args: argparse.Namespace, size: tuple[int, int]) -> int:
    from rich.console import Console  # noqa: PLC0415

    from e2e_depth_ros.cli.benchmark_image import camera_image  # noqa: PLC0415
    from e2e_depth_ros.cli.engine_chart import chart  # noqa: PLC0415
    from e2e_depth_ros.cli.engine_comparison import compare, print_comparison, ways_to_run  # noqa: PLC0415
    from e2e_depth_ros.cli.pictures import check_picture_path, write_picture  # noqa: PLC0415
    from e2e_depth_ros.model.threads import usable_cores  # noqa: PLC0415

    if args.chart is not None:
        check_picture_path(args.chart)

    cores = usable_cores()
    ways = ways_to_run(
        [args.model, *args.compare],
        device=args.device,
        dtypes=args.dtypes,
        threads=[args.threads] if args.threads else sorted({1, cores}),
        processing_resolution=args.processing_resolution,
        diffusers=args.diffusers,
        compiled=args.compile,
        engine=args.engine,
    )
    report = compare(ways, camera_image(size), frames=args.frames, busy=args.busy)
    report = {"image size": list(size), "cores": cores, "frames": args.frames, **report}
    if args.json is None or str(args.json) != "-":
        print_comparison(report, Console())
    if args.chart is not None:
        write_picture(args.chart, chart(report))
    _write_json(args.json, report)
    return 0


def _write_json(path: Path | None, report: Mapping[str, Any]) -> None:
    text = json.dumps(report, indent=2) + "\n"
    if path is not None and str(path) == "-":
        sys.stdout.write(text)
    elif path is not None:
        path.write_text(text, encoding="utf-8")


def summarise(laps: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Condense the timings of many frames.

    Args:
        laps: For each frame the seconds of each stage.

    Returns:
        `stages_ms`: fastest, median and 95th percentile of each stage, of the `total`, and of what is
        left of it without the network; `frames_per_s`.
    """
    import numpy as np  # noqa: PLC0415

    from e2e_depth_ros.model.estimator import NETWORK_STAGES  # noqa: PLC0415

    stages = {name: np.array([lap.get(name, 0.0) for lap in laps]) for name in laps[0]}
    total = np.sum(list(stages.values()), axis=0)
    network = np.sum([stages[name] for name in NETWORK_STAGES if name in stages], axis=0)
    stages |= {WITHOUT_NETWORK: total - network, TOTAL: total}
    return {
        "stages_ms": {name: _quantiles_ms(seconds) for name, seconds in stages.items()},
        "frames_per_s": round(1.0 / float(np.mean(total)), 2),
    }


def _quantiles_ms(seconds: NDArray[np.float64]) -> dict[str, float]:
    import numpy as np  # noqa: PLC0415

    return {
        "fastest": round(1e3 * float(np.min(seconds)), 3),
        "median": round(1e3 * float(np.median(seconds)), 3),
        "p95": round(1e3 * float(np.percentile(seconds, 95)), 3),
    }


def _time_network(estimator: Any, size: tuple[int, int], frames: int) -> dict[str, list[dict[str, float]]]:
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.cli.benchmark_image import camera_image  # noqa: PLC0415
    from e2e_depth_ros.model.task import Task  # noqa: PLC0415

    image = camera_image(size)
    cases: dict[str, list[dict[str, float]]] = {}
    for tasks in ((Task.DEPTH,), (Task.DEPTH, Task.NORMALS)):
        if not estimator.tasks.issuperset(tasks):
            continue
        name = " and ".join(task.value for task in tasks)
        steps = track(range(_WARM_UP + frames), description=name, transient=True)
        laps = [dict(estimator.estimate(image, tasks=tasks, synchronize=True).durations_s) for _ in steps]
        cases[f"network, {name}"] = laps[_WARM_UP:]
    return cases


def _time_node(estimator: Any, size: tuple[int, int], frames: int) -> dict[str, list[dict[str, float]]]:
    try:
        from e2e_depth_ros.cli.node_timing import SUBSCRIPTIONS, NodeTimer  # noqa: PLC0415
    except ImportError as error:
        if (error.name or "").startswith("e2e_depth_ros"):
            raise
        return {}  # no ROS here: the network's own timing is what can be told
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.cli.benchmark_image import camera_image  # noqa: PLC0415
    from e2e_depth_ros.ros.running.kept_memory import keep_memory  # noqa: PLC0415

    keep_memory()  # as the node's process does
    timer = NodeTimer(estimator, camera_image(size))
    cases = {}
    for name, wanted in SUBSCRIPTIONS.items():
        steps = track(range(_WARM_UP + frames), description=name, transient=True)
        cases[f"node, {name}"] = timer.time(wanted, steps)[_WARM_UP:]
    return cases


def _time_alignment(size: tuple[int, int], frames: int, points: int) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.cli.alignment_timing import SAMPLES, time_alignment  # noqa: PLC0415

    steps = track(range(_WARM_UP + frames), description="alignment", transient=True)
    laps = time_alignment(size, points, steps)[_WARM_UP:]
    return {
        "points": points,
        "samples": SAMPLES,
        "stages_ms": {name: _quantiles_ms(np.array([lap[name] for lap in laps])) for name in laps[0]},
    }


def _time_arrivals(estimator: Any, args: argparse.Namespace, size: tuple[int, int]) -> dict[str, Any]:
    from e2e_depth_ros.cli.benchmark_dds import MaskLoad, measure  # noqa: PLC0415

    given = {
        "model": args.model,
        "engine": args.engine,
        "revision": args.revision,
        "device": args.device,
        "dtype": args.dtype,
        "processing_resolution": args.processing_resolution,
        "upsampling": args.upsampling,
        "num_threads": args.threads,
    }
    parameters = [f"{name}:={value}" for name, value in given.items() if value is not None]
    mask = MaskLoad(args.mask, args.mask_period) if args.mask else None
    return measure(estimator, size, args.dds, parameters, mask)


def _memory_mb() -> dict[str, float]:
    import resource  # noqa: PLC0415

    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB on Linux
    memory = {"process, peak": round(peak_kb / 1e3, 1)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        memory["GPU, peak"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
    return memory


def _print(report: Mapping[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415

    console = Console()
    height, width = report["image size"]
    console.print(
        f"{report['model']} by {report['engine']} on {report['device']}, {report['precision']}, "
        f"{report['threads'] or 'its own'} threads; "
        f"image {width}x{height}, network at {report['processing resolution'] or 'native size'}"
    )
    for name, case in report["cases"].items():
        _print_stages(console, f"{name}: {case['frames_per_s']} frames/s", case["stages_ms"])
    if "alignment" in report:
        alignment = report["alignment"]
        title = f"alignment: a cloud of {alignment['points']:,} points, {alignment['samples']} samples"
        _print_stages(console, title, alignment["stages_ms"])
    if "over DDS" in report:
        from e2e_depth_ros.cli.arrivals import print_arrivals  # noqa: PLC0415

        print_arrivals(console, report["over DDS"])
    console.print(
        "memory MB:", ", ".join(f"{name} {value:.0f}" for name, value in report["memory MB"].items())
    )


def _print_stages(console: Any, title: str, stages_ms: Mapping[str, Mapping[str, float]]) -> None:
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title)
    table.add_column("stage")
    for quantile in ("fastest", "median", "p95"):
        table.add_column(f"{quantile} ms", justify="right")
    for stage, times in stages_ms.items():
        style = "bold" if stage in (WITHOUT_NETWORK, TOTAL) else None
        table.add_row(stage, *(f"{times[name]:.2f}" for name in ("fastest", "median", "p95")), style=style)
    console.print(table)
