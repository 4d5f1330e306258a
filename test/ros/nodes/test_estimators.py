import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.nodes.estimators import estimator_from_parameters


def test_the_network_is_the_one_that_the_parameters_name(model_folder):
    parameters = Parameters(
        model=str(model_folder), processing_resolution=32, upsampling="bilinear", num_threads=1
    )
    estimator = estimator_from_parameters(parameters)
    assert Task.DEPTH in estimator.tasks
    assert (estimator.processing_resolution, estimator.upsampling) == (32, "bilinear")


def test_what_it_cannot_do_is_refused(model_folder):
    with pytest.raises(InvalidInputError, match="got 4"):
        estimator_from_parameters(Parameters(model=str(model_folder), denoising_steps=4, num_threads=1))
