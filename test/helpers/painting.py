"""Scenes, and paint on them as a network would leave it: noisy, compressed, shifted in colour."""

from __future__ import annotations

import cv2
import numpy as np


def scene(seed: int = 0, size: tuple[int, int] = (180, 260)) -> np.ndarray:
    """Return an image (H, W, 3) of smooth ground, boxes and texture, 0..255."""
    random = np.random.default_rng(seed)
    height, width = size
    image = cv2.resize(random.uniform(30, 220, (4, 5, 3)).astype(np.float32), (width, height))
    for _ in range(12):
        v, u = int(random.integers(height - 30)), int(random.integers(width - 30))
        h, w = random.integers(10, 60, 2)
        image[v : v + h, u : u + w] = random.uniform(0, 255, 3)
    texture = cv2.GaussianBlur(random.normal(0, 25, (height, width)).astype(np.float32), (0, 0), 1)
    return np.clip(image + texture[..., None], 0, 255)


def blend(image: np.ndarray, where: np.ndarray, colour: tuple[int, int, int], opacity: float) -> np.ndarray:
    """Paint as the training data is painted."""
    painted = image.copy()
    painted[where] = (1 - opacity) * image[where] + opacity * np.array(colour)
    return painted


def noisy(image: np.ndarray, sigma: float, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.clip(image + random.normal(0, sigma, image.shape), 0, 255)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """Send an image through JPEG."""
    bgr = np.round(image[..., ::-1]).astype(np.uint8)
    ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float64)


def ellipse(size: tuple[int, int], centre: tuple[float, float], axes: tuple[float, float]) -> np.ndarray:
    """Return (H, W) bool, True in the ellipse around (u, v)."""
    v, u = np.indices(size)
    return ((u - centre[0]) / axes[0]) ** 2 + ((v - centre[1]) / axes[1]) ** 2 <= 1


def overlap(found: np.ndarray, expected: np.ndarray) -> float:
    """Intersection over union."""
    return float((found & expected).sum() / (found | expected).sum())
