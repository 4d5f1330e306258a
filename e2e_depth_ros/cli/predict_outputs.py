"""What `e2e-depth predict` writes of an image: arrays, pictures, and depth in the formats asked for."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment import Alignment
from e2e_depth_ros.cli.pictures import Rgb, at_panel_height, labelled_row, write_picture
from e2e_depth_ros.cli.predict_alignment import alignment_panels
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.colours import colours_from_depth, colours_from_normals
from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.core.frames import OUTPUT_MARK
from e2e_depth_ros.core.maps import farness_from_relative
from e2e_depth_ros.offline.depth_formats import FORMATS, VIDEO, PredictedDepth, write_depth
from e2e_depth_ros.offline.sources import SourceImage
from e2e_depth_ros.offline.videos import VideoWriter

if TYPE_CHECKING:
    from typing_extensions import Self

    from e2e_depth_ros.alignment.samples import Samples
    from e2e_depth_ros.model.estimate import Estimate
    from e2e_depth_ros.offline.viewer import Viewer

_ARRAYS: Final = ("std.npy", "normals.npy", "depth_uncertainty.npy", "normals_uncertainty.npy")
_REPORT: Final = "alignment.json"
_PREVIEW: Final = "preview.png"


@dataclass(frozen=True, eq=False)
class Prediction:
    """All that is known of an image.

    Attributes:
        rgb: (H, W, 3), uint8.
        estimate: What the network says.
        samples: What was measured; None without alignment.
        alignment: None without.
        camera: None where it isn't known.
        report: For `alignment.json`; None without alignment.
    """

    rgb: Rgb
    estimate: Estimate
    samples: Samples | None = None
    alignment: Alignment | None = None
    camera: Camera | None = None
    report: dict[str, Any] | None = None

    @property
    def depth(self) -> PredictedDepth | None:
        """Depth as it is written; None where an alignment is lost, or the network has none."""
        if self.alignment is not None:
            if self.alignment.depth is None:
                return None
            return PredictedDepth(self.rgb, self.alignment.depth_m, True, self.camera)
        if self.estimate.outlined_depth is None:
            return None
        farness = farness_from_relative(self.estimate.outlined_depth)
        return PredictedDepth(self.rgb, farness, False, self.camera)

    @property
    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What goes into files beside depth, by name."""
        estimate, alignment = self.estimate, self.alignment
        found = {
            "std.npy": None if alignment is None else alignment.std_m,
            "depth_uncertainty.npy": estimate.depth_uncertainty if alignment is None else None,
            "normals.npy": None if estimate.normals is None else estimate.normals.values,
            "normals_uncertainty.npy": estimate.normals_uncertainty,
        }
        return {name: array for name, array in found.items() if array is not None}

    @property
    def panels(self) -> list[tuple[str, Rgb]]:
        """Pictures side by side, each with its label."""
        panels = [("image", self.rgb)]
        if self.estimate.outlined_depth is not None:
            farness = at_panel_height(farness_from_relative(self.estimate.outlined_depth, stretch=True))
            panels.append(("relative depth", colours_from_depth(farness, 0.0, 1.0)))
        if self.samples is not None and self.alignment is not None:
            panels += alignment_panels(self.rgb, self.samples, self.alignment)
        if self.estimate.normals is not None:
            panels.append(("normals", colours_from_normals(self.estimate.normals.values)))
        return panels


def show(viewer: Viewer, at_ns: int, prediction: Prediction) -> None:
    """Show an image and all that is known of it.

    Args:
        viewer: Where.
        at_ns: Its place in time.
        prediction: What is known.
    """
    viewer.at(at_ns)
    viewer.image(prediction.rgb)
    depth, samples = prediction.depth, prediction.samples
    if prediction.camera is not None:
        viewer.camera(prediction.camera)
    if samples is not None:
        viewer.samples(samples.u_px, samples.v_px, samples.depth_m)
    if prediction.estimate.normals is not None:
        viewer.normals(prediction.estimate.normals.values)
    if depth is None:
        return
    if not depth.is_metric:
        viewer.relative(depth.values)
        return
    viewer.depth(depth.values)
    if depth.camera is not None:
        viewer.points(depth.points(), depth.rgb)


@dataclass
class OutputFolder:
    """The folder that a run writes. A context manager: videos end with it.

    Attributes:
        path: The folder.
        formats: Of depth.
        run: All that the results depend on, for JSON: only an equal run finds its work done.
        expected: Files of each image, by which a run finds that it is done.
    """

    path: Path
    formats: Sequence[str]
    run: dict[str, Any]
    expected: Sequence[str] = ()
    _videos: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _writers: dict[str, tuple[VideoWriter, tuple[float, float]]] = field(default_factory=dict)
    _is_marked: bool = False

    def __enter__(self) -> Self:
        self._videos.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._videos.__exit__(kind, error, trace)

    def has(self, image: SourceImage) -> bool:
        """Whether an equal run wrote all files of an image after that was last changed."""
        mark = self.path / OUTPUT_MARK
        try:
            if mark.read_text(encoding="utf-8") != self._mark or VIDEO in self.formats:
                return False  # a video is made of all images
            since_ns = max(image.changed_ns, mark.stat().st_mtime_ns)  # before the mark, another run wrote
            names = [FORMATS[name].file for name in self.formats] + [_PREVIEW, *self.expected]
            return all((self.path / image.name / name).stat().st_mtime_ns >= since_ns for name in names)
        except (OSError, ValueError):
            return False

    def write(self, image: SourceImage, prediction: Prediction) -> None:
        """Write the results of an image; what an earlier run left there and this one does not make, goes.

        Raises:
            InvalidInputError: A format needs what is not known of this image.
            E2EDepthError: It can't be written.
        """
        folder = self.path / image.name
        depth = prediction.depth

        def remove() -> None:
            for name in (*_ARRAYS, _REPORT, _PREVIEW, *(one.file for one in FORMATS.values())):
                (folder / name).unlink(missing_ok=True)

        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._leave_mark()
            remove()
            if depth is not None:
                write_depth(folder, self.formats, depth)
                self._film(image, depth)
            for name, array in prediction.arrays.items():
                content = io.BytesIO()
                np.save(content, array)
                (folder / name).write_bytes(content.getbuffer())  # unlike NumPy it says why it can't
            if prediction.report is not None:
                text = json.dumps(prediction.report, indent=2) + "\n"
                (folder / _REPORT).write_text(text, encoding="utf-8")
            write_picture(folder / _PREVIEW, labelled_row(prediction.panels))
        except (InvalidInputError, OSError) as error:
            with contextlib.suppress(OSError):  # half a file, or a part of the results, would pass for whole
                remove()
            if isinstance(error, InvalidInputError):
                raise InvalidInputError(f"{image.name}: {error}") from error
            raise E2EDepthError(f"cannot write to {folder}: {error.strerror or error}") from error

    @property
    def _mark(self) -> str:
        return json.dumps(self.run, sort_keys=True)

    def _leave_mark(self) -> None:
        """Say whose results follow; an equal run's mark stays, as what it wrote since is as good."""
        if self._is_marked:
            return
        mark = self.path / OUTPUT_MARK
        if not mark.is_file() or mark.read_text(encoding="utf-8") != self._mark:
            mark.write_text(self._mark, encoding="utf-8")
        self._is_marked = True

    def _film(self, image: SourceImage, depth: PredictedDepth) -> None:
        """Add the image, beside its depth, to the video of its group; the first image chooses the colours."""
        if VIDEO not in self.formats:
            return
        folder = self.path / Path(image.name).parent
        if str(folder) not in self._writers:
            writer = self._videos.enter_context(VideoWriter(folder / "depth.mp4", image.fps))
            self._writers[str(folder)] = writer, depth.ends
        writer, ends = self._writers[str(folder)]
        writer.write(np.concatenate([depth.rgb, depth.colours(ends)], axis=1))
