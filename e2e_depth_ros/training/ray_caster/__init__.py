"""Procedural scenes of primitives, cast by rays in numpy: pictures with exact depth and normals.

Unlimited and fast (tens of images a second on one core), but made of boxes and balls: they teach layout and
perspective; rendered furniture teaches the rest.
"""

from __future__ import annotations

import numpy as np

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.ray_caster import indoor, outdoor
from e2e_depth_ros.training.ray_caster.scenes import Scene
from e2e_depth_ros.training.ray_caster.shading import shade
from e2e_depth_ros.training.ray_caster.tracing import Hits, View, first_hits
from e2e_depth_ros.training.shards import Sample

__all__ = ["KINDS", "render_scene"]

MAX_DEPTH_M = 250.0
"""What is farther counts as the horizon, and has no depth."""

_MAKERS = {
    "street": (outdoor.street, 0.36),
    "park": (outdoor.park, 0.14),
    "room": (indoor.room, 0.25),
    "corridor": (indoor.corridor, 0.10),
    "tabletop": (indoor.tabletop, 0.10),
    "tote": (indoor.tote, 0.05),
}
KINDS = tuple(_MAKERS)
"""The kinds of scenes."""


def render_scene(rng: np.random.Generator, size: tuple[int, int], kind: str | None = None) -> Sample:
    """Make up a scene and render one picture of it.

    Convention:
        As `Sample`: optical frame, depth is z, normals towards the camera, principal point in the middle.
        The same generator state gives the same sample.

    Args:
        rng: The source of everything random.
        size: (H, W), pixels.
        kind: One of `KINDS`; None draws one: half of the scenes are outdoors.

    Returns:
        The picture with exact depth and normals; 0 in the sky, beyond 250 m, and in windows' views.

    Raises:
        InvalidInputError: The kind is unknown or the size is not at least 2 x 2.
    """
    if kind is not None and kind not in KINDS:
        raise InvalidInputError(f"expected a kind of scene among {', '.join(KINDS)}, got {kind!r}")
    if min(size) < 2:
        raise InvalidInputError(f"expected a size (H, W) of at least 2 x 2, got {size}")
    number = int(rng.integers(2**62))
    chosen = kind or str(rng.choice(KINDS, p=[weight for _, weight in _MAKERS.values()]))
    while True:
        scene = _MAKERS[chosen][0](rng)
        view = _draw_view(rng, scene, size)
        hits = first_hits(scene.solids, view, MAX_DEPTH_M)
        if _is_worth_seeing(hits, scene, size):
            return _sample(rng, scene, view, hits, number)


def _draw_view(rng: np.random.Generator, scene: Scene, size: tuple[int, int]) -> View:
    forward = scene.target - scene.eye
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    if np.linalg.norm(right) < 1e-3:  # straight down
        right = np.array([0.0, -1.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    roll = rng.normal(0, 0.035) if rng.random() < 0.85 else rng.normal(0, 0.2)
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    field_rad = np.deg2rad(rng.triangular(40, 62, 110))
    focal_px = size[1] / 2 / np.tan(field_rad / 2)
    return View(size, float(focal_px), scene.eye, np.stack([right, down, forward]).astype(np.float32))


def _is_worth_seeing(hits: Hits, scene: Scene, size: tuple[int, int]) -> bool:
    """Refuse pictures taken from inside of a thing, of a blank wall, or of nothing but sky."""
    if len(hits.depth_m) < 0.3 * size[0] * size[1]:
        return False
    solid = hits.solid.ravel()[hits.pixel]
    shares = np.bincount(solid) / len(solid)
    if (shares > 0.002).sum() < 3 or (scene.lamps is None and shares.max() > 0.93):
        return False
    near, low, high = np.quantile(hits.depth_m, [0.02, 0.05, 0.95])
    closest = 0.5 if scene.lamps is None else 0.2
    return bool(near > closest and high > 1.15 * low)


def _sample(rng: np.random.Generator, scene: Scene, view: View, hits: Hits, number: int) -> Sample:
    height, width = view.size
    is_opening = np.array([material.is_opening for material in hits.materials])[hits.material]
    depth, normals = np.zeros(height * width, np.float32), np.zeros((height * width, 3), np.float32)
    known = hits.pixel[~is_opening]
    depth[known] = hits.depth_m[~is_opening]
    normals[known] = (view.axes @ hits.normals[:, ~is_opening]).T
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = view.axes.T, view.eye
    return Sample(
        image=shade(rng, scene, view, hits),
        depth_m=depth.reshape(height, width),
        normals=normals.reshape(height, width, 3),
        focal_px=view.focal_px,
        kind=scene.kind,
        scene=number,
        world_from_camera=pose,
    )
