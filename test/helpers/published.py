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
_SD1 = {"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64}
_VAE = {
    "_class_name": "AutoencoderKL",
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "scaling_factor": 0.18215,
}
_DDIM = {
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
_DDPM = {**_DDIM, "_class_name": "DDPMScheduler", "timestep_spacing": "trailing"}
_ZERO_SNR = {**_DDIM, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
_LCM = {**_DDIM, "_class_name": "LCMScheduler", "original_inference_steps": 50}
_EPSILON = {**_DDIM, "prediction_type": "epsilon"}
_PNDM = {**_EPSILON, "_class_name": "PNDMScheduler"}
_EULER = {**_EPSILON, "_class_name": "EulerDiscreteScheduler"}
_ANCESTRAL = {**_EPSILON, "_class_name": "EulerAncestralDiscreteScheduler"}
_TARGET = {"in_channels": 8}
_GEOWIZARD_V1 = {**_TARGET, "class_embed_type": "projection", "projection_class_embeddings_input_dim": 10}
_TASK_CODE = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 4}
_GENPERCEPT = {**_DDIM, "beta_start": 1.0, "beta_end": 1.0}
_SD = "StableDiffusionPipeline"


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
    scheduler: dict[str, Any] = field(default_factory=lambda: _DDIM)
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


def _marigold(steps: int, **entries: Any) -> dict[str, Any]:
    return {"default_denoising_steps": steps, "default_processing_resolution": 768, **entries}


_DEPTH = {"prediction_type": "depth", "scale_invariant": True, "shift_invariant": True}
_NORMALS = {"prediction_type": "normals", "use_full_z_range": True}

RECOGNISED: tuple[tuple[Published, str, str, int], ...] = (
    (Published("GonzaloMG/marigold-e2e-ft-depth", _SD, _DDPM, _TARGET), "ONE_STEP", "depth", 1),
    (Published("GonzaloMG/marigold-e2e-ft-normals", _SD, _DDPM, _TARGET), "ONE_STEP", "normals", 1),
    (Published("GonzaloMG/stable-diffusion-e2e-ft-depth", _SD, _DDPM, _TARGET), "ONE_STEP", "depth", 1),
    (Published("GonzaloMG/stable-diffusion-e2e-ft-normals", _SD, _DDPM, _TARGET), "ONE_STEP", "normals", 1),
    (Published("GonzaloMG/marigold-normals", _SD, _DDIM, _TARGET), "DIFFUSION", "normals", 4),
    (
        Published(
            "GonzaloMG/geowizard-e2e-ft",
            "DepthNormalEstimationPipeline",
            {**_DDIM, "timestep_spacing": "trailing"},
            _GEOWIZARD_V1,
        ),
        "JOINT_ONE_STEP",
        "depth normals",
        1,
    ),
    (
        Published("lemonaddie/geowizard", "DepthNormalEstimationPipeline", _DDIM, _GEOWIZARD_V1),
        "JOINT_DIFFUSION",
        "depth normals",
        10,
    ),
    (
        Published("geowizard_v2", "DepthNormalEstimationPipeline", _DDIM, {**_TARGET, **_TASK_CODE}),
        "JOINT_DIFFUSION",
        "depth normals",
        10,
    ),
    (
        Published("prs-eth/marigold-v1-0", "MarigoldPipeline", _DDIM, _TARGET, _DEPTH),
        "DIFFUSION",
        "depth",
        4,
    ),
    (
        Published(
            "prs-eth/marigold-depth-v1-0", "MarigoldDepthPipeline", _DDIM, _TARGET, _marigold(10, **_DEPTH)
        ),
        "DIFFUSION",
        "depth",
        10,
    ),
    (
        Published(
            "prs-eth/marigold-depth-v1-1", "MarigoldDepthPipeline", _ZERO_SNR, _TARGET, _marigold(4, **_DEPTH)
        ),
        "DIFFUSION",
        "depth",
        4,
    ),
    (
        Published(
            "prs-eth/marigold-depth-lcm-v1-0", "MarigoldDepthPipeline", _LCM, _TARGET, _marigold(1, **_DEPTH)
        ),
        "CONSISTENCY",
        "depth",
        1,
    ),
    (
        Published(
            "prs-eth/marigold-normals-v0-1",
            "MarigoldNormalsPipeline",
            _DDIM,
            _TARGET,
            _marigold(10, **_NORMALS),
        ),
        "DIFFUSION",
        "normals",
        10,
    ),
    (
        Published(
            "prs-eth/marigold-normals-v1-1",
            "MarigoldNormalsPipeline",
            _ZERO_SNR,
            _TARGET,
            _marigold(4, **_NORMALS),
        ),
        "DIFFUSION",
        "normals",
        4,
    ),
    (
        Published(
            "prs-eth/marigold-normals-lcm-v0-1",
            "MarigoldNormalsPipeline",
            _LCM,
            _TARGET,
            _marigold(1, **_NORMALS),
        ),
        "CONSISTENCY",
        "normals",
        1,
    ),
    *(
        (Published(f"jingheya/lotus-{name}", pipeline, _DDIM, {**unet, **_TASK_CODE}), "LOTUS", task, 1)
        for name, pipeline, unet, task in (
            ("depth-d-v1-0", "LotusDPipeline", {}, "depth"),
            ("depth-g-v1-0", "LotusGPipeline", _TARGET, "depth"),
            ("depth-d-v2-0-disparity", "LotusDPipeline", {}, "disparity"),
            ("depth-g-v2-1-disparity", "LotusGPipeline", _TARGET, "disparity"),
            ("normal-d-v1-1", "LotusDPipeline", {}, "normals"),
            ("normal-g-v1-1", "LotusGPipeline", _TARGET, "normals"),
            # As Stable Diffusion's pipeline saves the same parts.
            ("depth-d-saved", _SD, {}, "depth"),
        )
    ),
    (
        Published("lotus-depth-g", _SD, {**_DDIM, "prediction_type": "sample"}, {**_TARGET, **_TASK_CODE}),
        "LOTUS",
        "depth",
        1,
    ),
    *(
        (Published(f"genpercept-{task}-joined", pipeline, _GENPERCEPT), "GENPERCEPT", task, 1)
        for task, pipeline in (("depth", _SD), ("disparity", "GenPerceptPipeline"), ("normals", _SD))
    ),
)
"""Checkpoints, the names of their families, what they predict, and steps by default."""

REFUSED: tuple[tuple[Published, str], ...] = (
    (Published("stabilityai/stable-diffusion-2", _SD), "Stable Diffusion 2: an image generator; fine-tune"),
    (Published("stabilityai/stable-diffusion-2-base", _SD, _PNDM), "Stable Diffusion 2: an image generator"),
    (Published("saved trailing", _SD, {**_DDIM, "timestep_spacing": "trailing"}), "an image generator"),
    (Published("sd2 depth saved trailing", _SD, _DDPM), "Stable Diffusion 2: an image generator"),
    (Published("stable-diffusion-v1-5", _SD, _PNDM, _SD1), "Stable Diffusion 1: an image generator"),
    (Published("stabilityai/sd-turbo", _SD, _EULER), "Stable Diffusion 2: an image generator"),
    (
        Published(
            "timbrooks/instruct-pix2pix",
            "StableDiffusionInstructPix2PixPipeline",
            _ANCESTRAL,
            {**_TARGET, **_SD1},
        ),
        "InstructPix2Pix",
    ),
    (
        Published("instruct-pix2pix saved as depth", _SD, _ANCESTRAL, {**_TARGET, **_SD1}),
        "from 8 to 4 channels",
    ),
    (Published("instruct-pix2pix depth", _SD, _EPSILON, {**_TARGET, **_SD1}), "from 8 to 4 channels"),
    (
        Published(
            "stable-diffusion-2-inpainting", "StableDiffusionInpaintPipeline", _PNDM, {"in_channels": 9}
        ),
        "inpainting",
    ),
    (Published("an inpainting depth", _SD, _PNDM, {"in_channels": 9}), "inpainting"),
    (
        Published("stable-diffusion-2-depth", "StableDiffusionDepth2ImgPipeline", _PNDM, {"in_channels": 5}),
        "makes images from depth",
    ),
    (
        Published(
            "stable-diffusion-x4-upscaler", "StableDiffusionUpscalePipeline", _DDIM, {"in_channels": 7}
        ),
        "upscaler",
    ),
    (
        Published(
            "prs-eth/marigold-iid-appearance-v1-1",
            "MarigoldIntrinsicsPipeline",
            _ZERO_SNR,
            {"in_channels": 12, "out_channels": 8},
            _marigold(4, prediction_type="intrinsics"),
        ),
        "Marigold's intrinsic images",
    ),
    (
        Published(
            "prs-eth/marigold-iid-lighting-v1-1",
            "MarigoldIntrinsicsPipeline",
            _ZERO_SNR,
            {"in_channels": 16, "out_channels": 12},
            _marigold(4, prediction_type="intrinsics"),
        ),
        "Marigold's intrinsic images",
    ),
    (
        Published(
            "stable-diffusion-xl", "StableDiffusionXLPipeline", _EULER, {"addition_embed_type": "text_time"}
        ),
        "Stable Diffusion XL",
    ),
    (
        Published("xl saved as depth", _SD, _EULER, {"addition_embed_type": "text_time"}),
        "Stable Diffusion XL",
    ),
    (
        Published(
            "stable-video-diffusion",
            "StableVideoDiffusionPipeline",
            _EULER,
            {"_class_name": "UNetSpatioTemporalConditionModel", **_TARGET},
            vae={"_class_name": "AutoencoderKLTemporalDecoder"},
        ),
        "Stable Video Diffusion",
    ),
    (
        Published("depth-crafter", "DepthCrafterPipeline", _EULER, _TARGET),
        "DepthCrafterPipeline",
    ),
    (
        Published("LCM_Dreamshaper", "LatentConsistencyModelPipeline", _LCM, {"time_cond_proj_dim": 256}),
        "latent consistency model",
    ),
    (Published("zero123 depth", "Zero1to3Pipeline", _DDIM, _TARGET), "Zero1to3Pipeline"),
    # Lotus-G or GeoWizard's second version: nothing tells.
    (Published("either depth", _SD, _DDIM, {**_TARGET, **_TASK_CODE}), "class_embed_type projection of 4"),
    (
        Published("another code", _SD, _DDIM, {**_TARGET, **_TASK_CODE, "class_embed_type": "timestep"}),
        "class_embed_type timestep",
    ),
    (Published("silent depth", "", _DDIM, _TARGET), "names no pipeline"),
)
"""Checkpoints that no family takes, and words of the line that says what they are."""

ELSEWHERE: dict[str, tuple[dict[str, str], str]] = {
    "LiheYoung/depth-anything-small-hf": (
        {"config.json": '{"model_type": "depth_anything"}', "model.safetensors": ""},
        "Depth Anything, a network of transformers",
    ),
    "Intel/dpt-large": ({"config.json": '{"model_type": "dpt"}', "model.safetensors": ""}, "DPT"),
    "Intel/zoedepth-nyu": ({"config.json": '{"model_type": "zoedepth"}'}, "ZoeDepth"),
    "apple/DepthPro-hf": ({"config.json": '{"model_type": "depth_pro"}'}, "Depth Pro"),
    "Depth-Anything-V2-Small": ({"depth_anything_v2_vits.pth": ""}, "another program (depth_anything_v2"),
    "moge": ({"model.pt": ""}, "another program (model.pt)"),
    "genpercept-models/unet_depth_v2": (
        {"diffusion_pytorch_model.safetensors": ""},
        "a UNet alone; GenPercept",
    ),
    "genpercept-depth": (
        {"unet/diffusion_pytorch_model.safetensors": "", "unet/config.json": "{}"},
        "a UNet alone; GenPercept",
    ),
    "controlnet": ({"config.json": '{"_class_name": "ControlNetModel"}'}, "a ControlNet"),
    "sd-vae-ft-mse": ({"config.json": '{"_class_name": "AutoencoderKL"}'}, "an autoencoder alone"),
    "a lora": ({"pytorch_lora_weights.safetensors": ""}, "a LoRA"),
    "FLUX.1-dev": (
        {"model_index.json": '{"_class_name": "FluxPipeline"}', "transformer/config.json": "{}"},
        "a FluxPipeline of diffusers",
    ),
    "stable-diffusion-3": (
        {"model_index.json": '{"_class_name": "StableDiffusion3Pipeline"}', "vae/config.json": "{}"},
        "Stable Diffusion 3",
    ),
}
"""Folders of another layout: their files, and words of the line that says what they are."""
