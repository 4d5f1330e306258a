"""Photographs without a photographer: views of a camera that stands where a panorama was taken.

Image-based lighting has brought many panoramas under CC0, of rooms and of streets. They hold the light of all
directions (equirectangular, linear, high dynamic range), so a view of them is what a camera of any lens,
exposure and tilt would see.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Rec. 709: how bright red, green and blue are.
_LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class View:
    """Where a camera looks, and how.

    Attributes:
        size: Height and width, pixels.
        field_of_view_deg: Horizontal.
        yaw_deg: Around the vertical, clockwise from above.
        pitch_deg: Positive looks up.
        roll_deg: Around the axis of the lens.
        exposure: Brightness of the view's middle grey: the median of its luma after tone mapping, 0..1.
        gamma: Of the tone curve: 2.2 is a screen's.
    """

    size: tuple[int, int]
    field_of_view_deg: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    exposure: float
    gamma: float

    @property
    def focal_px(self) -> float:
        """Focal length, pixels."""
        return float(self.size[1] / 2 / np.tan(np.radians(self.field_of_view_deg) / 2))


def draw_view(rng: np.random.Generator, sizes: tuple[tuple[int, int], ...]) -> View:
    """Draw a view as a robot's camera has it: mostly level or tilted down, of an ordinary lens."""
    return View(
        size=sizes[rng.integers(len(sizes))],
        field_of_view_deg=float(rng.uniform(58, 95)),
        yaw_deg=float(rng.uniform(0, 360)),
        pitch_deg=float(np.clip(rng.normal(-9, 12), -45, 20)),
        roll_deg=float(rng.normal(0, 2)),
        exposure=float(rng.uniform(0.28, 0.52)),
        gamma=float(rng.uniform(1.9, 2.5)),
    )


def look(panorama: NDArray[np.float32], view: View) -> NDArray[np.uint8]:
    """Return what a camera sees.

    Args:
        panorama: (H, 2 H, 3), linear RGB.
        view: Where it looks.

    Returns:
        (h, w, 3), uint8, RGB.
    """
    height, width = view.size
    column, row = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    rays = np.stack([column / view.focal_px, row / view.focal_px, np.ones_like(row)], axis=-1)
    rays = rays @ _rotation(view).T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    rows, columns = panorama.shape[:2]
    longitude, latitude = np.arctan2(rays[..., 0], rays[..., 2]), np.arcsin(np.clip(rays[..., 1], -1, 1))
    # Columns of margin: interpolation crosses the seam.
    around = np.concatenate([panorama[:, -2:], panorama, panorama[:, :2]], axis=1)
    x = ((longitude / (2 * np.pi) + 0.5) * columns - 0.5) % columns + 2
    y = (latitude / np.pi + 0.5) * rows - 0.5
    # Cubic interpolation would ring around lamps, a thousand times as bright as what is beside them.
    light = cv2.remap(
        around, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return expose(np.asarray(light, dtype=np.float32), view.exposure, view.gamma)


def expose(light: NDArray[np.float32], exposure: float, gamma: float) -> NDArray[np.uint8]:
    """Map linear light to eight bits, as a camera that meters the median; highlights burn out softly."""
    median = float(np.median(light @ _LUMA))
    # Compressed panoramas hold a little less than no light here and there.
    scaled = np.maximum(light, 0) * (exposure**gamma / max(median, 1e-6))
    # Straight up to 0.6, then a shoulder that ends at 1.
    shoulder = 0.6 + 0.4 * np.tanh(np.maximum(scaled - 0.6, 0) / 0.4)
    mapped = np.where(scaled < 0.6, scaled, shoulder) ** (1 / gamma)
    return np.asarray(np.rint(255 * mapped), dtype=np.uint8)


def _rotation(view: View) -> NDArray[np.float64]:
    """Return the axes of the camera (x right, y down, z forward) in the panorama's."""
    yaw, pitch, roll = np.radians([view.yaw_deg, view.pitch_deg, view.roll_deg])
    around_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    around_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    around_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(around_y @ around_x @ around_z)
