"""The state's file: what goes in comes out, and safetensors' own reader agrees."""

import os

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.training.state import FORMAT, Progress, load_state, save_state


class Network(nn.Module):
    """Of parameters and buffers of several types and layouts."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(5, 3, 2, 7, generator=generator))
        self.scale = nn.Parameter(torch.randn((), generator=generator))
        self.frozen = nn.Parameter(torch.randn(3, generator=generator).bfloat16(), requires_grad=False)
        self.register_buffer("small", torch.randn(2, 3, generator=generator).half())
        self.register_buffer("counts", torch.randint(0, 99, (4,), generator=generator))
        self.register_buffer("nothing", torch.zeros(0, 3))
        self.to(memory_format=torch.channels_last)


def optimiser_of(network):
    return torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=0.1, fused=True)


def step(network, optimiser):
    optimiser.zero_grad()
    (network.weight.square().sum() * network.scale).backward()
    optimiser.step()


def test_comes_out_as_it_went_in_and_goes_on_alike(tmp_path):
    network = Network(1)
    optimiser = optimiser_of(network)
    step(network, optimiser)
    averaged = {"weight": torch.randn(5, 3, 2, 7)}
    progress = Progress(step=3, bad_steps=1, seconds=2.5, contents={"0/a.npz": 7})
    save_state(tmp_path / "state", network, optimiser, averaged, progress)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]

    other, found = Network(2), {"weight": torch.zeros(5, 3, 2, 7)}
    other_optimiser = optimiser_of(other)
    assert load_state(tmp_path / "state", other, other_optimiser, found) == progress
    assert torch.equal(found["weight"], averaged["weight"])
    for _ in range(2):
        for name, tensor in network.state_dict().items():
            assert tensor.dtype == other.state_dict()[name].dtype
            assert torch.equal(tensor, other.state_dict()[name]), name
        step(network, optimiser)
        step(other, other_optimiser)


def test_safetensors_reads_the_same(tmp_path):
    network = Network(1)
    optimiser = optimiser_of(network)
    step(network, optimiser)
    save_state(tmp_path / "state", network, optimiser, {}, Progress())
    tensors = load_file(tmp_path / "state")
    for name, tensor in network.state_dict().items():
        assert tensors[f"model.{name}"].dtype == tensor.dtype
        assert torch.equal(tensors[f"model.{name}"], tensor), name
    assert torch.equal(
        tensors["optimiser.weight.exp_avg_sq"], optimiser.state[network.weight]["exp_avg_sq"].contiguous()
    )
    assert tensors["optimiser.scale.step"].shape == ()


@pytest.mark.parametrize("keep", [0.2, 0.999])
def test_half_a_file_is_refused(tmp_path, keep):
    network = Network(1)
    save_state(tmp_path / "state", network, optimiser_of(network), {}, Progress())
    content = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(CheckpointError, match="training state to continue from"):
        load_state(tmp_path / "state", network, optimiser_of(network), {})


def test_another_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"model.weight": torch.zeros(2)}, tmp_path / "state")
    network = Network(1)
    with pytest.raises(CheckpointError, match="expected format"):
        load_state(tmp_path / "state", network, optimiser_of(network), {})


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "state")
    network = Network(1)
    with pytest.raises(CheckpointError, match=r"training state to continue from .*named pipe"):
        load_state(tmp_path / "state", network, optimiser_of(network), {})


@pytest.mark.parametrize("progress", ["[" * 100_000, "{", "5", '{"unknown": 1}'], ids=range(4))
def test_progress_that_is_none_is_refused(tmp_path, progress):
    from safetensors.torch import save_file

    network = Network(1)
    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, tmp_path / "state", {"format": FORMAT, "progress": progress})
    with pytest.raises(CheckpointError, match="training state to continue from"):
        load_state(tmp_path / "state", network, optimiser_of(network), {})
