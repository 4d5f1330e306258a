"""Shows images, depth, normals, clouds, samples and status in Rerun's viewer, or saves them for it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.colours import colours_from_normals
from e2e_depth_ros.core.user_file import check_writable

if TYPE_CHECKING:
    from typing_extensions import Self

TIMELINE: Final = "stamp"
CAMERA: Final = "camera"
"""Above all that has the camera's pixels; the cloud lies beside it, in the optical frame."""

_LEVELS: Final = ("INFO", "WARN", "ERROR", "ERROR")  # of a DiagnosticStatus: OK, WARN, ERROR, STALE


class Viewer:
    """A recording of Rerun. A context manager: what is saved is whole once it is closed."""

    def __init__(self, path: Path | None = None) -> None:
        """Begin.

        Args:
            path: File to save, .rrd; None opens the viewer.

        Raises:
            InvalidInputError: The file can't be written.
            ModuleNotFoundError: rerun-sdk is not installed.
        """
        if path is not None:
            check_writable(path)
        import rerun  # noqa: PLC0415 - an extra, and it takes seconds

        self._rerun: Any = rerun
        self._root = ""
        self._recording = rerun.RecordingStream("e2e_depth")
        if path is None:
            self._recording.spawn()
        else:
            self._recording.save(path)
        self._begin()

    def of(self, name: str) -> Viewer:
        """Return a viewer of the same recording for one of several cameras: all is below its name."""
        viewer = copy.copy(self)
        viewer._root = f"{name.strip('/')}/".lstrip("/")  # noqa: SLF001 - its own class
        viewer._begin()  # noqa: SLF001
        return viewer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recording.disconnect()

    def at(self, stamp_ns: int) -> None:
        """Set the time of all that follows."""
        self._recording.set_time(TIMELINE, timestamp=np.datetime64(stamp_ns, "ns"))

    def camera(self, camera: Camera) -> None:
        """Show where the camera looks."""
        height, width = camera.size
        pinhole = self._rerun.Pinhole(image_from_camera=camera.intrinsics, resolution=[width, height])
        self._log(CAMERA, pinhole)

    def image(self, rgb: NDArray[np.uint8], name: str = "image") -> None:
        """Show an image, (H, W, 3), uint8, RGB."""
        self._log(f"{CAMERA}/{name}", self._rerun.Image(rgb).compress(jpeg_quality=85))

    def depth(self, depth_m: NDArray[np.float32]) -> None:
        """Show metric depth, (H, W), NaN where invalid."""
        known = np.nan_to_num(depth_m, nan=0.0, posinf=0.0, neginf=0.0)  # 0 has no point
        self._log(f"{CAMERA}/depth", self._rerun.DepthImage(known, meter=1.0))

    def relative(self, farness: NDArray[np.float32]) -> None:
        """Show relative depth, (H, W), 0 near .. 1 far: it has no unit, so no points."""
        self._log(f"{CAMERA}/relative", self._rerun.Tensor(farness, dim_names=("height", "width")))

    def normals(self, normals: NDArray[np.float32]) -> None:
        """Show unit normals, (H, W, 3), as colours."""
        self.image(colours_from_normals(normals), "normals")

    def points(
        self, points_m: NDArray[np.float32], colours: NDArray[np.uint8] | None = None, name: str = "points"
    ) -> None:
        """Show points, (..., 3), metres, optical frame; those that are not finite are left out."""
        finite = np.isfinite(points_m).all(axis=-1)
        shown = None if colours is None else colours[finite]
        self._log(f"world/{name}", self._rerun.Points3D(points_m[finite], colors=shown))

    def samples(self, u_px: NDArray[Any], v_px: NDArray[Any], depth_m: NDArray[Any]) -> None:
        """Show samples (N,) where they lie in the image, labelled by nothing but their depth's colour."""
        near, far = (float(end) for end in np.percentile(depth_m, (2, 98))) if len(depth_m) else (0.0, 1.0)
        share = np.clip((depth_m - near) / max(far - near, 1e-6), 0, 1)
        colours = np.stack([255 * (1 - share), 80 + 0 * share, 255 * share], axis=-1).astype(np.uint8)
        pixels = np.stack([u_px, v_px], axis=-1)
        self._log(f"{CAMERA}/samples", self._rerun.Points2D(pixels, colors=colours))

    def status(self, level: int, words: str, values: Mapping[str, str]) -> None:
        """Tell how a frame was aligned, and plot the numbers of it."""
        self._log("status", self._rerun.TextLog(words, level=_LEVELS[min(level, 3)]))
        for name in ("scale", "shift_m", "inlier_ratio", "residual"):
            try:
                number = float(values[name])
            except (KeyError, ValueError):
                continue
            if np.isfinite(number):
                self._log(f"alignment/{name}", self._rerun.Scalars(number))

    def _begin(self) -> None:
        self._log("world", self._rerun.ViewCoordinates.RDF)  # REP 103: x right, y down, z forward

    def _log(self, entity: str, what: Any) -> None:
        self._recording.log(f"{self._root}{entity}", what)
