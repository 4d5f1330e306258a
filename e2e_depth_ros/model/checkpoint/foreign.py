"""What isn't one of the families, by its name: other networks that come in folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from e2e_depth_ros.core.errors import one_line
from e2e_depth_ros.core.user_file import MAX_JSON_BYTES, json_from_text, read_text

GRAPHS_FILE: Final = "graphs.json"
"""Beside exported graphs: which there are, what their numbers mean, and the hash of each file they need."""

_PIPELINES: Final = {
    "StableDiffusionInstructPix2PixPipeline": "InstructPix2Pix, which edits images by instruction",
    "StableDiffusionInpaintPipeline": "Stable Diffusion's inpainting, which fills holes of images",
    "StableDiffusionDepth2ImgPipeline": "Stable Diffusion's depth2img, which makes images from depth",
    "StableDiffusionUpscalePipeline": "Stable Diffusion's upscaler, which enlarges images",
    "StableDiffusionLatentUpscalePipeline": "Stable Diffusion's upscaler, which enlarges images",
    "StableDiffusionImageVariationPipeline": "Stable Diffusion's image variations, an image generator",
    "StableDiffusionControlNetPipeline": "Stable Diffusion with a ControlNet, an image generator",
    "StableDiffusionXLPipeline": "Stable Diffusion XL, an image generator of another layout",
    "StableDiffusionXLInpaintPipeline": "Stable Diffusion XL's inpainting, which fills holes of images",
    "StableDiffusion3Pipeline": "Stable Diffusion 3, an image generator of another layout",
    "StableVideoDiffusionPipeline": "Stable Video Diffusion, a video generator",
    "LatentConsistencyModelPipeline": "a latent consistency model that makes images",
    "Zero123Pipeline": "Zero123, which turns objects",
    "MarigoldIntrinsicsPipeline": "Marigold's intrinsic images (appearance or lighting), which hold no depth",
    "MarigoldIIDPipeline": "Marigold's intrinsic images (appearance or lighting), which hold no depth",
}
_TRANSFORMERS: Final = {
    "depth_anything": "Depth Anything",
    "dpt": "a dense prediction transformer (DPT, MiDaS)",
    "zoedepth": "ZoeDepth",
    "depth_pro": "Depth Pro",
    "glpn": "GLPN",
    "prompt_depth_anything": "Prompt Depth Anything",
}
_PARTS: Final = {
    "UNet2DConditionModel": "a UNet alone; GenPercept is published so: `e2e-depth checkpoint join` adds what "
    "it needs",
    "ControlNetModel": "a ControlNet, which steers an image generator",
    "AutoencoderKL": "an autoencoder alone",
    "AutoencoderTiny": "an autoencoder alone",
}
_EITHER: Final = (
    "Lotus-G or GeoWizard's second version, whose layouts are alike: write LotusGPipeline or "
    "DepthNormalEstimationPipeline as _class_name into its model_index.json"
)
_LORA: Final = ("pytorch_lora_weights.safetensors", "adapter_config.json", "adapter_model.safetensors")
_WEIGHTS: Final = (".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".onnx", ".gguf")
_INTRINSIC_IMAGES: Final = "MarigoldIntrinsicsPipeline"
_BY_CHANNELS: Final = {
    9: "StableDiffusionInpaintPipeline",
    5: "StableDiffusionDepth2ImgPipeline",
    7: "StableDiffusionUpscalePipeline",
}


def foreign_index(folder: Path) -> str | None:
    """Say what a checkpoint is whose index names a pipeline that is known and none of the families'."""
    return _pipeline(_entries(folder / "model_index.json"))


def foreign_network(index: Mapping[str, Any], unet: Mapping[str, Any], latent_channels: int) -> str:
    """Say what a checkpoint of UNet, VAE and scheduler is that no family takes.

    Args:
        index: Of model_index.json.
        unet: The UNet's config.
        latent_channels: Of the VAE.
    """
    name = _pipeline(index)
    inputs, outputs = unet.get("in_channels", 4), unet.get("out_channels", 4)
    if name is None and unet.get("addition_embed_type") == "text_time":
        name = _PIPELINES["StableDiffusionXLPipeline"]
    if name is None and isinstance(outputs, int) and outputs in {2 * latent_channels, 3 * latent_channels}:
        name = _PIPELINES[_INTRINSIC_IMAGES]
    if name is None and latent_channels == 4 and inputs in _BY_CHANNELS:
        name = _PIPELINES[_BY_CHANNELS[inputs]]
    size = unet.get("projection_class_embeddings_input_dim")
    if name is None and (unet.get("class_embed_type"), size, inputs) == (
        "projection",
        4,
        2 * latent_channels,
    ):
        name = _EITHER
    if name is not None:
        return name
    pipeline = one_line(str(index.get("_class_name") or "no pipeline"), 80)
    parts = [one_line(str(unet.get("_class_name") or "a UNet"), 80), f"from {inputs} to {outputs} channels"]
    if unet.get("class_embed_type") is not None:
        parts.append(f"with class_embed_type {one_line(str(unet['class_embed_type']), 40)} of {size}")
    return f"one whose index names {pipeline}, with {' '.join(parts)}, which no family known here has"


def foreign_folder(folder: Path) -> str | None:
    """Say what a folder is that lacks configs of UNet, VAE or scheduler; None where nothing tells."""
    index = _entries(folder / "model_index.json")
    if index.get("_class_name") is None:
        return _by_config(_entries(folder / "config.json")) or _by_files(folder)
    if (folder / "unet").exists():  # rather half of what somebody here knows
        return None
    return _pipeline(index) or f"a {one_line(str(index['_class_name']), 80)} of diffusers"


def _by_config(config: Mapping[str, Any]) -> str | None:
    model_type, name = config.get("model_type"), config.get("_class_name")
    if isinstance(model_type, str):
        return f"{_TRANSFORMERS.get(model_type, one_line(model_type, 80))}, a network of transformers"
    if isinstance(name, str):
        return _PARTS.get(name, f"a {one_line(name, 80)} of diffusers alone")
    return None


def _by_files(folder: Path) -> str | None:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if GRAPHS_FILE in names:
        return "graphs that e2e-depth export wrote, which run by engine onnx or openvino"
    if any(name in names for name in _LORA):
        return "a LoRA, which changes an image generator"
    if {"unet", "vae"} <= set(names):  # half of what somebody here knows
        return None
    alone = "unet" in names or "diffusion_pytorch_model.safetensors" in names
    if alone:
        return _PARTS["UNet2DConditionModel"]
    weights = [one_line(name, 80) for name in names if name.endswith(_WEIGHTS)]
    if weights:
        return f"weights of another program ({', '.join(weights[:3])}) without configs in diffusers' layout"
    return None


def _pipeline(index: Mapping[str, Any]) -> str | None:
    name = index.get("_class_name")
    return _PIPELINES.get(name) if isinstance(name, str) else None


def _entries(path: Path) -> Mapping[str, Any]:
    """Read what a JSON file says, nothing where it can't be read."""
    try:
        content = json_from_text(read_text(path, MAX_JSON_BYTES))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
