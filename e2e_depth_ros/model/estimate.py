"""What the network says about an image: from decoded pixels to maps that carry their meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.core.framing import Framing
from e2e_depth_ros.core.maps import DepthMap, NormalMap
from e2e_depth_ros.core.robust import STD_OF_MEDIAN_DEVIATION
from e2e_depth_ros.core.upsampling import Outlines
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.ensemble import ensemble_depth, ensemble_normals

_MIN_LENGTH = 1e-6  # of a vector that has a direction
_MIN_RANGE = 1e-6  # of depth that isn't constant: less is rounding

_Map = TypeVar("_Map", DepthMap, NormalMap)


@dataclass(frozen=True, eq=False)
class Estimate:
    """What the network says about one image, at the image's own size.

    Attributes:
        depth: Relative depth, enlarged bilinearly: what an alignment is fitted to. None where it wasn't asked
            for.
        normals: Surface normals; None where they weren't asked for.
        durations_s: Seconds of each stage: preprocess, encode, denoise, decode, postprocess. Those of a
            batch are shared by its images. On a GPU the stages overlap unless `synchronize` was asked for;
            their sum is right all the same.
        non_finite: Pixels whose prediction was NaN or infinite; they are invalid in the maps.
        depth_uncertainty: (H, W), float32, in units of `depth`: the median absolute deviation of the
            ensemble's members, NaN where invalid; None without an ensemble.
        normals_uncertainty: (H, W), float32, 0..1: the members' mean angle to their mean, divided by pi;
            None without an ensemble.
        outlines: What depth is to follow once nothing is fitted to it any more; None where it stays as it is.
    """

    depth: DepthMap | None
    normals: NormalMap | None
    durations_s: Mapping[str, float]
    non_finite: int = 0
    depth_uncertainty: NDArray[np.float32] | None = None
    normals_uncertainty: NDArray[np.float32] | None = None
    outlines: Outlines | None = None

    @cached_property
    def outlined_depth(self) -> DepthMap | None:
        """`depth` along the outlines of the image, if it is to follow them: what is shown, saved and scored.

        It is computed when first asked for.
        """
        if self.depth is None or self.outlines is None:
            return self.depth
        return self.outlines.followed_by(self.depth)

    @property
    def depth_std(self) -> NDArray[np.float32] | None:
        """(H, W), float32, in units of `depth`: the standard deviation that `depth_uncertainty` stands for.

        That of normally distributed errors; None without an ensemble.
        """
        if self.depth_uncertainty is None:
            return None
        return np.multiply(self.depth_uncertainty, STD_OF_MEDIAN_DEVIATION, dtype=np.float32)


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


def read_depth(
    decoded: Tensor, framing: Framing, facts: CheckpointFacts, *, stretch: bool = False
) -> list[Finding[DepthMap]]:
    """Read the depth of images.

    Args:
        decoded: (B, E, 3, h, w), float32, what the VAE decoded, of E members for each image.
        framing: How the images were fitted.
        facts: What the network's depth means.
        stretch: Stretch the depth of each image to 0..1.
    """
    batch, members = decoded.shape[:2]
    depths = depth_from_decoded(decoded.flatten(0, 1)).view(
        batch, members, *decoded.shape[3:]
    )  # (B, E, h, w)
    framed = depths
    if members > 1:
        framing, depths = _unpadded(framing, depths)
        ensembles = [ensemble_depth(of_image, facts.depth_kind) for of_image in depths]
        framed = torch.stack([torch.cat([e.values, e.uncertainty[None]]) for e in ensembles])  # (B, 2, h, w)
    findings = []
    for values, *uncertainty in framing.invert(framed).cpu().numpy():
        non_finite = int(np.count_nonzero(np.isnan(values)))
        shown = _stretched(values) if stretch else values
        depth = DepthMap(shown, np.ones(values.shape, dtype=np.bool_), facts.depth_kind)
        findings.append(Finding(depth, non_finite, uncertainty[0] if uncertainty else None))
    return findings


def read_normals(decoded: Tensor, framing: Framing, facts: CheckpointFacts) -> list[Finding[NormalMap]]:
    """Read the normals of images; see `read_depth`."""
    members = decoded.shape[1]
    framed = normals_from_decoded(
        decoded.flatten(0, 1), facts.normals_signs, full_z_range=facts.full_z_range, clip=facts.clips_normals
    )  # (B * E, 3, h, w)
    if members > 1:
        framing, normals = _unpadded(framing, framed.view(decoded.shape))
        ensembles = [ensemble_normals(of_image) for of_image in normals]
        framed = torch.stack([torch.cat([e.values, e.uncertainty[None]]) for e in ensembles])  # (B, 4, h, w)
    findings = []
    for x, y, z, *uncertainty in framing.invert(framed).cpu().numpy():
        findings.append(Finding(*_normalised(x, y, z), uncertainty[0] if uncertainty else None))
    return findings


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


def _normalised(
    x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]
) -> tuple[NormalMap, int]:
    """Join planes (H, W) to unit normals, as interpolation shortens; count those that are NaN."""
    # Not by OpenCV, whose last bit depends on where the planes lie in memory: a training that goes on would
    # score otherwise than one without a break.
    length = x * x
    for axis in (y, z):
        length += axis * axis
    np.sqrt(length, out=length)
    valid = np.asarray(length > _MIN_LENGTH)
    non_finite = 0
    if not valid.all():
        non_finite = int(np.count_nonzero(np.isnan(length)))
        length[~valid] = np.nan
    scale = np.reciprocal(length, out=length)
    # Planes are faster to work on than vectors.
    values = np.asarray(
        cv2.merge([np.multiply(axis, scale, out=axis) for axis in (x, y, z)]), dtype=np.float32
    )
    return NormalMap(values, valid), non_finite


def _unpadded(framing: Framing, maps: Tensor) -> tuple[Framing, Tensor]:
    """Cut the padding off, (..., h, w): what was decoded there must not sway the ensemble."""
    height, width = framing.content_size
    return replace(framing, padded_size=framing.content_size), maps[..., :height, :width]


def _stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map the finite values to 0..1; a constant becomes 0."""
    if np.isnan(values).all():
        return values
    low, high = np.nanmin(values), np.nanmax(values)
    if high - low < _MIN_RANGE:
        return np.where(np.isnan(values), values, np.float32(0))
    return np.asarray((values - low) / (high - low), dtype=np.float32)
