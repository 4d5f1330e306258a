"""A protocol applied to a source of predictions, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.core.frames import Frame
from e2e_depth_ros.core.maps import DepthMap, NormalMap
from e2e_depth_ros.core.metrics import DepthScores, NormalErrors, NormalScores
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol, Sample, SetFrame
from e2e_depth_ros.evaluation.protocols.published import PublishedRow, rows_of
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules, NormalsRules
from e2e_depth_ros.evaluation.protocols.store import FrameScores, ScoreStore
from e2e_depth_ros.evaluation.protocols.tree import DataTree
from e2e_depth_ros.evaluation.sources import PredictionSource
from e2e_depth_ros.model.task import Task

DEPTH_METRICS = ("abs_rel", "delta1", "delta2", "delta3", "rmse_m", "log10", "silog")
"""The metrics of depth whose means over the frames are reported."""


@dataclass(eq=False)
class ProtocolReport:
    """The scores of a source by a protocol.

    Attributes:
        protocol: The protocol.
        name: Of the source.
        settings: All that the scores depend on.
        left_out: Images that the protocol leaves out for they have no target.
        scores: Of each frame.
        failures: Name of each frame that could not be scored, and why.
        published: The published scores of this very checkpoint, sampled so; None if there are none.
    """

    protocol: EvaluationProtocol
    name: str
    settings: Mapping[str, Any]
    left_out: int = 0
    scores: dict[str, FrameScores] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    published: PublishedRow | None = None

    def depth_means(self) -> dict[str, float]:
        """Mean of each metric of depth over the frames; empty where none was scored."""
        scores = [one for one in self.scores.values() if isinstance(one, DepthScores)]
        if not scores:
            return {}
        return {name: float(np.mean([getattr(one, name) for one in scores])) for name in DEPTH_METRICS}

    def normal_scores(self) -> NormalScores | None:
        """Scores over the pixels of all frames; None where none was scored."""
        pooled = NormalErrors()
        for one in self.scores.values():
            if isinstance(one, NormalErrors):
                pooled.merge(one)
        return pooled.scores()

    def ranked(self) -> list[str]:
        """Names of the frames, the best first: by AbsRel, or by the mean angle."""
        return sorted(self.scores, key=lambda name: (frame_error(self.scores[name]), name))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as an object for JSON; shares are 0..1, those of published rows percent."""
        normals = self.normal_scores()
        return {
            "protocol": self.protocol.name,
            "name": self.name,
            "settings": dict(self.settings),
            "frames_expected": self.protocol.frame_count,
            "frames_scored": len(self.scores),
            "frames_left_out": self.left_out,
            "scores": asdict(normals) if normals else self.depth_means(),
            "published": None if self.published is None else self._row(self.published),
            "all_published": [self._row(row) for row in rows_of(self.protocol.name)],
            "frames": {name: _summary(one) for name, one in self.scores.items()},
            "failures": self.failures,
        }

    def _row(self, row: PublishedRow) -> dict[str, Any]:
        names = (
            ("abs_rel_percent", "delta1_percent")
            if self.protocol.task is Task.DEPTH
            else ("mean_deg", "within_11_25_deg_percent")
        )
        return {"method": row.method, **dict(zip(names, row.scores[self.protocol.name], strict=True))}


def frame_error(scores: FrameScores) -> float:
    """How bad a frame is: its AbsRel, or its mean angle in degrees."""
    if isinstance(scores, DepthScores):
        return scores.abs_rel
    return scores.sum_deg / max(int(scores.counts.sum()), 1)


def evaluate_by_protocol(
    protocol: EvaluationProtocol,
    tree: DataTree,
    source: PredictionSource,
    store: ScoreStore,
    report: ProtocolReport,
    *,
    progress: Callable[[list[SetFrame]], Iterable[SetFrame]] = iter,
    on_failure: Callable[[SetFrame, str], None] = lambda _frame, _reason: None,
) -> None:
    """Score all frames of a data set that have no score yet.

    Args:
        protocol: How.
        tree: The data set.
        source: What predicts.
        store: Scores of an earlier run with the same settings; those of this run join them.
        report: Where everything is gathered.
        progress: Wraps the frames that are still to do.
        on_failure: Called for each frame that can't be scored, with the reason.

    Raises:
        InvalidInputError: The tree is another data set, or scores can't be kept.
    """
    frames, report.left_out = protocol.find(tree)
    report.scores.update(
        (frame.name, store.scores[frame.name]) for frame in frames if frame.name in store.scores
    )
    for frame in progress([frame for frame in frames if frame.name not in store.scores]):
        try:
            sample = protocol.read(tree, frame)
            scores = score_sample(protocol, sample, predicted(protocol, source, frame, sample))
        except E2EDepthError as error:
            report.failures[frame.name] = str(error)
            on_failure(frame, str(error))
            continue
        store.add(frame.name, scores)
        report.scores[frame.name] = scores


def predicted(
    protocol: EvaluationProtocol, source: PredictionSource, frame: SetFrame, sample: Sample
) -> DepthMap | NormalMap:
    """Let a source predict what a protocol is about.

    Raises:
        InvalidInputError: It doesn't predict that.
    """
    path = Path(frame.image)
    prediction = source.predict(Frame(path, frame.name, path.parent.name), sample.rgb)
    wanted = prediction.depth if protocol.task is Task.DEPTH else prediction.normals
    if wanted is None:
        raise InvalidInputError(f"expected {protocol.task.value} of {source.name}, which predicts none")
    return wanted


def score_sample(
    protocol: EvaluationProtocol, sample: Sample, prediction: DepthMap | NormalMap
) -> FrameScores:
    """Score one frame.

    Raises:
        InvalidInputError: The prediction can't be scored; see the rules of the protocol.
    """
    rules, target = protocol.rules, sample.target
    if isinstance(rules, DepthRules) and isinstance(prediction, DepthMap) and isinstance(target, DepthMap):
        return rules.score(prediction, target)
    if (
        isinstance(rules, NormalsRules)
        and isinstance(prediction, NormalMap)
        and isinstance(target, NormalMap)
    ):
        return rules.score(prediction, target)
    raise InvalidInputError(f"expected a prediction of {protocol.task.value}, got another map")


def _summary(scores: FrameScores) -> dict[str, Any]:
    if isinstance(scores, DepthScores):
        return asdict(scores)
    summary = scores.scores()
    return asdict(summary) if summary else {}
