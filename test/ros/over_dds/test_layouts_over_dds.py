"""Every family runs in the node; what it can't do is refused in one line, and the node goes on."""

import json
import os
import shutil

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from safetensors.torch import load_file, save_file

from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess, set_parameter

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]

PLAIN = {"denoising_steps": 0, "ensemble_size": 1, "latent_carry": 0.0}
SETTINGS = {
    "marigold_depth_v1_1": {"denoising_steps": 2, "ensemble_size": 3, "latent_carry": 0.1},
    "marigold_depth_v1_0": {"denoising_steps": 2, "ensemble_size": 1, "latent_carry": 0.0},
    "marigold_depth_lcm": {"denoising_steps": 1},
    "geowizard_v1": {"scene_domain": "object"},
    "geowizard_v2": {"scene_domain": "outdoor"},
    "geowizard_e2e_ft": {},
    "marigold_normals_v0_1": {"denoising_steps": 2},
    "marigold_normals_v1_1": {},
    "marigold_normals_lcm": {"denoising_steps": 1},
    "e2e_ft_normals": {"denoising_steps": 0},
    "lotus_d_disparity": {"denoising_steps": 0},
    "lotus_d_normals": {},
    "lotus_g_depth": {"ensemble_size": 3},
    "genpercept_depth": {"ensemble_size": 1},
    "e2e_ft_depth": {},
}
"""What of the node's parameters changes from one layout to the next."""


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
        output = Output.NORMALS if "normals" in layout else Output.RELATIVE
        robot.listen(output)
        assert robot.stream_until(lambda: output in robot.received), f"{layout}:\n{process.output}"  # noqa: B023
        message = robot.received[output][-1]
        assert np.isfinite(np.frombuffer(message.data, np.float32)).all(), layout
        if output is Output.RELATIVE and "geowizard" not in layout:
            before = robot.refused("model: task")
            robot.listen(Output.NORMALS)
            assert robot.stream_until(lambda: robot.refused("model: task") > before), layout  # noqa: B023


def test_disparity_becomes_metres_and_the_task_is_a_parameter(process, robot, tiny_checkpoint, tmp_path):
    """Samples whose inverse is affine in what is predicted: only a fit of disparity brings them back."""
    silent = shutil.copytree(tiny_checkpoint("lotus_d_disparity"), tmp_path / "tuned")
    assert not reconfigure(robot, model=str(silent), **PLAIN)
    assert "give the task: depth, disparity, normals" in process.output
    assert reconfigure(robot, model=str(silent), task="disparity")
    assert change(robot, Transition.TRANSITION_ACTIVATE)
    robot.listen(Output.RELATIVE)
    assert robot.stream_until(lambda: Output.RELATIVE in robot.received), process.output
    nearness = 1 - pixels_of(robot.received[Output.RELATIVE][-1])  # it is published as 0 near .. 1 far
    assert np.ptp(nearness) > 0.01
    inverse = 0.1 + (nearness - nearness.min()) / np.ptp(nearness)
    truth_m = (1 / inverse).astype(np.float32)
    sparse_m = np.zeros_like(truth_m)
    sparse_m[::3, ::3] = truth_m[::3, ::3]
    robot.listen(Output.DEPTH)
    header = robot.header()
    robot.send_frame(header=header, sparse=message_from_array(sparse_m, "32FC1", header))
    assert robot.stream_until(lambda: Output.DEPTH in robot.received), process.output
    np.testing.assert_allclose(pixels_of(robot.received[Output.DEPTH][-1]), truth_m, rtol=0.02)
    assert reconfigure(robot, model=str(tiny_checkpoint("e2e_ft_depth")), task="auto", **PLAIN)


def pixels_of(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def test_a_checkpoint_of_normals_asked_for_depth_is_one_line(process, robot, tiny_checkpoint):
    """It is told at each image, as subscribers come and go; the node goes on."""
    assert reconfigure(robot, model=str(tiny_checkpoint("e2e_ft_normals")), denoising_steps=0)
    assert change(robot, Transition.TRANSITION_ACTIVATE)
    before = robot.refused("model: task")
    robot.listen(Output.RELATIVE)
    assert robot.stream_until(lambda: robot.refused("model: task") > before), process.output
    assert "asked for depth, it predicts normals" in robot.frames()["last_refusal"]
    robot.listen(Output.NORMALS)
    assert robot.stream_until(lambda: Output.NORMALS in robot.received), process.output


@pytest.mark.parametrize(
    ("layout", "settings", "message"),
    [
        ("e2e_ft_depth", {"denoising_steps": 4}, "one deterministic step: expected steps 1, got 4"),
        ("marigold_depth_lcm", {"denoising_steps": 60}, "1 to 50 denoising steps, got 60"),
    ],
)
def test_what_a_family_cannot_do_is_one_line(process, robot, tiny_checkpoint, layout, settings, message):
    assert not reconfigure(robot, model=str(tiny_checkpoint(layout)), **{**PLAIN, **settings})
    lines = [line for line in process.output.splitlines() if message in line]
    assert len(lines) == 1
    assert "cannot configure" in lines[0]
    assert reconfigure(robot, model=str(tiny_checkpoint("e2e_ft_depth")), **PLAIN)


def spoilt(folder, what):
    """Spoil a checkpoint in a way that makes it none of those known."""
    if what == "no scheduler":
        (folder / "scheduler" / "scheduler_config.json").unlink()
        return "scheduler/scheduler_config.json missing"
    if what == "named pipe":
        (folder / "vae" / "config.json").unlink()
        os.mkfifo(folder / "vae" / "config.json")
        return "vae/config.json is a named pipe"
    if what == "scaling by 0":
        path = folder / "vae" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "scaling_factor": 0}))
        return "vae/config.json: expected scaling_factor of 0.001 to 1000, got 0"
    if what in {"whole numbers", "1e30"}:
        path = folder / "unet" / "diffusion_pytorch_model.safetensors"
        tensors = load_file(path)
        bias = tensors["conv_in.bias"]
        save_file({**tensors, "conv_in.bias": bias + 1e30 if what == "1e30" else bias.int()}, path)
        words = "has values of up to 1e+30" if what == "1e30" else "as F64, F32, F16, BF16, got I32"
        return f"conv_in.bias {words}"
    path = folder / "unet" / "config.json"
    change = {"9 input channels": {"in_channels": 9}, "unknown family": {"class_embed_type": "timestep"}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **change[what]}))
    return {
        "9 input channels": "inpainting, which fills holes",
        "unknown family": "which no family known here has",
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "no scheduler",
        "9 input channels",
        "unknown family",
        "named pipe",
        "scaling by 0",
        "whole numbers",
        "1e30",
    ],
)
def test_a_spoilt_checkpoint_is_one_line_and_the_node_stays(process, robot, tiny_checkpoint, tmp_path, what):
    folder = shutil.copytree(tiny_checkpoint("e2e_ft_depth"), tmp_path / "spoilt-depth")
    message = spoilt(folder, what)
    assert not reconfigure(robot, model=str(folder), **PLAIN)
    lines = [line for line in process.output.splitlines() if message in line]
    assert len(lines) == 1
    assert "cannot configure" in lines[0]
    assert robot.call(GetState, "/depth/get_state").current_state.id == State.PRIMARY_STATE_UNCONFIGURED


def test_a_checkpoint_that_paints_is_one_line(process, robot, painter_folder):
    assert not reconfigure(robot, model=str(painter_folder), **PLAIN)
    assert "paints by instruction (InstructDiffusion): mask_node runs it" in process.output
    assert "Traceback" not in process.output
