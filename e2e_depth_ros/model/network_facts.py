"""What an estimator has to know of a network, wherever the network comes from."""

from __future__ import annotations

from typing import Protocol

from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.task import Task


class NetworkFacts(Protocol):
    """What a network predicts, and what its numbers mean; see `CheckpointFacts`, whose words these are."""

    @property
    def name(self) -> str:
        """Its hub id or the name of its folder."""

    @property
    def tasks(self) -> frozenset[Task]:
        """What it predicts."""

    @property
    def processing_resolution(self) -> int:
        """Longer edge, pixels, that it was trained for; 0 for the image's own size."""

    @property
    def depth_kind(self) -> DepthKind:
        """What its depth means."""

    @property
    def normals_signs(self) -> tuple[float, float, float]:
        """What turns decoded normals into the camera optical frame (x right, y down, z forward)."""

    @property
    def full_z_range(self) -> bool:
        """False where it decodes the z of normals, never negative, as 2 z - 1."""

    @property
    def clips_normals(self) -> bool:
        """Whether each axis of decoded normals is held within [-1, 1]."""

    @property
    def upsampling(self) -> str:
        """How its depth comes to the image's size, of `OWN_UPSAMPLINGS`."""

    @property
    def down_factor(self) -> int:
        """What an image must be divisible by."""

    @property
    def activation_floats(self) -> int:
        """About how many numbers a pass holds at its peak for each pixel that the network sees."""
