"""The images of a recording that something was measured for, as frames to train and to evaluate on."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.sixteen_bits import bits_in_use, eight_bits_from_sixteen
from e2e_depth_ros.core.stored_depth import metres_from_stored
from e2e_depth_ros.core.tum_rgbd import MAX_STAMP_DIFFERENCE_S
from e2e_depth_ros.ros.aligning.transform_tree import TransformTree
from e2e_depth_ros.ros.aligning.transforms import TransformError
from e2e_depth_ros.ros.messages.camera_info import camera_from_message
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.frames import may_be_same_frame
from e2e_depth_ros.ros.messages.images import depth_from_message, rgb_from_message
from e2e_depth_ros.ros.recordings.bag_reader import BagReader, Recorded
from e2e_depth_ros.ros.recordings.input_topics import (
    NONE,
    InputTopics,
    choose_topics,
    transform_topics,
)

_APART_NS: Final = round(MAX_STAMP_DIFFERENCE_S * 1e9)
_LATE_NS: Final = 500_000_000  # after an image, what belongs to it has been recorded


class _Place(NamedTuple):
    """Where a message lies in the recording."""

    topic: str
    log_ns: int
    stamp_ns: int
    frame_id: str

    @classmethod
    def of(cls, recorded: Recorded) -> _Place:
        return cls(recorded.topic, recorded.log_ns, recorded.stamp_ns, recorded.frame_id)


class _Entry(NamedTuple):
    image: _Place
    measured: _Place
    camera_from_points: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class BagFrame:
    """An image of a recording, and what was measured within 0.02 s of it, as a `core.frames.MeasuredFrame`.

    Attributes:
        frames: The recording.
        index: Of the image, among those that something was measured for.
    """

    frames: BagFrames
    index: int

    @property
    def name(self) -> str:
        """Recording and number."""
        return f"{self.group}/{self.index:06d}"

    @property
    def group(self) -> str:
        """The recording, and the camera where it is one of several."""
        return self.frames.name

    @property
    def sequence(self) -> str:
        """The same: images follow each other."""
        return self.group

    def read_image(self) -> NDArray[np.uint8]:
        """Read the image, (H, W, 3), uint8, RGB; see `images.rgb_from_message`."""
        return self.frames.read(self.index, "image", partial(rgb_from_message, eight_bits=_eight_bits))

    def read_camera(self) -> Camera | None:
        """Return the calibration; None where there is none."""
        return self.frames.camera

    def read_depth(self) -> NDArray[np.float32] | None:
        """Read registered depth, (H, W), metres, NaN where there is none; None where there are points."""
        if not self.frames.topics.sparse_depth:
            return None
        return metres_from_stored(self.frames.read(self.index, "measured", depth_from_message))

    def read_points(self) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """Read points (N, 3), metres, and `camera_from_points` (4, 4); None where there is depth."""
        pose = self.frames.pose(self.index)
        if pose is None:
            return None
        return self.frames.read(self.index, "measured", points_from_message), pose

    def read_pose(self) -> None:
        """Return None: the camera's way is not asked for."""


class BagFrames(Sequence[BagFrame]):
    """The images of a camera of a recording that have depth or points within 0.02 s.

    The recording is read once to find them; then each is read when it is asked for, and nothing is kept.
    Depth images must be registered: of the image's frame and size. Points are placed by the recording's TF,
    at the image's stamp. The calibration is the first of the image's frame.

    Attributes:
        name: Of the recording, and of the camera where a topic was given.
        topics: What is used.
        camera: The calibration; None where there is none, which depth images don't need.
        left_out: Images that nothing was measured for, or that can't be read.
        why: What was found wrong with the last of them, as the end of a sentence: by kind, and how many can't
            be read.
    """

    def __init__(
        self, path: Path, given: Mapping[str, str | None] | None = None, every_s: float = 0.0
    ) -> None:
        """Find the images.

        Args:
            path: See `BagReader`.
            given: Topics by input; see `choose_topics`.
            every_s: At least so many seconds lie between two of them.

        Raises:
            InvalidInputError: The recording can't be read, or holds no such image.
        """
        given = given or {}
        self._path = path
        self._reader: BagReader | None = None
        self._process = 0
        reader = self._reader_here()
        self.topics = _topics(reader, given)
        suffix = f"{self.topics.image}" if given.get("image") else ""
        whole = path.resolve()
        self.name = f"{whole.name if whole.is_dir() else whole.stem}{suffix}"
        finder = _Finder(reader, self.topics, round(every_s * 1e9))
        self._entries = [*finder.entries()]
        self.left_out, self.why = finder.left_out, finder.why
        if not self._entries:
            raise InvalidInputError(
                f"expected images on {self.topics.image} with"
                f" {self.topics.sparse_depth or self.topics.sparse_points} within {MAX_STAMP_DIFFERENCE_S} s"
                f" in {path}, found none{self.why}"
            )
        image, depth = self._first_that_is_whole()
        size = (image.shape[0], image.shape[1])
        self.camera = _camera(reader, self.topics, size)
        if self.camera is None and self.topics.sparse_points:
            raise InvalidInputError(f"expected a CameraInfo for the points in {path}, found none")
        if depth is not None and depth.shape != size:
            raise InvalidInputError(
                f"expected depth of its image's size {size} on {self.topics.sparse_depth}"
                f" in {path}, got {depth.shape}"
            )

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        """Return a frame, or a list of those of a slice."""
        if isinstance(index, slice):
            return [BagFrame(self, one) for one in range(*index.indices(len(self)))]
        return BagFrame(self, range(len(self))[index])

    def pose(self, index: int) -> NDArray[np.float64] | None:
        """Return `camera_from_points`, (4, 4), of an image; None where depth was measured."""
        return self._entries[index].camera_from_points

    def read(self, index: int, what: str, decode: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
        """Read the "image" of an entry, or what was "measured".

        Raises:
            InvalidInputError: It can't be read; names the message, as nobody sees which of thousands it is.
        """
        try:
            return decode(self._message_of(index, what))
        except InvalidInputError as error:
            place: _Place = getattr(self._entries[index], what)
            raise InvalidInputError(
                f"cannot read {place.topic}, recorded at {place.log_ns} ns in {self._path}: {error}"
            ) from error

    def _message_of(self, index: int, what: str) -> Any:
        place: _Place = getattr(self._entries[index], what)
        reader = self._reader_here()
        for recorded in reader.messages([place.topic], place.log_ns, place.log_ns + 1):
            if recorded.stamp_ns == place.stamp_ns:
                return reader.read(recorded)
        raise InvalidInputError(f"expected a message on {place.topic} at {place.log_ns} in {self._path}")

    def _first_that_is_whole(self) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """Read an image and its depth: one that is broken says nothing about the others."""
        broken: InvalidInputError | None = None
        for frame in self:
            try:
                return frame.read_image(), frame.read_depth()
            except InvalidInputError as error:  # noqa: PERF203 - until one is whole
                broken = broken or error
        raise InvalidInputError(
            f"expected something that can be read among {len(self)} images: {broken}"
        ) from broken

    def _reader_here(self) -> BagReader:
        """Open the recording, in each process of its own: an open file has one position for all."""
        if self._reader is None or self._process != os.getpid():
            self._reader, self._process = BagReader(self._path), os.getpid()
        return self._reader


def _topics(reader: BagReader, given: Mapping[str, str | None]) -> InputTopics:
    """Choose one kind of measurements; by itself registered depth, as that has normals too."""
    topics = choose_topics(reader, {"sparse_points": NONE, **given})
    if not topics.sparse_depth:
        topics = choose_topics(reader, given)
    if not (topics.sparse_depth or topics.sparse_points):
        raise InvalidInputError(
            f"expected registered depth or a cloud for {topics.image} in {reader.path}, found none that is"
            " alone: name it as sparse_depth or sparse_points"
        )
    if topics.sparse_depth and topics.sparse_points:
        raise InvalidInputError(f"expected sparse_depth or sparse_points for {topics.image}, got both")
    return topics


class _Finder:
    """Pairs images with what was measured, in one pass."""

    def __init__(self, reader: BagReader, topics: InputTopics, every_ns: int) -> None:
        self._reader = reader
        self._image = topics.image
        self._is_cloud = bool(topics.sparse_points)
        self._source = topics.sparse_points or topics.sparse_depth
        self._every_ns = every_ns
        self._tree = TransformTree()
        self._measured: deque[_Place] = deque()
        self._last_ns: int | None = None
        self.left_out = 0
        self._apart = self._wrong = ""
        self._broken: Counter[str] = Counter()  # by topic

    @property
    def why(self) -> str:
        """What was found wrong, as the end of a sentence."""
        broken = [f"{count} of {topic} can't be read" for topic, count in self._broken.items()]
        # A sensor slower than the camera leaves most images without, which says nothing about the others.
        words = "; ".join(filter(None, (self._wrong, self._apart, *broken)))
        return f": {words}" if words else ""

    def entries(self) -> Iterator[_Entry]:
        moving, static = transform_topics(self._reader) if self._is_cloud else ([], [])
        for recorded in self._reader.messages(static):
            self._put_transforms(recorded, is_static=True)
        images: deque[_Place] = deque()
        for recorded in self._reader.messages({self._image, self._source, *moving}):
            if recorded.topic in (self._image, self._source) and not recorded.data:  # nor has it a stamp
                self._broken[recorded.topic] += 1
                self.left_out += recorded.topic == self._image
            elif recorded.topic == self._image:
                images.append(_Place.of(recorded))
            elif recorded.topic == self._source:
                self._measured.append(_Place.of(recorded))
            else:
                self._put_transforms(recorded, is_static=False)
            while images and images[0].log_ns < recorded.log_ns - _LATE_NS:
                yield from self._paired(images.popleft())
            while self._measured and self._measured[0].log_ns < recorded.log_ns - 4 * _LATE_NS:
                self._measured.popleft()
        for image in images:
            yield from self._paired(image)

    def _paired(self, image: _Place) -> Iterator[_Entry]:
        if self._last_ns is not None and 0 <= image.stamp_ns - self._last_ns < self._every_ns:
            return

        def apart_ns(one: _Place) -> tuple[int, int]:
            """Drivers that leave stamps at 0 leave the time of the recording."""
            return abs(one.stamp_ns - image.stamp_ns), abs(one.log_ns - image.log_ns)

        measured, pose, wrong = min(self._measured, key=apart_ns, default=None), None, ""
        if measured is None or apart_ns(measured)[0] > _APART_NS:
            apart_s = apart_ns(measured)[0] * 1e-9 if measured else None
            self._apart = (
                "nothing was measured"
                if apart_s is None
                else f"the nearest measurement is {apart_s:.3g} s away"
            )
            self.left_out += 1
            return
        if self._is_cloud:
            try:
                pose = self._tree.pose(image.frame_id, image.stamp_ns, measured.frame_id, measured.stamp_ns)
            except TransformError as error:
                wrong = str(error)
        elif not may_be_same_frame(measured.frame_id, image.frame_id):
            wrong = f"depth is of {measured.frame_id!r}, the image of {image.frame_id!r}"
        if wrong:
            self.left_out, self._wrong = self.left_out + 1, wrong
            return
        self._last_ns = image.stamp_ns
        yield _Entry(image, measured, pose)

    def _put_transforms(self, recorded: Recorded, *, is_static: bool) -> None:
        for message in self._reader.whole([recorded]):  # an image that lacks a broken one is left out
            for transform in message.transforms:
                self._tree.put(transform, is_static=is_static)


def _camera(reader: BagReader, topics: InputTopics, size: tuple[int, int]) -> Camera | None:
    if not topics.camera_info:
        return None
    frame_id = reader.first(topics.image).header.frame_id
    infos = reader.whole(reader.messages([topics.camera_info]))
    info = next((one for one in infos if may_be_same_frame(one.header.frame_id, frame_id)), None)
    if info is None:
        raise InvalidInputError(
            f"expected a CameraInfo of {frame_id!r} on {topics.camera_info} in {reader.path}, found none"
        )
    camera = camera_from_message(info, size)
    if camera.size != size:
        raise InvalidInputError(
            f"expected a CameraInfo of the image's size {size} on {topics.camera_info} in {reader.path},"
            f" got {camera.size}"
        )
    return camera.rectified() if "image_rect" in topics.image else camera


def _eight_bits(samples: NDArray[np.uint16], _: str) -> NDArray[np.uint8]:
    """Scale by the bits that this image alone uses: what it shows must not depend on what was read before."""
    return eight_bits_from_sixteen(samples, bits_in_use(samples))
