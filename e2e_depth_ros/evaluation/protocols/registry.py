"""All protocols by name."""

from __future__ import annotations

from typing import Final

from e2e_depth_ros.core.names import check_name
from e2e_depth_ros.evaluation.protocols.diode import DIODE
from e2e_depth_ros.evaluation.protocols.dsine import (
    IBIMS_NORMALS,
    NYUV2_NORMALS,
    SCANNET_NORMALS,
    SINTEL_NORMALS,
)
from e2e_depth_ros.evaluation.protocols.eth3d import ETH3D
from e2e_depth_ros.evaluation.protocols.kitti import KITTI_EIGEN
from e2e_depth_ros.evaluation.protocols.nyuv2 import NYUV2
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol
from e2e_depth_ros.evaluation.protocols.scannet import SCANNET

PROTOCOLS: Final = {
    protocol.name: protocol
    for protocol in (
        NYUV2,
        KITTI_EIGEN,
        ETH3D,
        SCANNET,
        DIODE,
        NYUV2_NORMALS,
        SCANNET_NORMALS,
        IBIMS_NORMALS,
        SINTEL_NORMALS,
    )
}
"""Every protocol."""


def protocol_named(name: str) -> EvaluationProtocol:
    """Return a protocol.

    Raises:
        InvalidInputError: There is none of that name; the closest one is suggested.
    """
    return PROTOCOLS[check_name(name, PROTOCOLS, "a protocol")]
