"""The layouts of the field: the configs of published checkpoints, as far as they tell one from another.

They are as their authors' programs write them; E2E-FT's, Marigold's and GeoWizard's are described in
model/test_oracle.py and model/families/test_geowizard.py, where networks of these layouts run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_UNET = {
    "_class_name": "UNet2DConditionModel",
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 96,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "class_embed_type": None,
    "projection_class_embeddings_input_dim": None,
    "addition_embed_type": None,
}
SD1 = {"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64}
_VAE = {
    "_class_name": "AutoencoderKL",
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "scaling_factor": 0.18215,
}
DDIM = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "leading",
    "set_alpha_to_one": False,
    "clip_sample": False,
    "steps_offset": 1,
}
DDPM = {**DDIM, "_class_name": "DDPMScheduler", "timestep_spacing": "trailing"}
ZERO_SNR = {**DDIM, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
LCM = {**DDIM, "_class_name": "LCMScheduler", "original_inference_steps": 50}
EPSILON = {**DDIM, "prediction_type": "epsilon"}
PNDM = {**EPSILON, "_class_name": "PNDMScheduler"}
EULER = {**EPSILON, "_class_name": "EulerDiscreteScheduler"}
ANCESTRAL = {**EPSILON, "_class_name": "EulerAncestralDiscreteScheduler"}
TARGET = {"in_channels": 8}
_GEOWIZARD_V1 = {**TARGET, "class_embed_type": "projection", "projection_class_embeddings_input_dim": 10}
TASK_CODE = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 4}
_GENPERCEPT = {**DDIM, "beta_start": 1.0, "beta_end": 1.0}
SD = "StableDiffusionPipeline"


@dataclass(frozen=True)
class Published:
    """A checkpoint.

    Attributes:
        id: Of the hub, or what it is.
        pipeline: The class that its index names.
        scheduler: Its config.
        unet: What its config has otherwise than Stable Diffusion 2's.
        index: What its index says beside classes.
        vae: What its config has otherwise than Stable Diffusion's.
    """

    id: str
    pipeline: str
    scheduler: dict[str, Any] = field(default_factory=lambda: DDIM)
    unet: dict[str, Any] = field(default_factory=dict)
    index: dict[str, Any] = field(default_factory=dict)
    vae: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write the configs where the hub's cache has them, so that the name is the id; no weights."""
        snapshot = folder / f"models--{self.id.replace('/', '--')}" / "snapshots" / "0123abc"
        for name, content in {
            "model_index.json": {"_class_name": self.pipeline, **self.index},
            "unet/config.json": {**_UNET, **self.unet},
            "vae/config.json": {**_VAE, **self.vae},
            "scheduler/scheduler_config.json": self.scheduler,
        }.items():
            path = snapshot / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        return snapshot


def marigold(steps: int, **entries: Any) -> dict[str, Any]:
    return {"default_denoising_steps": steps, "default_processing_resolution": 768, **entries}


_DEPTH = {"prediction_type": "depth", "scale_invariant": True, "shift_invariant": True}
_NORMALS = {"prediction_type": "normals", "use_full_z_range": True}

RECOGNISED: tuple[tuple[Published, str, str, int], ...] = (
    (Published("GonzaloMG/marigold-e2e-ft-depth", SD, DDPM, TARGET), "ONE_STEP", "depth", 1),
    (Published("GonzaloMG/marigold-e2e-ft-normals", SD, DDPM, TARGET), "ONE_STEP", "normals", 1),
    (Published("GonzaloMG/stable-diffusion-e2e-ft-depth", SD, DDPM, TARGET), "ONE_STEP", "depth", 1),
    (Published("GonzaloMG/stable-diffusion-e2e-ft-normals", SD, DDPM, TARGET), "ONE_STEP", "normals", 1),
    (Published("GonzaloMG/marigold-normals", SD, DDIM, TARGET), "DIFFUSION", "normals", 4),
    (
        Published(
            "GonzaloMG/geowizard-e2e-ft",
            "DepthNormalEstimationPipeline",
            {**DDIM, "timestep_spacing": "trailing"},
            _GEOWIZARD_V1,
        ),
        "JOINT_ONE_STEP",
        "depth normals",
        1,
    ),
    (
        Published("lemonaddie/geowizard", "DepthNormalEstimationPipeline", DDIM, _GEOWIZARD_V1),
        "JOINT_DIFFUSION",
        "depth normals",
        10,
    ),
    (
        Published("geowizard_v2", "DepthNormalEstimationPipeline", DDIM, {**TARGET, **TASK_CODE}),
        "JOINT_DIFFUSION",
        "depth normals",
        10,
    ),
    (
        Published("prs-eth/marigold-v1-0", "MarigoldPipeline", DDIM, TARGET, _DEPTH),
        "DIFFUSION",
        "depth",
        4,
    ),
    (
        Published(
            "prs-eth/marigold-depth-v1-0", "MarigoldDepthPipeline", DDIM, TARGET, marigold(10, **_DEPTH)
        ),
        "DIFFUSION",
        "depth",
        10,
    ),
    (
        Published(
            "prs-eth/marigold-depth-v1-1", "MarigoldDepthPipeline", ZERO_SNR, TARGET, marigold(4, **_DEPTH)
        ),
        "DIFFUSION",
        "depth",
        4,
    ),
    (
        Published(
            "prs-eth/marigold-depth-lcm-v1-0", "MarigoldDepthPipeline", LCM, TARGET, marigold(1, **_DEPTH)
        ),
        "CONSISTENCY",
        "depth",
        1,
    ),
    (
        Published(
            "prs-eth/marigold-normals-v0-1",
            "MarigoldNormalsPipeline",
            DDIM,
            TARGET,
            marigold(10, **_NORMALS),
        ),
        "DIFFUSION",
        "normals",
        10,
    ),
    (
        Published(
            "prs-eth/marigold-normals-v1-1",
            "MarigoldNormalsPipeline",
            ZERO_SNR,
            TARGET,
            marigold(4, **_NORMALS),
        ),
        "DIFFUSION",
        "normals",
        4,
    ),
    (
        Published(
            "prs-eth/marigold-normals-lcm-v0-1",
            "MarigoldNormalsPipeline",
            LCM,
            TARGET,
            marigold(1, **_NORMALS),
        ),
        "CONSISTENCY",
        "normals",
        1,
    ),
    *(
        (Published(f"jingheya/lotus-{name}", pipeline, DDIM, {**unet, **TASK_CODE}), "LOTUS", task, 1)
        for name, pipeline, unet, task in (
            ("depth-d-v1-0", "LotusDPipeline", {}, "depth"),
            ("depth-g-v1-0", "LotusGPipeline", TARGET, "depth"),
            ("depth-d-v2-0-disparity", "LotusDPipeline", {}, "disparity"),
            ("depth-g-v2-1-disparity", "LotusGPipeline", TARGET, "disparity"),
            ("normal-d-v1-1", "LotusDPipeline", {}, "normals"),
            ("normal-g-v1-1", "LotusGPipeline", TARGET, "normals"),
            # As Stable Diffusion's pipeline saves the same parts.
            ("depth-d-saved", SD, {}, "depth"),
        )
    ),
    (
        Published("lotus-depth-g", SD, {**DDIM, "prediction_type": "sample"}, {**TARGET, **TASK_CODE}),
        "LOTUS",
        "depth",
        1,
    ),
    *(
        (Published(f"genpercept-{task}-joined", pipeline, _GENPERCEPT), "GENPERCEPT", task, 1)
        for task, pipeline in (("depth", SD), ("disparity", "GenPerceptPipeline"), ("normals", SD))
    ),
)
"""Checkpoints, the names of their families, what they predict, and steps by default."""
