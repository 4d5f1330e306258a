"""Depth images packed as compressed_depth_image_transport packs them, written from its description."""

import struct

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from helpers.rvl_packer import pack_rvl

DEPTH_MAX_M, DEPTH_QUANTIZATION = 10.0, 100.0  # the transport's defaults
SCALE = DEPTH_QUANTIZATION * (DEPTH_QUANTIZATION + 1)
OFFSET = 1 - SCALE / DEPTH_MAX_M


def pack(values, packing):
    """Pack an image of uint16."""
    if packing == "png":
        return cv2.imencode(".png", values)[1].tobytes()
    return struct.pack("<II", values.shape[1], values.shape[0]) + pack_rvl(values)


def inverse(depth_m):
    """Quantise metres as inverse depth: 0 for none, and for all that is farther than the limit."""
    with np.errstate(invalid="ignore", divide="ignore"):
        is_depth = depth_m < DEPTH_MAX_M
        return np.where(is_depth, SCALE / depth_m + OFFSET, 0).astype(np.uint16)


def compressed_depth(depth, packing="png", header=None):
    """Pack millimetres (uint16) or metres (float32) as the transport compressedDepth does."""
    if depth.dtype == np.uint16:
        encoding, values, quantisation = "16UC1", depth, (0.0, float("nan"))  # not set by the sender
    else:
        encoding, values, quantisation = "32FC1", inverse(depth), (SCALE, OFFSET)
    data = struct.pack("<iff", 0, *quantisation) + pack(values, packing)
    message = CompressedImage(format=f"{encoding}; compressedDepth {packing}", data=data)
    if header is not None:
        message.header = header
    return message
