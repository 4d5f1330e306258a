"""UNets that are published alone are joined with the parts that they need."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.families.genpercept import GENPERCEPT
from e2e_depth_ros.model.families.joining import join
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task


@pytest.fixture
def unet(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder as published: the weights of a UNet, and nothing else."""
    weights = load_file(tiny_checkpoint("stable_diffusion") / "unet" / "diffusion_pytorch_model.safetensors")
    folder = tmp_path / "unet_depth_v2"
    folder.mkdir()
    save_file(
        {name: 0.9 * tensor for name, tensor in weights.items()},
        folder / "diffusion_pytorch_model.safetensors",
    )
    return folder


@pytest.mark.parametrize(
    ("task", "kind"),
    [("depth", DepthKind.AFFINE_INVARIANT), ("disparity", DepthKind.AFFINE_INVARIANT_DISPARITY)],
)
def test_a_joined_checkpoint_says_what_it_is(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, unet: Path, task: str, kind: DepthKind
) -> None:
    base = tiny_checkpoint("stable_diffusion")
    folder = join(unet, base, tmp_path / "out", task)
    loaded = load_checkpoint(folder)
    assert (loaded.facts.family, loaded.facts.tasks) == (GENPERCEPT, {Task.DEPTH})
    assert loaded.facts.depth_kind is kind
    theirs = load_file(unet / "diffusion_pytorch_model.safetensors")["conv_in.weight"]
    np.testing.assert_array_equal(loaded.model.unet.conv_in.weight.detach(), theirs)
    with pytest.raises(InvalidInputError, match="expected steps 1, got 3"):
        load_checkpoint(folder, sampling=Sampling(steps=3))


def test_join_from_the_command_line(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, unet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, out = str(tiny_checkpoint("stable_diffusion")), str(tmp_path / "joined")
    assert main(["checkpoint", "join", str(unet), base, out, "--task", "normals"]) == 0
    capsys.readouterr()
    assert main(["checkpoint", "verify", out, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["tasks"], facts["family"]) == (["normals"], GENPERCEPT.title)
    assert main(["checkpoint", "join", str(unet), base, out, "--task", "normals"]) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err


def test_refuses_parts_that_do_not_fit(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, unet: Path
) -> None:
    with pytest.raises(
        CheckpointError, match=r"expected Stable Diffusion, whose parts a UNet needs, got .*Marigold"
    ):
        join(unet, tiny_checkpoint("marigold_depth_v1_0"), tmp_path / "out", "depth")
    weights = unet / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({name: t for name, t in tensors.items() if not name.startswith("conv_out")}, weights)
    with pytest.raises(CheckpointError, match=r"2 of .* tensors are missing .*conv_out"):
        join(unet, tiny_checkpoint("stable_diffusion"), tmp_path / "out", "depth")
    assert not (tmp_path / "out").exists()
