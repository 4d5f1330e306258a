"""Procedural scenes of primitives, cast by rays in numpy: pictures with exact depth and normals.

Unlimited and fast (tens of images a second on one core), but made of boxes and balls: they teach layout and
perspective; rendered furniture teaches the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from e2e_depth_ros.training.shards import Sample
from e2e_depth_scenes.errors import RenderError
from e2e_depth_scenes.ray_caster import indoor, outdoor
from e2e_depth_scenes.ray_caster.scenes import Scene
from e2e_depth_scenes.ray_caster.shading import shade
from e2e_depth_scenes.ray_caster.shapes import turned
from e2e_depth_scenes.ray_caster.tracing import Hits, View, first_hits

__all__ = ["KINDS", "render_path", "render_scene"]

MAX_DEPTH_M = 250.0
"""What is farther counts as the horizon, and has no depth."""

_Maker = Callable[[np.random.Generator], Scene]

_MAKERS: dict[str, tuple[_Maker, float]] = {
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
        RenderError: The kind is unknown or the size is not at least 2 x 2.
    """
    number, make = _begin(rng, size, kind)
    while True:
        scene = make(rng)
        view = _draw_view(rng, scene, size)
        hits = first_hits(scene.solids, view, MAX_DEPTH_M)
        if _is_worth_seeing(hits, scene, size):
            return _sample(rng, scene, view, hits, number)


def render_path(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    frames: int,
    step_m: float,
    turn_deg: float,
    kind: str | None = None,
) -> list[Sample]:
    """Make up a scene and render what a camera sees that moves through it.

    The camera moves level, about where it looks, and turns about the vertical to one side. Light, exposure
    and lens stay; as in a camera, exposure follows what is in view.

    Args:
        rng: The source of everything random.
        size: (H, W), pixels.
        frames: How many pictures.
        step_m: How far the camera moves from picture to picture.
        turn_deg: How far it turns from picture to picture.
        kind: As for `render_scene`.

    Returns:
        The pictures in order, of one scene number.

    Raises:
        RenderError: The kind is unknown or the size is not at least 2 x 2.
    """
    number, make = _begin(rng, size, kind)
    while True:
        scene = make(rng)
        first = _draw_view(rng, scene, size)
        bearing_rad, turn_rad = rng.normal(0, 0.4), rng.choice([-1, 1]) * np.deg2rad(turn_deg)
        views = [_moved(first, index, step_m, bearing_rad, turn_rad) for index in range(frames)]
        seen = [first_hits(scene.solids, view, MAX_DEPTH_M) for view in views]
        if all(_is_worth_seeing(hits, scene, size) for hits in seen):
            light = int(rng.integers(2**62))
            return [
                _sample(np.random.default_rng(light), scene, view, hits, number)
                for view, hits in zip(views, seen, strict=True)
            ]


def _begin(rng: np.random.Generator, size: tuple[int, int], kind: str | None) -> tuple[int, _Maker]:
    """Return the number of a new scene, and what makes it."""
    if kind is not None and kind not in KINDS:
        raise RenderError(f"expected a kind of scene among {', '.join(KINDS)}, got {kind!r}")
    if min(size) < 2:
        raise RenderError(f"expected a size (H, W) of at least 2 x 2, got {size}")
    number = int(rng.integers(2**62))
    chosen = kind or str(rng.choice(KINDS, p=[weight for _, weight in _MAKERS.values()]))
    return number, _MAKERS[chosen][0]


def _moved(view: View, index: int, step_m: float, bearing_rad: float, turn_rad: float) -> View:
    """Return the view after so many steps."""
    right = view.axes[0]
    ahead = np.array([-right[1], right[0], 0], np.float32)  # level, square to the camera's right
    bearing = turned(bearing_rad) @ (ahead / max(float(np.linalg.norm(ahead)), 1e-6))
    axes = (turned(index * turn_rad) @ view.axes.T).T
    return replace(view, eye=view.eye + np.float32(index * step_m) * bearing, axes=axes)


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
