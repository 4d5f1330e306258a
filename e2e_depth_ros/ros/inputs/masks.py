"""What the depth node leaves out: the last mask of another node, at the pixels of the frame."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray

from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.declarations.topics import MaskOutput
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.frames import check_frame
from e2e_depth_ros.ros.messages.images import mask_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.messages.stamps import stamp_ns
from e2e_depth_ros.ros.telling.diagnostics import make_status

_NONE_YET: Final = f"no mask of the image's size on {MaskOutput.MASK.value} yet"


@dataclass(frozen=True, eq=False)
class _Mask:
    """A mask as it came: (H, W), True where masked, in the pixels of the camera's image."""

    values: NDArray[np.bool_]
    stamp_ns: int


class MaskInput:
    """Keeps the last mask, and lays it over frames. Masks come seldom: no frame ever waits for one.

    Where masks are asked for and there is none, what might be masked is not published: the node that makes
    them may have died, or never have started.

    `over` belongs to one thread; masks and questions may come from others.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._message: Any = None
        self._mask: _Mask | None = None
        self._laid: tuple[object, NDArray[np.bool_]] | None = None  # over which view, and the result
        self._state = _NONE_YET, False, 0.0, 0.0  # words, whether in use, age in s, share of the image
        self._ignored = 0

    def put(self, message: Any) -> None:
        """Store a mask in place of the last."""
        with self._lock:
            self._message = message

    def over(
        self, view: FrameView, header: Any, parameters: Parameters
    ) -> tuple[NDArray[np.bool_] | None, list[RefusedMessageError]]:
        """Lay the last mask over a frame.

        Args:
            view: The frame.
            header: Its image's.
            parameters: How old a mask may be, and by how much it is widened.

        Returns:
            (H, W), True on what is masked, None without a mask of about the frame's time; and what had to be
            refused. A mask that can't be used is refused once; the one before it stays.
        """
        refusals: list[RefusedMessageError] = []
        with self._lock:
            message, self._message = self._message, None
        if message is not None:
            try:
                self._mask, self._laid = _read(message, view, header), None
            except RefusedMessageError as refusal:
                refusals.append(refusal)
        return self._laid_over(view, header, parameters), refusals

    def _laid_over(self, view: FrameView, header: Any, parameters: Parameters) -> NDArray[np.bool_] | None:
        mask = self._mask
        if mask is None or mask.values.shape != view.size:
            self._mask = None
            self._state = _NONE_YET, False, 0.0, 0.0
            return None
        age_s = (stamp_ns(header) - mask.stamp_ns) * 1e-9
        if abs(age_s) > parameters.mask_max_age:
            words = f"the last mask is {age_s:.1f} s old, mask_max_age is {parameters.mask_max_age:g} s"
            self._state = words, False, age_s, 0.0
            self._ignored += 1
            return None
        key = (view.rectifier, parameters.mask_dilation)
        if self._laid is None or self._laid[0] != key:
            self._laid = key, view.mask_from_raw(_widened(mask.values, parameters.mask_dilation))
        masked = self._laid[1]
        self._state = "in use", True, age_s, float(masked.mean())
        return masked

    def status(self, node_name: str, parameters: Parameters) -> DiagnosticStatus:
        """Say for /diagnostics which mask is in use, or why none is, and what is missing therefore."""
        words, in_use, age_s, share = self._state
        level = DiagnosticStatus.OK if in_use else DiagnosticStatus.ERROR
        if not in_use:
            missing = ("no points",) * parameters.remove_masked_points
            missing += ("no samples",) * parameters.remove_masked_samples
            words = f"{' and '.join(missing)}: {words}"
        values = {
            "age_s": f"{age_s:.3f}",
            "masked_share": f"{share:.4f}",
            "images_too_far_from_it": self._ignored,
        }
        return make_status(f"{node_name}: mask", level, words, values)


def _read(message: Any, view: FrameView, header: Any) -> _Mask:
    check_frame("mask", message.header, header)
    values = mask_from_message(message)
    if values.shape != view.size:
        raise RefusedMessageError(
            "mask: size", f"expected the image's size {view.size} (H, W), got {values.shape}"
        )
    return _Mask(values, stamp_ns(message.header))


def _widened(masked: NDArray[np.bool_], distance_px: int) -> NDArray[np.bool_]:
    """Mask every pixel within a distance of a masked one."""
    if distance_px == 0 or not masked.any():
        return masked
    away_px = cv2.distanceTransform((~masked).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away_px <= distance_px)
