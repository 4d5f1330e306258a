"""The arguments of `e2e-depth evaluate` that score what `predict` wrote earlier."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from e2e_depth_ros.core.errors import InvalidInputError

if TYPE_CHECKING:
    from e2e_depth_ros.evaluation.sources import SavedSource


def saved_predictions(args: argparse.Namespace) -> SavedSource | None:
    """Return what --predictions and --metric name; None where a model is to predict.

    Raises:
        InvalidInputError: They don't go together, or there is no such folder.
    """
    from e2e_depth_ros.core.maps import DepthKind  # noqa: PLC0415 - heavy imports wait
    from e2e_depth_ros.evaluation.sources import SavedSource  # noqa: PLC0415

    if args.predictions is None:
        if args.metric:
            raise InvalidInputError("expected --predictions with --metric: a model alone has no metres")
        return None
    if not args.predictions.is_dir():
        raise InvalidInputError(f"expected a folder of predictions, but {args.predictions} is none")
    return SavedSource(args.predictions, DepthKind.METRIC if args.metric else DepthKind.AFFINE_INVARIANT)
