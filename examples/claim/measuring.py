"""What each way to predict scores: many steps and one step of the diffusion, and the fine-tuned networks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.loop import CHECKPOINT
from e2e_depth_ros.training.validation import Predicted, Scores, score
from e2e_depth_scenes.packing import fault_of
from e2e_depth_scenes.ray_caster import render_scene

SIZE = (128, 192)
FIRST_SEED = 1_000_000
"""Of the views: the trainings take seeds from 1 on."""

DIFFUSION = "marigold_depth"
MOST_STEPS = 50
_FINE_TUNED = {
    "e2e_zeros": 'E2E-FT of "Marigold", from zeros',
    "e2e_gaussian": 'E2E-FT of "Marigold", from Gaussian noise',
    "e2e_pyramid": 'E2E-FT of "Marigold", from noise of many scales',
    "e2e_from_images": 'E2E-FT of "Stable Diffusion", from zeros',
    "direct": "The same network end to end from random weights",
}


@dataclass(frozen=True)
class Row:
    """A way to predict.

    Attributes:
        name: What it is called.
        checkpoint: Its training, as its recipe is called.
        sampling: How it samples.
    """

    name: str
    checkpoint: str
    sampling: Sampling


@dataclass(frozen=True)
class Measured:
    """What a row scores.

    Attributes:
        row: The way.
        scores: Over all views.
        abs_rel: Of each view.
        cpu_ms: Processor time of one view, median, milliseconds.
        sha256: Of the network's weights.
        shown: Predictions of the first views.
    """

    row: Row
    scores: Scores
    abs_rel: tuple[float, ...]
    cpu_ms: float
    sha256: str
    shown: tuple[Predicted, ...]


def rows() -> list[Row]:
    """Return the rows of the table."""
    found = [Row("Diffusion, ensemble", DIFFUSION, Sampling(steps=MOST_STEPS, ensemble_size=10))]
    found += [Row("Diffusion", DIFFUSION, Sampling(steps=steps)) for steps in (MOST_STEPS, 10, 4, 2)]
    found.append(Row("Diffusion, one step, fixed", DIFFUSION, Sampling(steps=1)))
    found.append(Row("Diffusion, one step, fixed, ensemble", DIFFUSION, Sampling(steps=1, ensemble_size=10)))
    for steps in (MOST_STEPS, 10, 4, 2):
        found.append(Row("Diffusion", DIFFUSION, Sampling(steps=steps, spacing="leading")))
    found.append(Row("Diffusion, one step, flawed", DIFFUSION, Sampling(steps=1, spacing="leading")))
    return found + [Row(name, folder, Sampling()) for folder, name in _FINE_TUNED.items()]


def held_out_views(count: int) -> list[View]:
    """Render views that no training saw; the same ones each time.

    Args:
        count: How many; fewer are the first of more.
    """
    views: list[View] = []
    seed = FIRST_SEED
    while len(views) < count:
        sample = render_scene(np.random.default_rng(seed), SIZE)
        seed += 1
        if fault_of(sample) is None:
            views.append(View(sample.image, sample.depth_m, sample.normals))
    return views


def measure(row: Row, runs: Path, views: Sequence[View], *, shown: int = 0) -> Measured:
    """Predict all views and score them as validation does: AbsRel after least squares, native size.

    Args:
        row: How.
        runs: Folder with the output folder of each training.
        views: At least one.
        shown: How many predictions to keep.

    Raises:
        CheckpointError: There is no such network.
        InvalidInputError: It can't be sampled so.
    """
    folder = runs / row.checkpoint / CHECKPOINT
    estimator = Estimator.load(folder, device="cpu", sampling=row.sampling)
    predicted, seconds, errors = [], [], []
    for view in views:
        begin = time.process_time()
        estimate = estimator.estimate(view.image)
        seconds.append(time.process_time() - begin)
        predicted.append(Predicted(estimate.outlined_depth))
        errors.append(score([view], predicted[-1:]).abs_rel)
    return Measured(
        row=row,
        scores=score(views, predicted),
        abs_rel=tuple(errors),
        cpu_ms=1e3 * float(np.median(seconds)),
        sha256=_sha256(folder),
        shown=tuple(predicted[:shown]),
    )


def _sha256(folder: Path) -> str:
    """Hash the weights of UNet and VAE."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
