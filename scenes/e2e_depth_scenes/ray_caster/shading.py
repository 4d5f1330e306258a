"""From hits to a picture: sun, sky, lamps, shadows, contact shadows, haze, exposure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_scenes.ray_caster.patterns import pattern_bank
from e2e_depth_scenes.ray_caster.scenes import Scene
from e2e_depth_scenes.ray_caster.solids import Array
from e2e_depth_scenes.ray_caster.tracing import Hits, View, lamplit, sunlit

Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Sky:
    """The light outdoors.

    Attributes:
        horizon: (3, 1), linear RGB.
        zenith: (3, 1), linear RGB.
        cloudiness: 0 clear .. 1 overcast.
        pattern: Of the clouds.
        toward_sun: (3,), unit, world.
        sun: (3, 1), linear RGB; zero behind clouds.
    """

    horizon: Array
    zenith: Array
    cloudiness: float
    pattern: int
    toward_sun: Array
    sun: Array


def shade(rng: Rng, scene: Scene, view: View, hits: Hits) -> NDArray[np.uint8]:
    """Return the picture (H, W, 3), sRGB."""
    sky = _draw_sky(rng)
    is_outdoors = scene.lamps is None
    albedo, gloss, emission = _reflectance(hits, view)
    ambience = _ambient_occlusion(view, hits, strength=rng.uniform(0.3, 0.9))
    if is_outdoors:
        upward = (1 + hits.normals[2]) / 2
        ground = np.float32(0.35) * (0.5 * sky.horizon + sky.sun * max(0.1, sky.toward_sun[2]) * 0.3)
        light = (sky.zenith * 0.5 + sky.horizon * 0.5) * upward + ground * (1 - upward)
        light = light * ambience
        facing = np.maximum(sky.toward_sun @ hits.normals, 0)
        if sky.sun.any():
            light = light + sky.sun * facing * _seen_by_light(rng, scene, view, hits, sky.toward_sun)
    else:
        light = _lamp_light(rng, scene, view, hits, ambience)
    color = albedo * (light + emission)
    color += _mirrored(hits, view, gloss, sky, is_outdoors, light)
    image = np.zeros((3, view.size[0] * view.size[1]), np.float32)
    if is_outdoors:
        haze = 1 - np.exp(-hits.depth_m / np.float32(np.exp(rng.uniform(np.log(120), np.log(3000)))))
        color += (sky.horizon - color) * haze
        empty = np.flatnonzero(hits.solid.ravel() < 0)
        image[:, empty] = _sky_color(sky, view.directions().reshape(3, -1)[:, empty])
    image[:, hits.pixel] = color
    return _develop(rng, image.T.reshape(*view.size, 3), hits.solid)


def _draw_sky(rng: Rng) -> Sky:
    cloudiness = float(rng.choice([rng.uniform(0, 0.3), rng.uniform(0.3, 0.8), 1.0], p=[0.5, 0.25, 0.25]))
    elevation, azimuth = rng.uniform(0.25, 1.3), rng.uniform(0, 2 * np.pi)
    toward_sun = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)],
        np.float32,
    )
    blue = np.array([[0.16], [0.36], [0.85]]) * np.exp(rng.normal(0, 0.2, (3, 1)))
    white = np.array([[0.75], [0.85], [1.0]]) * np.exp(rng.normal(0, 0.08, (3, 1)))
    gray = np.full((3, 1), rng.uniform(0.6, 1.0)) * np.exp(rng.normal(0, 0.04, (3, 1)))
    zenith = blue * (1 - cloudiness) + gray * cloudiness
    warm = np.array([[1.0], [0.95 - 0.15 * np.exp(-2 * elevation)], [0.9 - 0.45 * np.exp(-2 * elevation)]])
    sun = warm * (0 if cloudiness == 1 else rng.uniform(1.5, 5.0))
    names = pattern_bank().names["plaster"]
    pattern = int(rng.integers(names.start, names.stop))
    parts = [part.astype(np.float32) for part in (white, zenith)]
    return Sky(parts[0], parts[1], cloudiness, pattern, toward_sun, sun.astype(np.float32))


def _sky_color(sky: Sky, rays: Array) -> Array:
    up = rays[2] / np.sqrt((rays * rays).sum(axis=0))
    color = sky.horizon + (sky.zenith - sky.horizon) * np.clip(up * 1.6, 0, 1) ** np.float32(0.6)
    if 0 < sky.cloudiness < 1:
        far = np.float32(0.15) / np.maximum(up + np.float32(0.12), 0.05)
        pattern = np.full(up.shape, sky.pattern, np.int32)
        length = np.sqrt((rays * rays).sum(axis=0))
        cloud = pattern_bank().sample(pattern, rays[0] / length * far, rays[1] / length * far, far * 0.01)
        cover = np.clip((cloud - 1 + sky.cloudiness) * 3, 0, 1)
        color = color + (sky.horizon * np.float32(1.05) - color) * cover
    return np.asarray(color, dtype=np.float32)


def _reflectance(hits: Hits, view: View) -> tuple[Array, Array, Array]:
    """Return albedo (3, N), gloss (N,) and emission (N,) from the materials and their patterns."""
    table = np.array(
        [(*m.color_a, *m.color_b, 1 / m.period_m, m.gloss, m.emission, m.pattern) for m in hits.materials],
        np.float32,
    ).T
    color_a, color_b = table[0:3, hits.material], table[3:6, hits.material]
    density, gloss, emission, pattern = table[6:, hits.material]
    toward = hits.points - view.eye.reshape(3, 1)
    distance = np.sqrt((toward * toward).sum(axis=0))
    grazing = np.maximum(-(toward * hits.normals).sum(axis=0) / distance, 0.02)
    footprint = distance / view.focal_px * density / np.sqrt(grazing)
    share = pattern_bank().sample(pattern.astype(np.int32), hits.u * density, hits.v * density, footprint)
    return color_a + (color_b - color_a) * share, gloss, emission


def _ambient_occlusion(view: View, hits: Hits, strength: float) -> Array:
    """Darken what lies behind its surroundings (depth-buffer unsharp masking, Luft et al. 2006)."""
    inverse = np.zeros(view.size, np.float32)
    inverse.ravel()[hits.pixel] = 1 / hits.depth_m
    around = cv2.GaussianBlur(inverse, (0, 0), view.size[1] / 40)
    behind = (around - inverse).ravel()[hits.pixel] * hits.depth_m
    return np.asarray(1 - np.float32(strength) * np.clip(behind * 1.2, 0, 0.6))


def _seen_by_light(
    rng: Rng, scene: Scene, view: View, hits: Hits, toward_sun: Array | None = None, lamp: Array | None = None
) -> Array:
    """Shadows at half the resolution, softened: 1 lit .. 0 dark, (N,)."""
    height, width = view.size
    where = np.full(height * width, -1, np.int64)
    where[hits.pixel] = np.arange(len(hits.pixel))
    coarse = where.reshape(height, width)[::2, ::2]
    toward = toward_sun[:, None] if toward_sun is not None else np.asarray(lamp)[:, None] - hits.points
    faces_light = (toward * hits.normals).sum(axis=0) > 0
    wanted = (coarse >= 0) & faces_light[coarse]  # what faces away is dark anyway
    chosen = coarse[wanted]
    lift = (0.004 + 0.0008 * hits.depth_m[chosen]).astype(np.float32)
    points = hits.points[:, chosen] + hits.normals[:, chosen] * lift
    if toward_sun is not None:
        lit = sunlit(scene.solids, points, toward_sun)
    else:
        lit = lamplit(scene.solids, points, np.asarray(lamp))
    shadow = np.ones(coarse.shape, np.float32)
    shadow[wanted] = lit
    softness = rng.uniform(0.3, 0.9) if toward_sun is not None else rng.uniform(0.7, 3.0)
    soft = cv2.GaussianBlur(shadow, (0, 0), softness)
    fine = cv2.resize(soft, (2 * coarse.shape[1], 2 * coarse.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[:height, :width].ravel()[hits.pixel])


def _lamp_light(rng: Rng, scene: Scene, view: View, hits: Hits, ambience: Array) -> Array:
    tint = np.exp(rng.normal(0, 0.06, (3, 1))).astype(np.float32)
    upward = (1 + hits.normals[2]) / 2
    light = tint * (rng.uniform(0.15, 0.5) * (0.75 + 0.5 * upward) * ambience).astype(np.float32)
    lamps = np.asarray(scene.lamps)
    # Shadows of the two nearest lamps are enough; more cancel out.
    order = np.argsort(np.linalg.norm(lamps - view.eye, axis=1))
    reach = rng.uniform(1.5, 5)
    for rank, lamp in enumerate(lamps[order][:4]):
        toward = lamp.reshape(3, 1) - hits.points
        distance = np.sqrt((toward * toward).sum(axis=0)) + np.float32(1e-3)
        facing = np.maximum((toward * hits.normals).sum(axis=0) / distance, 0)
        power = np.float32(rng.uniform(0.7, 1.8)) / (np.float32(0.4) + (distance / np.float32(reach)) ** 2)
        shadow = _seen_by_light(rng, scene, view, hits, lamp=lamp) if rank < 2 else np.float32(1)
        light = light + tint * (power * facing * shadow)
    return np.asarray(light, dtype=np.float32)


def _mirrored(hits: Hits, view: View, gloss: Array, sky: Sky, is_outdoors: bool, light: Array) -> Array:
    """What glossy surfaces add: the surroundings by Fresnel's law (Schlick 1994), and the sun's glint."""
    added = np.zeros((3, len(gloss)), np.float32)
    shiny = np.flatnonzero(gloss > 0.005)
    if not len(shiny):
        return added
    ray = hits.points[:, shiny] - view.eye.reshape(3, 1)
    ray /= np.sqrt((ray * ray).sum(axis=0))
    normal = hits.normals[:, shiny]
    along = (ray * normal).sum(axis=0)
    bounced = ray - 2 * along * normal
    share = gloss[shiny] * (1 + 5 * (1 + along) ** 5)
    if is_outdoors:
        above = _sky_color(sky, bounced)
        below = 0.25 * sky.horizon
        seen = np.where(bounced[2] > 0, above, below)
        glint = sky.sun * np.maximum(sky.toward_sun @ bounced, 0) ** 80 * 4
        seen = seen + glint * (light[:, shiny].mean(axis=0) > 1)
    else:
        seen = np.full((3, 1), light.mean() * 0.6, np.float32) * (1 + np.clip(bounced[2], -0.5, 1))
    added[:, shiny] = share * seen
    return added


def _develop(rng: Rng, linear: Array, solid: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Soften the outlines of solids, expose, and encode as sRGB."""
    gray = linear.mean(axis=-1)
    exposure = rng.uniform(0.15, 0.38) / max(float(np.median(gray)), 1e-3)
    exposure = min(exposure, 1.5 / max(float(np.quantile(gray, 0.9)), 1e-3))
    balance = np.exp(rng.normal(0, 0.04, 3)).astype(np.float32)
    bright = np.minimum(linear * (exposure * balance).astype(np.float32), 1.0)
    outline = np.zeros(solid.shape, bool)
    for axis in (0, 1):
        changes = np.diff(solid, axis=axis) != 0
        before = np.s_[:-1, :] if axis == 0 else np.s_[:, :-1]
        after = np.s_[1:, :] if axis == 0 else np.s_[:, 1:]
        outline[before] |= changes
        outline[after] |= changes
    softened = cv2.blur(bright, (3, 3))
    weight = (np.float32(0.6) * outline)[..., None]
    bright = bright + (softened - bright) * weight
    encoded = bright ** np.float32(rng.uniform(0.9, 1.12) / 2.2)
    return np.asarray(np.rint(encoded * 255), dtype=np.uint8)
