"""Render recipes: what to render, checked."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from e2e_depth_ros.training.shards import MAX_SAMPLES
from e2e_depth_scenes.errors import RenderError

MAX_SIDE_PX = 8192


@dataclass(frozen=True)
class SceneMix:
    """The share of each kind of scene; they need not add up to 1, and a kind not named keeps its share."""

    room: float = 0.34
    tabletop: float = 0.12
    corridor: float = 0.07
    hall: float = 0.07
    stairs: float = 0.03
    street: float = 0.29
    yard: float = 0.08


@dataclass(frozen=True)
class VarietyRecipe:
    """Probabilities of what scenes of Blender may have besides their usual contents; 0 changes nothing.

    Attributes:
        pale: An indoor scene is white and has no window: walls, tables, paper, light from lamps alone.
        counter: A tabletop is a kitchen counter or a workbench along a wall.
        from_above: A view of a tabletop looks nearly straight down on it.
        seating: Sofas, chairs and tables stand 1 to 3 m before a camera indoors.
        people: People stand or walk before a camera.
        thin: Posts, stands, railings and stools stand before a camera.
        parked: Cars stand 3 to 15 m before a camera outdoors.
        near: A camera stands close to a thing of the scene.
        tilted: A camera looks 0 to 45 degrees down.
        overexposed: A tenth to nearly half of a picture is burnt out.
    """

    pale: float = 0.0
    counter: float = 0.0
    from_above: float = 0.0
    seating: float = 0.0
    people: float = 0.0
    thin: float = 0.0
    parked: float = 0.0
    near: float = 0.0
    tilted: float = 0.0
    overexposed: float = 0.0

    def __post_init__(self) -> None:
        for choice in fields(self):
            probability = getattr(self, choice.name)
            if not 0 <= probability <= 1:
                raise RenderError(f"{choice.name}: expected a probability in 0..1, got {probability}")


@dataclass(frozen=True)
class PathRecipe:
    """Views of a camera that moves slowly through a scene, as a robot does: to see how a prediction flickers.

    Attributes:
        frames: Views along the way; 0 for views that have nothing to do with each other.
        step_m: How far the camera moves from view to view, level, about where it looks.
        turn_deg: How far it turns from view to view, about the vertical, all the way to one side.
    """

    frames: int = 0
    step_m: float = 0.02
    turn_deg: float = 0.5

    def __post_init__(self) -> None:
        if self.frames < 0 or self.frames == 1:
            raise RenderError(f"frames: expected 0 or at least 2, got {self.frames}")
        if self.step_m < 0 or self.turn_deg < 0:
            raise RenderError(f"step_m: expected no negative motion, got {self.step_m}, {self.turn_deg}")


@dataclass(frozen=True)
class RenderRecipe:
    """What to render; a YAML file has the same keys.

    Attributes:
        source: "blender", or "ray_caster" (simpler scenes, many times faster, nothing to install).
        images: How many images to keep; renderers stop when they are there.
        size: (H, W), pixels.
        first_seed: Seed of the first scene; scenes are numbered from here.
        processes: How many renderers run at once, each on one core.
        shard_size: Images in one file.
        split: "train" or "validation"; they share no model and no panorama (Blender).
        views: Views of each scene where there is no path (Blender).
        path: Lets the camera move through each scene.
        samples: Light paths for each pixel (Blender).
        scenes_per_process: After so many scenes a process is replaced, for its memory grows (Blender).
        mix: Share of each kind of scene (Blender).
        variety: What else scenes may have (Blender).
        furniture: Catalogues of Sweet Home 3D, `.sh3f`; patterns allowed (Blender).
        panoramas: Panoramas beside those of Blender, `.exr` or `.hdr`; patterns allowed (Blender).
    """

    source: str
    images: int
    size: tuple[int, int] = (144, 192)
    first_seed: int = 0
    processes: int = 1
    shard_size: int = 500
    split: str = "train"
    views: int = 5
    path: PathRecipe = field(default_factory=PathRecipe)
    samples: int = 4
    scenes_per_process: int = 1500
    mix: SceneMix = field(default_factory=SceneMix)
    variety: VarietyRecipe = field(default_factory=VarietyRecipe)
    furniture: tuple[str, ...] = ()
    panoramas: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.source not in ("blender", "ray_caster"):
            raise RenderError(f"source: expected blender or ray_caster, got {self.source!r}")
        if self.split not in ("train", "validation"):
            raise RenderError(f"split: expected train or validation, got {self.split!r}")
        if self.shard_size > MAX_SAMPLES:
            raise RenderError(f"shard_size: expected at most {MAX_SAMPLES}, got {self.shard_size}")
        for name in ("images", "processes", "shard_size", "views", "samples", "scenes_per_process"):
            if getattr(self, name) < 1:
                raise RenderError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 16 <= min(self.size) <= max(self.size) <= MAX_SIDE_PX:
            raise RenderError(
                f"size: expected [height, width] of at least 16, up to {MAX_SIDE_PX}, got {list(self.size)}"
            )
