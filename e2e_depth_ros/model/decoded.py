"""From decoded pixels to depth and normals, on tensors: what a network of torch says about images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.core.framing import Framing
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.model.ensemble import ensemble_depth, ensemble_normals
from e2e_depth_ros.model.estimate import depth_map_from, normal_map_from
from e2e_depth_ros.model.network_facts import NetworkFacts

_Map = TypeVar("_Map", DepthMap, NormalMap)


@dataclass(frozen=True, eq=False)
class Finding(Generic[_Map]):
    """One map of one image.

    Attributes:
        map: At the image's own size.
        non_finite: How many of its pixels were NaN.
        uncertainty: (H, W), see `Estimate`; None without an ensemble.
    """

    map: _Map
    non_finite: int
    uncertainty: NDArray[np.float32] | None


def depth_maps(decoded: Tensor, framing: Framing, kind: DepthKind) -> Tensor:
    """Bring decoded pixels to depth at the images' size, on their device.

    Args:
        decoded: (B, E, 3, h, w), float32, what the VAE decoded, of E members for each image.
        framing: How the images were fitted.
        kind: What the network's depth means.

    Returns:
        (B, 1, H, W); with an ensemble (B, 2, H, W), its uncertainty being the second.
    """
    depths = depth_from_decoded(decoded.flatten(0, 1)).view(*decoded.shape[:2], *decoded.shape[3:])
    if decoded.shape[1] == 1:
        return framing.invert(depths)
    framing, depths = _unpadded(framing, depths)
    ensembles = [ensemble_depth(of_image, kind) for of_image in depths]
    return framing.invert(torch.stack([torch.cat([e.values, e.uncertainty[None]]) for e in ensembles]))


def normals_maps(decoded: Tensor, framing: Framing, facts: NetworkFacts) -> Tensor:
    """Bring decoded pixels to normals at the images' size; see `depth_maps`.

    Returns:
        (B, 3, H, W), shorter than 1 where they were interpolated; with an ensemble (B, 4, H, W).
    """
    framed = normals_from_decoded(
        decoded.flatten(0, 1), facts.normals_signs, full_z_range=facts.full_z_range, clip=facts.clips_normals
    )  # (B * E, 3, h, w)
    if decoded.shape[1] == 1:
        return framing.invert(framed)
    framing, normals = _unpadded(framing, framed.view(decoded.shape))
    ensembles = [ensemble_normals(of_image) for of_image in normals]
    return framing.invert(torch.stack([torch.cat([e.values, e.uncertainty[None]]) for e in ensembles]))


def read_depth(
    maps: NDArray[np.float32], kind: DepthKind, *, stretch: bool = False
) -> list[Finding[DepthMap]]:
    """Read what `depth_maps` made, image by image.

    Args:
        maps: (B, 1 or 2, H, W).
        kind: What the depth means.
        stretch: Stretch the depth of each image to 0..1.
    """
    return [
        Finding(*depth_map_from(values, kind, stretch=stretch), uncertainty[0] if uncertainty else None)
        for values, *uncertainty in maps
    ]


def read_normals(maps: NDArray[np.float32]) -> list[Finding[NormalMap]]:
    """Read what `normals_maps` made, (B, 3 or 4, H, W); see `read_depth`."""
    return [
        Finding(*normal_map_from(x, y, z), uncertainty[0] if uncertainty else None)
        for x, y, z, *uncertainty in maps
    ]


def depth_from_decoded(decoded: Tensor) -> Tensor:
    """Read depth from what the VAE decoded.

    Args:
        decoded: (B, 3, h, w), unclamped.

    Returns:
        (B, h, w), 0 near .. 1 far for a network of depth; NaN stays NaN.
    """
    return (decoded.mean(dim=1).clamp(-1, 1) + 1) / 2


def normals_from_decoded(
    decoded: Tensor,
    signs: tuple[float, float, float] = (1.0, -1.0, -1.0),
    *,
    full_z_range: bool = True,
    clip: bool = True,
) -> Tensor:
    """Read surface normals from what the VAE decoded.

    Convention:
        Returned in the camera optical frame (REP 103: x right, y down, z forward), pointing towards the
        camera. Marigold's networks decode x right, y up, z towards the camera: the default `signs`.

    Args:
        decoded: (B, 3, h, w), unclamped.
        signs: What turns the network's x, y and z into the optical frame's.
        full_z_range: False where the network decodes z as 2 z - 1, as it can't be negative.
        clip: Whether each axis is held within [-1, 1] first, as Marigold does and GeoWizard does not.

    Returns:
        (B, 3, h, w), of length 1 (less only where nothing was decoded); NaN stays NaN.
    """
    x, y, z = (decoded.clamp(-1, 1) if clip else decoded).unbind(dim=1)
    if not full_z_range:
        z = (z + 1) / 2
    # Written out: a norm over the channels of NCHW is many times slower on a CPU.
    length = (x * x + y * y + z * z).sqrt().clamp(min=1e-6)
    return torch.stack([sign * axis / length for sign, axis in zip(signs, (x, y, z), strict=True)], dim=1)


def _unpadded(framing: Framing, maps: Tensor) -> tuple[Framing, Tensor]:
    """Cut the padding off, (..., h, w): what was decoded there must not sway the ensemble."""
    height, width = framing.content_size
    return replace(framing, padded_size=framing.content_size), maps[..., :height, :width]
