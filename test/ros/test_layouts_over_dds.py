"""Every family runs in the node; what it can't do is refused in one line, and the node goes on."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

from e2e_depth_ros.ros.images import depth_from_message
from e2e_depth_ros.ros.outputs import Output

from .conftest import NodeProcess, set_parameter

pytestmark = pytest.mark.timeout(600)

SETTINGS = {
    "marigold_depth_v1_1": {"denoising_steps": 2, "ensemble_size": 3, "latent_carry": 0.1},
    "marigold_depth_lcm": {"denoising_steps": 1, "ensemble_size": 1, "latent_carry": 0.0},
    "geowizard_v1": {"denoising_steps": 1, "scene_domain": "object"},
    "geowizard_v2": {"denoising_steps": 1, "scene_domain": "outdoor"},
    "e2e_ft_depth": {"denoising_steps": 0},
}


@pytest.fixture(scope="module")
def process(tiny_checkpoint, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    parameters = {"model": tiny_checkpoint("e2e_ft_depth"), "processing_resolution": "32"}
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    process.stop()


def change(robot, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return robot.call(ChangeState, "/depth/change_state", request, timeout_s=90).success


def reconfigure(robot, **parameters):
    """Take the node down to unconfigured, set parameters, and tell whether it configures with them."""
    state = robot.call(GetState, "/depth/get_state").current_state.id
    if state == State.PRIMARY_STATE_ACTIVE:
        assert change(robot, Transition.TRANSITION_DEACTIVATE)
    if state != State.PRIMARY_STATE_UNCONFIGURED:
        assert change(robot, Transition.TRANSITION_CLEANUP)
    for name, value in parameters.items():
        result = set_parameter(robot, name, value)
        assert result.successful, result.reason
    return change(robot, Transition.TRANSITION_CONFIGURE)


def test_every_layout_publishes(process, robot, tiny_checkpoint):
    for layout, settings in SETTINGS.items():
        assert reconfigure(robot, model=str(tiny_checkpoint(layout)), **settings), process.output
        assert change(robot, Transition.TRANSITION_ACTIVATE)
        robot.listen(Output.RELATIVE)
        assert robot.stream_until(lambda: Output.RELATIVE in robot.received), f"{layout}:\n{process.output}"
        depth = depth_from_message(robot.received[Output.RELATIVE][-1])
        assert np.isfinite(depth).all(), layout


@pytest.mark.parametrize(
    ("layout", "settings", "message"),
    [
        ("e2e_ft_depth", {"denoising_steps": 4}, "one deterministic step: expected steps 1, got 4"),
        ("marigold_depth_lcm", {"denoising_steps": 60}, "1 to 50 denoising steps, got 60"),
    ],
)
def test_what_a_family_cannot_do_is_one_line(process, robot, tiny_checkpoint, layout, settings, message):
    plain = {"denoising_steps": 0, "ensemble_size": 1, "latent_carry": 0.0}
    assert not reconfigure(robot, model=str(tiny_checkpoint(layout)), **{**plain, **settings})
    lines = [line for line in process.output.splitlines() if message in line]
    assert len(lines) == 1
    assert "cannot configure" in lines[0]
    assert reconfigure(robot, model=str(tiny_checkpoint("e2e_ft_depth")), **plain)
