"""Videos and GIFs to images, and images to videos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError, one_line
from e2e_depth_ros.core.image_files import MAX_FILE_PIXELS

if TYPE_CHECKING:
    from typing_extensions import Self

VIDEO_SUFFIXES: Final = frozenset((".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".webm"))
"""What is opened as a video; what is in it, PyAV finds out."""

DEFAULT_FPS: Final = 30

_CODECS: Final = ("libx264", "mpeg4")  # the first is not in every build
_QUARTERS: Final = {90: 1, 180: 2, 270: 3}


class VideoReader:
    """The images of a video, one after the other: memory holds one. A context manager."""

    def __init__(self, path: Path) -> None:
        """Open a video.

        Raises:
            InvalidInputError: It is none that can be read.
            ModuleNotFoundError: PyAV is not installed.
        """
        import av  # noqa: PLC0415 - an extra

        self.path = path
        self._error = av.FFmpegError
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise InvalidInputError(
                f"cannot read the video {path}: {one_line(error.strerror or str(error), 200)}"
            ) from error
        if not self._container.streams.video:
            self._container.close()
            raise InvalidInputError(f"expected a video, but {path} has no images")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        context = self._stream.codec_context
        if context.width * context.height > MAX_FILE_PIXELS:
            self._container.close()
            raise InvalidInputError(
                f"expected images of up to {MAX_FILE_PIXELS} pixels in {path},"
                f" got {context.width} x {context.height}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def fps(self) -> float:
        """Images a second; `DEFAULT_FPS` where the video does not say."""
        return float(self._stream.average_rate or DEFAULT_FPS)

    @property
    def count(self) -> int:
        """About how many images there are; 0 where the video does not say."""
        if self._stream.frames:
            return int(self._stream.frames)
        seconds = float(self._container.duration or 0) * 1e-6
        return round(seconds * self.fps)

    def images(self) -> Iterator[NDArray[np.uint8]]:
        """Decode the images, (H, W, 3), uint8, RGB, upright.

        Raises:
            InvalidInputError: The video breaks off; what came before was whole.
        """
        frames = self._container.decode(self._stream)
        while True:
            try:
                frame = next(frames, None)
            except (self._error, ValueError) as error:
                raise InvalidInputError(f"{self.path} breaks off: {one_line(str(error), 200)}") from error
            if frame is None:
                return
            rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            turns = _QUARTERS.get(round(getattr(frame, "rotation", 0)) % 360, 0)
            yield np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


class VideoWriter:
    """Writes images to an MP4 (H.264, else MPEG-4). A context manager.

    All get the size of the first, made even; a file appears where it was closed in order.
    """

    def __init__(self, path: Path, fps: float = DEFAULT_FPS) -> None:
        """Write to a path, in place of what is there.

        Raises:
            ModuleNotFoundError: PyAV is not installed.
        """
        import av  # noqa: F401, PLC0415 - an extra

        self.path = path
        self._fps = fps
        self._container: Any = None
        self._stream: Any = None
        self._partial = path.with_name(f".{path.name}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        if kind is not None:
            with suppress(Exception):
                self._container.close()
            self._partial.unlink(missing_ok=True)
            return
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._partial.replace(self.path)

    def write(self, rgb: NDArray[np.uint8]) -> None:
        """Write an image, (H, W, 3), uint8, RGB.

        Raises:
            OSError: It can't be written.
        """
        import av  # noqa: PLC0415 - an extra

        if self._container is None:
            self._open(rgb.shape[0] // 2 * 2 or 2, rgb.shape[1] // 2 * 2 or 2)
        size = self._stream.width, self._stream.height
        if (rgb.shape[1], rgb.shape[0]) != size:
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def _open(self, height: int, width: int) -> None:
        import av  # noqa: PLC0415 - an extra

        self._container = av.open(str(self._partial), "w", format="mp4")
        name = next(codec for codec in _CODECS if codec in av.codecs_available)
        self._stream = self._container.add_stream(name, rate=Fraction(self._fps).limit_denominator(1001))
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
