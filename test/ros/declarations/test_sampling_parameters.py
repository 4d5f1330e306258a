"""How images are sampled, from parameters."""

from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.ros.declarations.declaration import settings_from_parameters
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters


def test_parameters_that_stand_for_none_make_none():
    values = Parameters(denoising_steps=4, noise_seed=-1)
    assert settings_from_parameters(Sampling, values) == Sampling(steps=4, seed=None)
