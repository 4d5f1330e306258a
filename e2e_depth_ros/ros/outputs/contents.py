"""What is told of a frame: one function for each output.

Each takes the frame's products and the node's parameters. It returns the array of an image, whose encoding
the declaration in `depth_outputs` names, or else the message; None where there is nothing to tell.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.levelling import levelled
from e2e_depth_ros.core.cloud_filters import CloudFilterSettings
from e2e_depth_ros.core.colours import colours_from_depth
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.ros.declarations.declaration import settings_from_parameters
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.outputs.depth_cloud import cloud_from_depth
from e2e_depth_ros.ros.outputs.products import Products
from e2e_depth_ros.ros.telling.status import status_from_alignment


def depth_image(products: Products, _: Parameters) -> NDArray[np.float32] | None:
    """Metres along Z, NaN where invalid (REP 118)."""
    return None if products.metric is None else products.metric.values


def depth_camera_info(products: Products, _: Parameters) -> Any | None:
    """The pinhole of what is published."""
    camera = products.view.camera
    return None if camera is None else message_from_camera(camera, products.header)


def points_cloud(products: Products, parameters: Parameters) -> Any | None:
    """Organised, optical frame; NaN where depth is invalid, masked or filtered out."""
    depth, camera = products.metric, products.view.camera
    if depth is None or camera is None:
        return None
    if parameters.remove_masked_points:
        masked = products.view.masked
        if masked is None:
            return None  # any of them might be what was to be left out
        depth = DepthMap(depth.values, depth.valid & ~masked, depth.kind)
    edges = products.edges if parameters.remove_edges else None
    if products.ground is not None:
        depth = levelled(depth, camera, products.ground)
        edges = None  # others than those of the floor as the network saw it
    settings = settings_from_parameters(CloudFilterSettings, parameters)
    return cloud_from_depth(
        depth,
        camera,
        products.view.rgb,
        products.header,
        settings,
        edges=edges,
        confidence=products.confidence if settings.confidence_threshold > 0 else None,
    )


def confidence_image(products: Products, _: Parameters) -> NDArray[np.float32]:
    """0..1; 0 without depth."""
    return products.confidence


def alignment_status(products: Products, _: Parameters) -> Any | None:
    """How the frame was aligned."""
    if products.alignment is None:
        return None
    return status_from_alignment(products.node_name, products.alignment)


def normals_image(products: Products, _: Parameters) -> NDArray[np.float32] | None:
    """Unit vectors in the optical frame, NaN where invalid."""
    return None if products.normals is None else products.normals.values


def relative_image(products: Products, _: Parameters) -> NDArray[np.float32] | None:
    """0 near .. 1 far, NaN where invalid."""
    return None if products.relative is None else products.farness


def color_image(products: Products, parameters: Parameters) -> NDArray[np.uint8] | None:
    """For eyes: the bright end of the colour map is near; invalid is black."""
    if products.relative is None:
        return None
    rgb = colours_from_depth(products.farness, 0.0, 1.0, colormap=parameters.colormap)
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), dtype=np.uint8)
