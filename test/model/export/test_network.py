"""UNets of every shape that a graph expresses equal torch, and what it doesn't express is refused by name.

test_graph_engine.py compares whole checkpoints; here are configs that none of them has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.export.folder import largest_difference
from e2e_depth_ros.model.export.network import write_network
from e2e_depth_ros.model.export.placing import initializers, write_weights
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.one_step import ONE_STEP_SCHEDULER, OneStepSampler, denoising_step
from e2e_depth_ros.model.task import Task

_BOTH = [Task.DEPTH, Task.NORMALS]
# Of decoded values, tens of times as large as a trained network's: 6e-8 of sums of some hundred, in some
# twenty layers. A layer that is left out makes 1e-2 and more.
_ROUNDING = 1e-4
_LATENTS = 4


def _network(scheduler: dict[str, Any] | None = None, **changes: Any) -> LatentNetwork:
    config = {
        "sample_size": 12,
        "in_channels": 2 * _LATENTS,
        "out_channels": _LATENTS,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 12,
        "attention_head_dim": (2, 4),
        "norm_num_groups": 4,
        "use_linear_projection": True,
        **changes,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(**config)
        vae = AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8),
            decoder_block_out_channels=(8, 8, 8),
            num_encoder_blocks=(1, 1, 1),
            num_decoder_blocks=(1, 1, 1),
            latent_channels=_LATENTS,
        )
        with torch.no_grad():  # random weights answer all but the same everywhere: let mistakes show
            for parameter in (*unet.conv_out.parameters(), *vae.decoder.layers[-1].parameters()):
                parameter.mul_(10)
            for name, parameter in unet.named_parameters():
                if "norm" in name:
                    parameter.add_(torch.randn_like(parameter), alpha=0.3)
        prompts = {task: torch.randn(1, 3, 12) for task in _BOTH}
    step = denoising_step({**ONE_STEP_SCHEDULER, **(scheduler or {})})
    return LatentNetwork(unet, vae, prompts, OneStepSampler(step)).eval().requires_grad_(requires_grad=False)


def _difference(network: LatentNetwork, tasks: list[Task], folder: Path, **options: Any) -> float:
    graph = write_network(network, tasks, **options)
    made = initializers(graph, write_weights([graph], folder), folder)
    path = folder / "graph.onnx"
    onnx.save_model(graph.model(made), str(path))
    onnx.checker.check_model(str(path), full_check=True)
    return largest_difference(network, tasks, path, "float32", options.get("size"))


_UNETS: dict[str, dict[str, Any]] = {
    "convolutions around attention": {"use_linear_projection": False},
    "image only": {"in_channels": _LATENTS},
    "prompt alone": {"only_cross_attention": (True, False)},
    "two layers": {"layers_per_block": 2},
    "two transformers": {"transformer_layers_per_block": 2},
    "three sizes": {
        "block_out_channels": (8, 8, 16),
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 2,
    },
    "no attention": {
        "down_block_types": ("DownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "UpBlock2D"),
    },
    "attention in the last size alone": {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    },
    "no middle": {"mid_block_type": None},
    "scaled middle": {"mid_block_scale_factor": 2.0},
    "another epsilon": {"norm_eps": 1e-2},
    "flipped time": {"flip_sin_to_cos": False, "freq_shift": 1},
    "activated time": {"time_embedding_act_fn": "silu"},
    "time activated before": {"resnet_skip_time_act": True},
}


@pytest.mark.parametrize("what", _UNETS)
def test_unets_equal_torch(tmp_path: Path, what: str) -> None:
    assert 0 < _difference(_network(**_UNETS[what]), _BOTH, tmp_path) < _ROUNDING


@pytest.mark.parametrize(
    ("what", "norms"), [("two layers", 2), ("attention in the last size alone", 4), ("no attention", 4)]
)
def test_what_no_prompt_tells_apart_is_computed_once_for_all_tasks(what: str, norms: int) -> None:
    nodes = write_network(_network(**_UNETS[what]), _BOTH).model({}).graph.node
    kinds = [(node.op_type, [a.i for a in node.attribute if a.name == "axis"]) for node in nodes]
    before = [kind for kind, _ in kinds[: kinds.index(("Concat", [0]))]]
    assert before.count("InstanceNormalization") == norms


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
@pytest.mark.parametrize("to_one", [True, False])
@pytest.mark.parametrize("clip", [True, False])
def test_steps_equal_torch(tmp_path: Path, prediction: str, to_one: bool, clip: bool) -> None:
    scheduler = {
        "prediction_type": prediction,
        "set_alpha_to_one": to_one,
        "clip_sample": clip,
        "clip_sample_range": 0.7,
    }
    network = _network(scheduler)
    assert (network.sampler.step.final_noise == 0) == to_one
    # Epsilon is divided by the signal at the last timestep, 0.068, and so is its rounding.
    most = _ROUNDING * (15 if prediction == "epsilon" else 1)
    assert 0 < _difference(network, [Task.NORMALS], tmp_path) < most


def test_one_size_alone(tmp_path: Path) -> None:
    assert 0 < _difference(_network(), [Task.DEPTH], tmp_path, size=(12, 20)) < _ROUNDING
    graph = onnx.load(str(tmp_path / "graph.onnx"), load_external_data=False).graph
    (pixels,) = graph.input
    assert [d.dim_value or d.dim_param for d in pixels.type.tensor_type.shape.dim] == ["batch", 3, 12, 20]


def test_constants_are_folded() -> None:
    """No embedding of time, no projection of the prompt, no zeros beside the image are left to compute."""
    network = _network()
    graph = write_network(network, [Task.DEPTH])
    shapes = [tuple(tensor.shape) for tensor in graph.weights.values()]
    assert (8, _LATENTS, 3, 3) in shapes
    assert "unet.conv_in.weight" not in graph.weights
    names = set(graph.weights)
    assert not {name for name in names if "time" in name or "attn2.to_k" in name or "attn2.to_v" in name}
    assert (1, 8, 3, 3) in shapes  # the mean of depth's three channels


_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "time as a factor": ({"resnet_time_scale_shift": "scale_shift"}, "the timestep added"),
    "another activation": ({"act_fn": "mish"}, "SiLU or ReLU, not Mish"),
    "another block": (
        {"down_block_types": ("CrossAttnDownBlock2D", "AttnDownBlock2D")},
        "not AttnDownBlock2D",
    ),
    "another middle": (
        {"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"},
        "not UNetMidBlock2DSimpleCrossAttn",
    ),
    "centred latents": ({"center_input_sample": True}, "reads latents as they are"),
    "a gate": ({"attention_type": "gated"}, "without a fuser"),
    "joined classes": (
        {
            "class_embed_type": "projection",
            "projection_class_embeddings_input_dim": 4,
            "class_embeddings_concat": True,
        },
        "class embeddings that are added",
    ),
}


@pytest.mark.parametrize("what", _REFUSED)
def test_what_it_does_not_express_is_refused(what: str) -> None:
    changes, why = _REFUSED[what]
    with pytest.raises(InvalidInputError, match=f"can't be exported: expected .*{why}") as caught:
        write_network(_network(**changes), [Task.DEPTH])
    assert "\n" not in str(caught.value)


def test_noise_is_refused() -> None:
    network = _network()
    network.sampler = OneStepSampler(network.sampler.step, "gaussian")
    with pytest.raises(InvalidInputError, match="starts from gaussian noise"):
        write_network(network, [Task.DEPTH])
