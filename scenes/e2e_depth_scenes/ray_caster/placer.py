"""Where a thing stands and which way it faces, so that its parts are described around its own origin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster.materials import Material
from e2e_depth_scenes.ray_caster.shapes import box, prism, turned
from e2e_depth_scenes.ray_caster.solids import Array, Ellipsoid, Frustum, Solid


class Placer:
    """Turns and moves the parts of one thing into the world.

    Args:
        at: (3,), where the thing stands, metres.
        yaw: Which way its x axis points, radians about z.
    """

    def __init__(self, at: ArrayLike, yaw: float) -> None:
        self.at = np.asarray(at, np.float32)
        self.yaw = yaw
        self.rotation = turned(yaw)
        self.solids: list[Solid] = []

    def point(self, x: float, y: float, z: float) -> Array:
        """Return the world point (3,) of a point of the thing."""
        return self.at + self.rotation @ np.array([x, y, z], np.float32)

    def box(
        self,
        base: tuple[float, float, float],
        size: tuple[float, float, float],
        materials: Material | list[Material],
        tilt: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Add a cuboid on `base`, turned by (yaw, pitch, roll) within the thing."""
        rotation = self.rotation @ turned(*tilt)
        self.solids.append(box(self.point(*base), size, materials, rotation))

    def prism(
        self,
        base: tuple[float, float, float],
        outline: list[tuple[float, float]],
        width: float,
        materials: Material | list[Material],
    ) -> None:
        """Add an outline in x and z, extruded along y."""
        self.solids.append(prism(self.point(*base), outline, width, materials, self.rotation))

    def frustum(
        self,
        base: tuple[float, float, float],
        height: float,
        radii: tuple[float, float],
        stuff: Material,
        tilt: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Add a cone or cylinder that starts at `base`."""
        rotation = self.rotation @ turned(*tilt)
        self.solids.append(Frustum(self.point(*base), height, *radii, stuff, rotation))

    def ellipsoid(
        self,
        centre: tuple[float, float, float],
        half_axes: tuple[float, float, float],
        stuff: Material,
        raggedness: float = 0.0,
    ) -> None:
        """Add an ellipsoid."""
        self.solids.append(Ellipsoid(self.point(*centre), half_axes, stuff, self.rotation, raggedness))
