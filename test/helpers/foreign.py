"""Checkpoints and folders that are of none of the families, as published; see `published`."""

from __future__ import annotations

from helpers.published import (
    ANCESTRAL,
    DDIM,
    DDPM,
    EPSILON,
    EULER,
    LCM,
    PNDM,
    SD,
    SD1,
    TARGET,
    TASK_CODE,
    ZERO_SNR,
    Published,
    marigold,
)

REFUSED: tuple[tuple[Published, str], ...] = (
    (Published("stabilityai/stable-diffusion-2", SD), "Stable Diffusion 2: an image generator; fine-tune"),
    (Published("stabilityai/stable-diffusion-2-base", SD, PNDM), "Stable Diffusion 2: an image generator"),
    (Published("saved trailing", SD, {**DDIM, "timestep_spacing": "trailing"}), "an image generator"),
    (Published("sd2 depth saved trailing", SD, DDPM), "Stable Diffusion 2: an image generator"),
    (Published("stable-diffusion-v1-5", SD, PNDM, SD1), "Stable Diffusion 1: an image generator"),
    (Published("stabilityai/sd-turbo", SD, EULER), "Stable Diffusion 2: an image generator"),
    (
        Published(
            "timbrooks/instruct-pix2pix",
            "StableDiffusionInstructPix2PixPipeline",
            ANCESTRAL,
            {**TARGET, **SD1},
        ),
        "InstructPix2Pix",
    ),
    (
        Published("instruct-pix2pix saved as depth", SD, ANCESTRAL, {**TARGET, **SD1}),
        "from 8 to 4 channels",
    ),
    (Published("instruct-pix2pix depth", SD, EPSILON, {**TARGET, **SD1}), "from 8 to 4 channels"),
    (
        Published(
            "stable-diffusion-2-inpainting", "StableDiffusionInpaintPipeline", PNDM, {"in_channels": 9}
        ),
        "inpainting",
    ),
    (Published("an inpainting depth", SD, PNDM, {"in_channels": 9}), "inpainting"),
    (
        Published("stable-diffusion-2-depth", "StableDiffusionDepth2ImgPipeline", PNDM, {"in_channels": 5}),
        "makes images from depth",
    ),
    (
        Published("stable-diffusion-x4-upscaler", "StableDiffusionUpscalePipeline", DDIM, {"in_channels": 7}),
        "upscaler",
    ),
    (
        Published(
            "prs-eth/marigold-iid-appearance-v1-1",
            "MarigoldIntrinsicsPipeline",
            ZERO_SNR,
            {"in_channels": 12, "out_channels": 8},
            marigold(4, prediction_type="intrinsics"),
        ),
        "Marigold's intrinsic images",
    ),
    (
        Published(
            "prs-eth/marigold-iid-lighting-v1-1",
            "MarigoldIntrinsicsPipeline",
            ZERO_SNR,
            {"in_channels": 16, "out_channels": 12},
            marigold(4, prediction_type="intrinsics"),
        ),
        "Marigold's intrinsic images",
    ),
    (
        Published(
            "stable-diffusion-xl", "StableDiffusionXLPipeline", EULER, {"addition_embed_type": "text_time"}
        ),
        "Stable Diffusion XL",
    ),
    (
        Published("xl saved as depth", SD, EULER, {"addition_embed_type": "text_time"}),
        "Stable Diffusion XL",
    ),
    (
        Published(
            "stable-video-diffusion",
            "StableVideoDiffusionPipeline",
            EULER,
            {"_class_name": "UNetSpatioTemporalConditionModel", **TARGET},
            vae={"_class_name": "AutoencoderKLTemporalDecoder"},
        ),
        "Stable Video Diffusion",
    ),
    (
        Published("depth-crafter", "DepthCrafterPipeline", EULER, TARGET),
        "DepthCrafterPipeline",
    ),
    (
        Published("LCM_Dreamshaper", "LatentConsistencyModelPipeline", LCM, {"time_cond_proj_dim": 256}),
        "latent consistency model",
    ),
    (Published("zero123 depth", "Zero1to3Pipeline", DDIM, TARGET), "Zero1to3Pipeline"),
    # Lotus-G or GeoWizard's second version: nothing tells.
    (
        Published("either depth", SD, DDIM, {**TARGET, **TASK_CODE}),
        "Lotus-G or GeoWizard's second version",
    ),
    (
        Published("another code", SD, DDIM, {**TARGET, **TASK_CODE, "class_embed_type": "timestep"}),
        "class_embed_type timestep",
    ),
    (Published("silent depth", "", DDIM, TARGET), "names no pipeline"),
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
