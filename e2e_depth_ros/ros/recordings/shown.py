"""What of a message there is to see: arrays, whatever the type of the message."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.ros.messages.camera_info import camera_from_message
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.images import COLOR_ENCODINGS, depth_from_message, rgb_from_message
from e2e_depth_ros.ros.outputs.depth_outputs import Output


class Display(Protocol):
    """What shows arrays, such as `offline.viewer.Viewer`."""

    def camera(self, camera: Camera) -> None:
        """Show where the camera looks."""

    def image(self, rgb: NDArray[np.uint8], name: str = "image") -> None:
        """Show an image, (H, W, 3)."""

    def depth(self, depth_m: NDArray[np.float32]) -> None:
        """Show metric depth, (H, W)."""

    def relative(self, farness: NDArray[np.float32]) -> None:
        """Show relative depth, (H, W)."""

    def normals(self, normals: NDArray[np.float32]) -> None:
        """Show unit normals, (H, W, 3)."""

    def points(
        self, points_m: NDArray[np.float32], colours: NDArray[np.uint8] | None = None, name: str = "points"
    ) -> None:
        """Show points, (..., 3)."""

    def status(self, level: int, words: str, values: dict[str, str]) -> None:
        """Tell how a frame was aligned."""


def show_output(display: Display, output: Output, message: Any) -> None:
    """Show a message of an output."""
    if output is Output.DEPTH_INFO:
        display.camera(camera_from_message(message, (message.height, message.width)).rectified())
    elif output is Output.POINTS:
        points_m = points_from_message(message)
        octets = np.frombuffer(message.data, np.uint8).reshape(len(points_m), -1)
        blue_first = octets[:, 12:15]
        display.points(points_m, np.ascontiguousarray(blue_first[:, ::-1]))
    elif output is Output.STATUS:
        level = message.level if isinstance(message.level, int) else message.level[0]
        display.status(level, message.message, {entry.key: entry.value for entry in message.values})
    elif output is Output.DEPTH:
        display.depth(np.asarray(depth_from_message(message), np.float32))
    elif output is Output.RELATIVE:
        display.relative(np.asarray(depth_from_message(message), np.float32))
    elif output is Output.NORMALS:
        shape = message.height, message.width, 3
        display.normals(np.frombuffer(message.data, np.float32).reshape(shape))


def show_image(display: Display, message: Any) -> None:
    """Show a colour image, raw or compressed; of another kind nothing.

    Raises:
        RefusedMessageError: It is broken.
    """
    if hasattr(message, "format") or message.encoding in COLOR_ENCODINGS:
        display.image(rgb_from_message(message))
