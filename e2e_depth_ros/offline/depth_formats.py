"""Depth as files that others read: one entry for each format."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.colours import colours_from_depth
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.pcd import save_pcd
from e2e_depth_ros.core.ply import save_ply
from e2e_depth_ros.core.stored_depth import millimetres_from_metres

_RANGE_PERCENT: Final = (2, 98)  # of metric depth: the ends of the colours
_LEAST_RANGE_M: Final = 1e-6


@dataclass(frozen=True, eq=False)
class PredictedDepth:
    """Depth of an image, ready to be written.

    Attributes:
        rgb: (H, W, 3), uint8.
        values: (H, W), float32, NaN where invalid: metres along Z, or 0 near .. 1 far.
        is_metric: Whether they are metres.
        camera: The pinhole of the image; None where it isn't known.
    """

    rgb: NDArray[np.uint8]
    values: NDArray[np.float32]
    is_metric: bool
    camera: Camera | None = None

    def points(self) -> NDArray[np.float32]:
        """Return (H, W, 3), metres, optical frame, NaN where invalid.

        Raises:
            InvalidInputError: There are no metres, or no camera of this size.
        """
        if not self.is_metric or self.camera is None:
            raise InvalidInputError("expected metric depth and intrinsics for points, got less")
        valid = np.isfinite(self.values)
        return DepthMap(self.values, valid, DepthKind.METRIC).points(self.camera)

    @property
    def ends(self) -> tuple[float, float]:
        """Of the colours: 0 and 1, or percentiles of metric depth."""
        if not self.is_metric or not np.isfinite(self.values).any():
            return 0.0, 1.0
        near, far = (float(end) for end in np.nanpercentile(self.values, _RANGE_PERCENT))
        return near, max(far, near + _LEAST_RANGE_M)

    def colours(self, ends: tuple[float, float] | None = None) -> NDArray[np.uint8]:
        """Return (H, W, 3), RGB: the bright end is near, invalid is black.

        Args:
            ends: Depth of the first and of the last colour; by default `ends`.
        """
        return colours_from_depth(self.values, *(ends or self.ends))


@dataclass(frozen=True)
class DepthFormat:
    """A way to write depth.

    Attributes:
        file: Name of the file, in the folder of the image.
        meaning: For people.
        write: Writes it to a path.
        needs_metres: Whether relative depth has no place in it.
        needs_camera: Whether intrinsics must be known.
    """

    file: str
    meaning: str
    write: Callable[[Path, PredictedDepth], None]
    needs_metres: bool = False
    needs_camera: bool = False


def formats_named(text: str) -> tuple[str, ...]:
    """Read a list such as "npy,png16".

    Raises:
        InvalidInputError: One of them is not known.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in (*FORMATS, VIDEO)]
    if unknown or not names:
        raise InvalidInputError(
            f"expected formats of {', '.join((*FORMATS, VIDEO))}, got {', '.join(unknown) or 'none'}"
        )
    return names


def check_formats(names: Iterable[str], *, is_metric: bool) -> None:
    """Refuse formats that can't hold what there will be, and those whose library is missing.

    Raises:
        InvalidInputError: A format is for metres only.
        ModuleNotFoundError: A library is not installed.
    """
    for name in names:
        if name in FORMATS and FORMATS[name].needs_metres and not is_metric:
            raise InvalidInputError(
                f"expected metres for the format {name} ({FORMATS[name].meaning}): --align"
            )
        if name == "exr":
            import OpenEXR  # noqa: F401, PLC0415 - an extra
        if name == VIDEO:
            import av  # noqa: F401, PLC0415 - an extra


def write_depth(folder: Path, names: Iterable[str], depth: PredictedDepth) -> None:
    """Write depth in several formats.

    Args:
        folder: Where the files go.
        names: Of `FORMATS`; others are passed over.
        depth: What to write.

    Raises:
        InvalidInputError: A format needs what is not known of this image.
        OSError: A file can't be written.
    """
    for name in names:
        if name not in FORMATS:
            continue
        chosen = FORMATS[name]
        if chosen.needs_camera and depth.camera is None:
            raise InvalidInputError(
                f"expected intrinsics for the format {name}:"
                " camera_info.yaml, --fov, --intrinsics or --calibration"
            )
        chosen.write(folder / chosen.file, depth)


def _write_npy(path: Path, depth: PredictedDepth) -> None:
    content = io.BytesIO()
    np.save(content, depth.values)
    path.write_bytes(content.getbuffer())  # unlike NumPy it says why it can't


def _write_png(path: Path, pixels: NDArray[Any]) -> None:
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise OSError(f"cannot encode {path}")
    path.write_bytes(encoded.tobytes())


def _write_png16(path: Path, depth: PredictedDepth) -> None:
    _write_png(path, millimetres_from_metres(depth.values))


def _write_exr(path: Path, depth: PredictedDepth) -> None:
    import OpenEXR  # noqa: PLC0415 - an extra

    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
    }  # Y, as readers look for no Z
    with OpenEXR.File(header, {"Y": np.ascontiguousarray(depth.values, np.float32)}) as file:
        file.write(str(path))


def _write_colours(path: Path, depth: PredictedDepth) -> None:
    _write_png(path, cv2.cvtColor(depth.colours(), cv2.COLOR_RGB2BGR))


FORMATS: Final = {
    "npy": DepthFormat("depth.npy", "float32, NaN where invalid", _write_npy),
    "png16": DepthFormat("depth_mm.png", "16 bits, millimetres, 0 where invalid", _write_png16, True),
    "exr": DepthFormat("depth.exr", "float32 in channel Y, NaN where invalid", _write_exr),
    "png": DepthFormat("depth_color.png", "coloured, of the image's size", _write_colours),
    "ply": DepthFormat(
        "points.ply", "coloured points, metres", lambda path, d: save_ply(path, d.points(), d.rgb), True, True
    ),
    "pcd": DepthFormat(
        "points.pcd", "coloured points, metres", lambda path, d: save_pcd(path, d.points(), d.rgb), True, True
    ),
}
"""How the depth of an image may be written."""
VIDEO: Final = "mp4"
"""The format of all images of a folder or video together: see `videos`."""
