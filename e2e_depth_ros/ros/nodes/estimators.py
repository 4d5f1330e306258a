"""Loads the network that the depth node's parameters name, for the node and for whoever stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters

if TYPE_CHECKING:
    from e2e_depth_ros.model.estimator import Estimator

_USUAL_SIZE: Final = (480, 640)  # of the first images, as far as one can know


def estimator_from_parameters(parameters: Parameters) -> Estimator:
    """Load the network, so that it is ready for the first image.

    Raises:
        CheckpointError: It isn't there or isn't whole.
        InvalidInputError: A parameter is impossible for it.
        MissingDependencyError: The engine's library isn't installed.
    """
    from e2e_depth_ros.model.estimator import Estimator  # noqa: PLC0415 - not before a model is wanted

    estimator = Estimator.load(
        parameters.model,
        task=parameters.task,
        engine=parameters.engine,
        compiled=parameters.compiled,
        sampling=parameters.sampling,
        upsampling=parameters.upsampling,
        batch_memory_mb=parameters.batch_memory,
        **parameters.loading,
    )
    for tasks in ((Task.DEPTH,), tuple(Task)):
        if estimator.tasks.issuperset(tasks):
            estimator.warm_up(_USUAL_SIZE, tasks)
    return estimator
