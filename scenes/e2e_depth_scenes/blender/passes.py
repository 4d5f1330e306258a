# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Cycles settings, and what one rendered file holds: light, exact depth and exact normals."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import OpenEXR
from numpy.typing import NDArray

SMOOTH, FLAT = "SmoothNormal", "FlatNormal"
MAX_DEPTH_M = 650.0
MAX_SHADING_ANGLE_DEG = 30.0


@dataclass(frozen=True)
class Picture:
    """One rendered view.

    Attributes:
        radiance: (H, W, 3), float32, linear RGB.
        depth_m: (H, W), float32, z of the camera frame, metres; 0 where the ray meets nothing.
        normals: (H, W, 3), float32, camera optical frame, towards the camera; 0 where unknown.
    """

    radiance: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    normals: NDArray[np.float32]


def set_up(size: tuple[int, int], samples: int, threads: int) -> bpy.types.Scene:
    """Empty Blender and set Cycles for many small pictures on the CPU; size is (H, W)."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    render, cycles, layer = scene.render, scene.cycles, scene.view_layers[0]
    render.engine = "CYCLES"
    render.resolution_y, render.resolution_x = size
    render.resolution_percentage = 100
    render.threads_mode, render.threads = "FIXED", threads
    render.use_persistent_data = True
    render.use_compositing = render.use_sequencer = False
    cycles.samples = samples
    cycles.use_adaptive_sampling = False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_input_passes, cycles.denoising_prefilter = "RGB_ALBEDO_NORMAL", "NONE"
    cycles.denoising_quality = "FAST"
    cycles.max_bounces, cycles.diffuse_bounces = 3, 2
    cycles.glossy_bounces = cycles.transmission_bounces = 2
    cycles.transparent_max_bounces = 6
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    layer.use_pass_z = True
    # Depth is that of the first surface that is there at all: through thin glass it would be any of two.
    layer.pass_alpha_threshold = 0.05
    for name in (SMOOTH, FLAT):
        aov = layer.aovs.add()
        aov.name, aov.type = name, "COLOR"
    settings = render.image_settings
    settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
    return scene


def write_normals(material: bpy.types.Material) -> None:
    """Let a material write its normals, world frame, without bump, into passes of their own.

    Blender's own normal pass includes bump, which is a picture of a surface and not its shape.
    """
    nodes, links = material.node_tree.nodes, material.node_tree.links
    geometry = nodes.new("ShaderNodeNewGeometry")
    for name, socket in ((SMOOTH, "Normal"), (FLAT, "True Normal")):
        output = nodes.new("ShaderNodeOutputAOV")
        output.aov_name = name
        links.new(geometry.outputs[socket], output.inputs["Color"])


def render_picture(scene: bpy.types.Scene, file: Path) -> Picture:
    """Render the scene from its camera, by way of `file` (best in memory: it is rewritten each time)."""
    scene.render.filepath = str(file)
    bpy.ops.render.render(write_still=True)
    with OpenEXR.File(str(file), separate_channels=True) as exr:
        channels = {
            name: np.array(channel.pixels)
            for part in range(len(exr.parts))
            for name, channel in exr.channels(part).items()
        }
    depth_m = _channels(channels, "Depth", "Z" if _has(channels, "Depth.Z") else "V")[..., 0]
    depth_m = np.where(depth_m < MAX_DEPTH_M, depth_m, 0).astype(np.float32)
    # Blender's camera looks along -z with y up; the optical frame along z with y down.
    world_from_camera = np.array(scene.camera.matrix_world.to_3x3()) @ np.diag([1.0, -1.0, -1.0])
    smooth = _channels(channels, SMOOTH, "RGB") @ world_from_camera
    flat = _channels(channels, FLAT, "RGB") @ world_from_camera
    rays = _rays(scene, depth_m.shape)
    return Picture(
        radiance=_channels(channels, "Combined", "RGB").astype(np.float32),
        depth_m=depth_m,
        normals=merge_normals(smooth, flat, rays, depth_m > 0),
    )


def merge_normals(
    smooth: NDArray[np.floating],
    flat: NDArray[np.floating],
    rays: NDArray[np.floating],
    valid: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Choose each pixel's normal: the interpolated one, unless it contradicts the true face.

    Args:
        smooth: (H, W, 3), interpolated normals, averaged over the pixel.
        flat: (H, W, 3), normals of the faces, averaged over the pixel.
        rays: (H, W, 3), direction of each pixel, of any length.
        valid: (H, W), where there is a surface.

    Returns:
        (H, W, 3), unit vectors towards the camera; 0 where the pixel averages different surfaces.
    """
    whole = valid & (np.abs(np.linalg.norm(flat, axis=-1) - 1) < 0.03)
    smooth, flat = _unit(smooth), _unit(flat)
    flat = flat * np.where((flat * rays).sum(-1, keepdims=True) > 0, -1, 1)
    agreement = (smooth * flat).sum(-1, keepdims=True)
    smooth = smooth * np.where(agreement < 0, -1, 1)
    seen = (smooth * rays).sum(-1, keepdims=True) < 0
    close = np.abs(agreement) > np.cos(np.radians(MAX_SHADING_ANGLE_DEG))
    return np.where(whole[..., None], np.where(close & seen, smooth, flat), 0).astype(np.float32)


def develop(radiance: NDArray[np.float32], rng: random.Random, burnt_out: float = 0.0) -> NDArray[np.uint8]:
    """Balance and expose as an automatic camera does, sometimes wrongly, and return sRGB.

    White balance brings the mean colour part of the way to grey. The exposure brings the middle of the
    picture to a drawn grey; one picture in seven is much too dark or too bright.

    Args:
        radiance: (H, W, 3), linear RGB.
        rng: Draws balance and exposure.
        burnt_out: At least this share of the pixels becomes white.

    Returns:
        (H, W, 3).
    """
    mean = np.minimum(radiance, 4 * np.median(radiance) + 1e-4).mean(axis=(0, 1)) + 1e-4
    balance = np.clip(mean.mean() / mean, 0.4, 2.5) ** rng.uniform(0.3, 0.9)
    radiance = radiance * balance.astype(np.float32)
    luminance = radiance @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    middle = float(np.exp(np.log(luminance + 1e-4).mean()))
    grey = rng.uniform(0.1, 0.3)
    if rng.random() < 0.14:
        grey = rng.choice([rng.uniform(0.02, 0.1), rng.uniform(0.3, 0.6)])
    gain = min(grey / max(middle, 1e-4), 2.5 / max(float(np.quantile(luminance, 0.9)), 1e-4))
    if burnt_out > 0:
        gain = max(gain, 1.6 / max(float(np.quantile(luminance, 1 - burnt_out)), 1e-4))
    light = np.clip(radiance * gain, 0, None)
    knee = rng.uniform(0.6, 0.9)
    soft = knee + (1 - knee) * (1 - np.exp(-(light - knee) / (1 - knee)))
    light = np.clip(np.where(light > knee, soft, light), 0, 1)
    curve = 1.055 * np.maximum(light, 1e-6) ** (1 / 2.4) - 0.055
    return np.rint(np.where(light <= 0.0031308, 12.92 * light, curve) * 255).astype(np.uint8)


def focal_px(scene: bpy.types.Scene) -> float:
    """The camera's focal length, pixels."""
    lens = scene.camera.data
    return float(lens.lens / lens.sensor_width * scene.render.resolution_x)


def _rays(scene: bpy.types.Scene, size: tuple[int, int]) -> NDArray[np.float64]:
    height, width = size
    v, u = np.mgrid[:height, :width]
    x, y = (u - (width - 1) / 2) / focal_px(scene), (v - (height - 1) / 2) / focal_px(scene)
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)


def _has(channels: dict[str, NDArray[np.float32]], suffix: str) -> bool:
    return any(name.endswith(suffix) for name in channels)


def _channels(channels: dict[str, NDArray[np.float32]], layer: str, letters: str) -> NDArray[np.float32]:
    found = [next(channels[name] for name in channels if name.endswith(f"{layer}.{c}")) for c in letters]
    return np.stack(found, axis=-1)
