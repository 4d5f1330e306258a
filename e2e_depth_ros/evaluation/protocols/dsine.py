"""The four sets of normals that DSINE (Bae and Davison 2024) is evaluated on, as published with it.

Convention:
    In those files, normals point away from the camera, in the optical frame (x right, y down, z forward): a
    wall that faces the camera has (0, 0, 1). Here they are turned round, towards the camera. Marigold
    publishes the same sets anew as NumPy files, in axes of its own: x right, y up, z backward.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.maps import NormalMap
from e2e_depth_ros.evaluation.protocols.decoding import decode_vectors
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol, Layout, Sample
from e2e_depth_ros.evaluation.protocols.scoring import NormalsRules

_OPTICAL_FROM_DSINE: Final = np.array([-1, -1, -1], np.float32)
_OPTICAL_FROM_MARIGOLD: Final = np.array([1, -1, -1], np.float32)
_LEAST_LENGTH: Final = 0.5  # of a vector that counts; others are zero
# Mean and standard deviation of ImageNet's colours.
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION: Final = np.array([0.229, 0.224, 0.225], np.float32)


def _read_target(files: dict[str, bytes], _size: tuple[int, int]) -> NormalMap:
    ((name, data),) = files.items()
    vectors = decode_vectors(data, name)
    if name.endswith(".png"):
        known = vectors.max(axis=2) > 0  # black is unknown
        vectors = vectors / np.float32(255) * 2 - 1
    else:
        known = np.linalg.norm(vectors, axis=2) > _LEAST_LENGTH
    signs = _OPTICAL_FROM_MARIGOLD if name.endswith(".npy") else _OPTICAL_FROM_DSINE
    return NormalMap.from_vectors(np.where(known[..., None], vectors * signs, np.float32(np.nan)))


def stretched_colours(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Change an image's colours as E2E-FT's evaluation of normals does before its networks see them.

    That evaluation takes images which DSINE's loader has normalised by the mean and deviation of ImageNet,
    and stretches the lowest value of all channels to 0 and the highest to 255. The published scores are of
    such images.

    Args:
        rgb: (H, W, 3).
    """
    normalised = (rgb.astype(np.float32) / 255 - _MEAN) / _DEVIATION
    low, high = normalised.min(), normalised.max()
    if high == low:
        return rgb
    stretched: NDArray[np.uint8] = ((normalised - low) / (high - low) * 255).astype(np.uint8)
    return stretched


def _recolour(sample: Sample) -> Sample:
    return Sample(stretched_colours(sample.rgb), sample.target)


def _protocol(
    name: str, title: str, image: str, suffix: str, example: str, count: int, domain: str = "indoor"
) -> EvaluationProtocol:
    return EvaluationProtocol(
        name=name,
        title=title,
        layout=Layout(
            image=rf"^(|.*/)({image})_img\.(?:png|jpg)$",
            companions=(rf"\1\2_normal{suffix}|\1\2_normal.npy",),
            example=example,
        ),
        frame_count=count,
        processing_resolution=0,
        rules=NormalsRules(),
        read_target=_read_target,
        domain=domain,
        prepare=_recolour,
    )


NYUV2_NORMALS: Final = _protocol(
    "nyuv2_normals", "NYUv2 normals of DSINE", r"test/\d{6}", ".png", "test/000000_img.png", 654
)
"""Normals of GeoNet (Qi et al. 2018)."""

SCANNET_NORMALS: Final = _protocol(
    "scannet_normals",
    "ScanNet normals of DSINE",
    r"scene\d{4}_\d\d/\d{6}",
    ".png",
    "scene0532_00/000000_img.png",
    300,
)
"""Normals of FrameNet (Huang et al. 2019)."""

IBIMS_NORMALS: Final = _protocol(
    "ibims_normals", "iBims-1 normals of DSINE", r"[a-z]+_\d\d", ".exr", "ibims/corridor_01_img.png", 100
)
"""Normals by plane fitting to iBims-1 (Koch et al. 2018)."""

SINTEL_NORMALS: Final = _protocol(
    "sintel_normals",
    "Sintel normals of DSINE",
    r"[a-z]+_\d/frame_\d{4}",
    ".exr",
    "alley_1/frame_0001_img.png",
    1064,
    domain="outdoor",
)
"""Normals by plane fitting to Sintel (Butler et al. 2012)."""
