"""Loads the network that the depth node's parameters name, for the node and for whoever stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e_depth_ros.ros.declarations.depth_parameters import Parameters

if TYPE_CHECKING:
    from e2e_depth_ros.model.estimator import Estimator


def estimator_from_parameters(parameters: Parameters) -> Estimator:
    """Load the network.

    Raises:
        CheckpointError: It isn't there or isn't whole.
        InvalidInputError: A parameter is impossible for it.
    """
    # Torch takes seconds to import: not before a model is wanted.
    from e2e_depth_ros.model.estimator import Estimator  # noqa: PLC0415

    return Estimator.load(
        parameters.model,
        sampling=parameters.sampling,
        upsampling=parameters.upsampling,
        batch_memory_mb=parameters.batch_memory,
        **parameters.loading,
    )
