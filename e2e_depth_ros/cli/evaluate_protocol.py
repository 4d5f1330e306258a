"""`e2e-depth evaluate --protocol`: a published evaluation, beside the published scores."""

from __future__ import annotations

import argparse
import hashlib
import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_depth_ros.cli.model_arguments import load_estimator
from e2e_depth_ros.cli.saved_predictions import saved_predictions
from e2e_depth_ros.evaluation.protocols import PROTOCOL_NAMES

if TYPE_CHECKING:
    from e2e_depth_ros.evaluation.protocols.evaluation import ProtocolReport
    from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol
    from e2e_depth_ros.evaluation.protocols.published import PublishedRow
    from e2e_depth_ros.evaluation.protocols.tree import DataTree
    from e2e_depth_ros.evaluation.sources import PredictionSource
    from e2e_depth_ros.model.estimator import Estimator

_FAILED = 2
_REPORT, _GALLERY = "report.json", "gallery.jpg"
_GALLERY_FRAMES = 4  # best, and as many worst


def add_protocol_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --protocol and what belongs to it."""
    group = parser.add_argument_group(
        "published protocols",
        "FRAMES is one data set then, as Marigold (depth) or DSINE (normals) publish it: a folder, or the "
        "tar or zip file itself",
    )
    group.add_argument("--protocol", metavar="NAME", help=", ".join(PROTOCOL_NAMES))
    group.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="for scores, report.json and gallery.jpg; the same command continues after an interruption",
    )


def run_protocol_evaluation(args: argparse.Namespace) -> int:
    """Evaluate, and print the table.

    Returns:
        0, or 2 if a frame could not be scored.

    Raises:
        E2EDepthError: An argument, the data set or the checkpoint is wrong, or no frame could be scored.
    """
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415 - heavy imports wait
    from e2e_depth_ros.evaluation.protocols.registry import protocol_named  # noqa: PLC0415
    from e2e_depth_ros.evaluation.protocols.tree import DataTree  # noqa: PLC0415

    protocol = protocol_named(args.protocol)
    if len(args.frames) != 1:
        raise InvalidInputError(f"expected one data set with --protocol, got {len(args.frames)}")
    if args.output is None:
        raise InvalidInputError("expected --output DIR with --protocol, for the scores of each frame")
    if args.min_depth is not None or args.max_depth is not None:
        raise InvalidInputError("expected no --min-depth or --max-depth: the protocol says the range")
    if args.carry:
        raise InvalidInputError("expected no --carry with --protocol: frames are judged each for itself")
    with closing(DataTree(args.frames[0])) as tree:
        protocol.find(tree)  # refuse a wrong data set before the network is loaded
        return _run(args, protocol, tree)


def _run(args: argparse.Namespace, protocol: EvaluationProtocol, tree: DataTree) -> int:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.core.user_file import check_writable  # noqa: PLC0415
    from e2e_depth_ros.evaluation.protocols.evaluation import (  # noqa: PLC0415
        ProtocolReport,
        evaluate_by_protocol,
    )
    from e2e_depth_ros.evaluation.protocols.store import ScoreStore  # noqa: PLC0415
    from e2e_depth_ros.evaluation.protocols.table import protocol_table  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    source, settings, published = _source(args, protocol)
    settings = {"protocol": protocol.name, "data": str(tree.path.resolve()), **settings}
    store = ScoreStore(args.output, settings)
    for name in (_REPORT, _GALLERY):
        check_writable(args.output / name)
    report = ProtocolReport(protocol, source.name, settings, published=published)
    if store.scores:
        console.print(f"{len(store.scores)} frames are scored already")
    evaluate_by_protocol(
        protocol,
        tree,
        source,
        store,
        report,
        progress=lambda frames: track(frames, description=protocol.name, console=console),
        on_failure=lambda frame, reason: console.print(
            f"e2e-depth evaluate: {frame.name}: {reason}", markup=False
        ),
    )
    if not report.scores:
        raise InvalidInputError(f"expected a frame that can be scored, but all {len(report.failures)} failed")
    content = json.dumps(report.as_dict(), indent=2) + "\n"
    try:
        for path in filter(None, (args.output / _REPORT, args.json)):
            path.write_text(content, encoding="utf-8")
        _write_gallery(args.output / _GALLERY, report, tree, source)
    except OSError as error:
        raise InvalidInputError(f"cannot write the report: {error}") from error
    Console().print(protocol_table(report))
    if report.left_out:
        console.print(f"{report.left_out} images have no target and are left out, as the protocol says")
    if report.failures:
        console.print(f"{len(report.failures)} frames could not be scored; the same command tries them again")
    return _FAILED if report.failures else 0


def _source(
    args: argparse.Namespace, protocol: EvaluationProtocol
) -> tuple[PredictionSource, dict[str, Any], PublishedRow | None]:
    """Return what predicts, all that its predictions depend on, and its published scores."""
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.evaluation.protocols.published import rows_of  # noqa: PLC0415
    from e2e_depth_ros.evaluation.sources import EstimatorSource  # noqa: PLC0415

    saved = saved_predictions(args)
    if saved is not None:
        settings = {"predictions": str(args.predictions.resolve()), "kind": saved.kind.value}
        return saved, settings, None
    if args.processing_resolution is None:
        args.processing_resolution = protocol.processing_resolution
    if args.domain is None:
        args.domain = protocol.domain
    estimator = load_estimator(args)
    if protocol.task not in estimator.tasks:
        raise InvalidInputError(f"expected a model that predicts {protocol.task.value} for {protocol.name}")
    sampling = estimator.sampling
    rows = (
        row
        for row in rows_of(protocol.name)
        if row.is_of(estimator.facts.name, estimator.steps, sampling.ensemble_size, sampling.spacing)
    )
    return EstimatorSource(estimator, (protocol.task,)), _settings(estimator), next(rows, None)


def _settings(estimator: Estimator) -> dict[str, Any]:
    weights = hashlib.sha256("".join(sorted(estimator.engine.hashes().values())).encode()).hexdigest()
    return {
        "model": estimator.facts.name,
        "weights_sha256": weights,
        "processing_resolution": estimator.processing_resolution,
        "upsampling": estimator.upsampling,
        "engine": estimator.place.engine,
        "dtype": estimator.place.precision,
        **asdict(estimator.sampling),
        "steps": estimator.steps,
    }


def _write_gallery(path: Path, report: ProtocolReport, tree: DataTree, source: PredictionSource) -> None:
    """Draw the best frames and the worst ones, below each other. They are predicted anew."""
    from e2e_depth_ros.cli.pictures import stacked, write_picture  # noqa: PLC0415
    from e2e_depth_ros.cli.protocol_gallery import gallery_row  # noqa: PLC0415
    from e2e_depth_ros.evaluation.protocols.evaluation import frame_error, predicted  # noqa: PLC0415
    from e2e_depth_ros.model.task import Task  # noqa: PLC0415

    protocol = report.protocol
    names = report.ranked()
    best = names[: min(_GALLERY_FRAMES, -(-len(names) // 2))]
    worst = names[len(best) :][-_GALLERY_FRAMES:]
    frames = {frame.name: frame for frame in protocol.find(tree)[0]}
    rows = []
    for name in best + worst:
        sample = protocol.read(tree, frames[name])
        prediction = predicted(protocol, source, frames[name], sample)
        error = frame_error(report.scores[name])
        score = f"AbsRel {100 * error:.1f} %" if protocol.task is Task.DEPTH else f"{error:.1f} deg"
        label = f"{'best' if name in best else 'worst'}: {score}, {Path(name).name}"
        rows.append(gallery_row(protocol, label, sample, prediction))
    write_picture(path, stacked(rows))
