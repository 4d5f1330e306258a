"""Runs the depth node's pipeline on a recording, in the order in which it was recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from e2e_depth_ros.ros.aligning.transform_tree import TransformTree
from e2e_depth_ros.ros.aligning.transforms import Transforms
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.calibrations import CameraInfos
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.messages.stamps import StampOrder, stamp_ns
from e2e_depth_ros.ros.nodes.pipeline import ImageEstimator, Pipeline, Result
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from e2e_depth_ros.ros.recordings.bag_reader import BagReader, Recorded
from e2e_depth_ros.ros.recordings.input_topics import InputTopics, transform_topics

SETTLING_NS: Final = 5_000_000_000
"""How much of a recording is worked on again before the place where a run goes on: the alignment settles."""

_LEAST_AHEAD_NS: Final = 200_000_000  # TF is late by as much
_NO_END_NS: Final = 2**63


@dataclass(frozen=True, eq=False)
class PlayedFrame:
    """An image, and what came of it.

    Attributes:
        log_ns: When the image was recorded.
        image: The message; None where it can't be read.
        result: None where the image was refused.
        refusals: What couldn't be used.
    """

    log_ns: int
    image: Any
    result: Result | None
    refusals: tuple[RefusedMessageError, ...]


@dataclass
class _Input:
    """What waits of a topic for its image, and where it goes."""

    put: Callable[[Any], None]
    waiting: deque[Recorded] = field(default_factory=deque)


class Playback:
    """The depth node without a node: a recording's messages in, those of the outputs out.

    A node works on an image while the messages that belong to it still arrive. Here they are looked for ahead
    of it, as far as stamps may lie apart; what is nearer to the next image is left for that.
    """

    def __init__(
        self, reader: BagReader, topics: InputTopics, estimator: ImageEstimator, parameters: Parameters
    ) -> None:
        """Prepare; nothing is read but the static transforms.

        Args:
            reader: The recording.
            topics: The inputs.
            estimator: The network.
            parameters: The node's.
        """
        self._reader = reader
        self._topics = topics
        self._tree = TransformTree()
        self._moving, self._static = transform_topics(reader)
        self._pipeline = Pipeline(
            estimator, parameters, transforms=Transforms(source=self._tree), image_topic=topics.image
        )
        self._camera_infos = CameraInfos()
        self._order = StampOrder()
        self._ahead_ns = max(round(parameters.approx_sync_max_interval * 1e9), _LEAST_AHEAD_NS)
        sparse = self._pipeline.sparse
        puts = {
            "camera_info": self._camera_infos.put,
            "sparse_points": sparse.points.put,
            "sparse_depth": sparse.depth.put,
            "mask": self._pipeline.masks.put,
        }
        self._inputs = {topic: _Input(puts[role]) for topic, role in topics.roles.items() if role != "image"}
        for recorded in reader.messages(self._static):
            self._put_transforms(recorded, is_static=True)

    def play(
        self,
        wanted: Collection[Output],
        *,
        copied: Collection[str] = (),
        from_ns: int | None = None,
    ) -> Iterator[PlayedFrame | Recorded]:
        """Work on the recording.

        Args:
            wanted: The outputs to make.
            copied: Topics whose messages are to come out too.
            from_ns: Only what was recorded after this comes out, as an earlier run did the rest.

        Yields:
            Images with what came of them, and messages to copy, in the order in which they were recorded.

        Raises:
            InvalidInputError: The recording is broken.
        """
        done_ns = -1 if from_ns is None else from_ns
        used = {*self._inputs, *self._moving, self._topics.image, *copied}
        ahead: deque[Recorded] = deque()
        for recorded in self._reader.messages(used):
            self._take_note(recorded)
            ahead.append(recorded)
            while ahead[-1].log_ns - ahead[0].log_ns > self._ahead_ns:
                yield from self._worked_on(ahead.popleft(), ahead, wanted, copied, done_ns)
        while ahead:
            yield from self._worked_on(ahead.popleft(), ahead, wanted, copied, done_ns)

    def _take_note(self, recorded: Recorded) -> None:
        if recorded.topic in self._inputs:  # and to be copied, maybe
            self._inputs[recorded.topic].waiting.append(recorded)
        elif recorded.topic in self._moving:
            self._put_transforms(recorded, is_static=False)

    def _worked_on(
        self,
        recorded: Recorded,
        ahead: Iterable[Recorded],
        wanted: Collection[Output],
        copied: Collection[str],
        done_ns: int,
    ) -> Iterator[PlayedFrame | Recorded]:
        if recorded.topic in copied and recorded.log_ns > done_ns:
            yield recorded
        if recorded.topic == self._topics.image and recorded.log_ns > done_ns - SETTLING_NS:
            following = next((one.stamp_ns for one in ahead if one.topic == self._topics.image), None)
            frame = self._frame(recorded, following, wanted)
            if recorded.log_ns > done_ns:
                yield frame

    def _frame(self, recorded: Recorded, next_ns: int | None, wanted: Collection[Output]) -> PlayedFrame:
        refusals: list[RefusedMessageError] = []
        image = result = None
        try:
            image = self._read(recorded)
            self._order.check(stamp_ns(image.header))
            self._feed(recorded, image.header, next_ns, refusals)
            camera_info = self._camera_infos.for_image(image.header)
            result = self._pipeline.process(image, camera_info, wanted)
            refusals += result.refusals
        except RefusedMessageError as refusal:
            refusals.append(refusal)
        return PlayedFrame(recorded.log_ns, image, result, tuple(refusals))

    def _feed(
        self, image: Recorded, header: Any, next_ns: int | None, refusals: list[RefusedMessageError]
    ) -> None:
        """Give the pipeline what came before an image, and what came later but belongs to it."""
        self._pipeline.sparse.expect_frame(header)
        image_ns = stamp_ns(header)
        until_ns = _NO_END_NS if next_ns is None else image_ns + max(0, next_ns - image_ns) // 2
        for source in self._inputs.values():
            waiting = source.waiting
            while waiting and (waiting[0].log_ns <= image.log_ns or waiting[0].stamp_ns <= until_ns):
                self._put(source, waiting.popleft(), refusals)

    def _put(self, source: _Input, recorded: Recorded, refusals: list[RefusedMessageError]) -> None:
        try:
            source.put(self._read(recorded))
        except RefusedMessageError as refusal:
            refusals.append(refusal)

    def _read(self, recorded: Recorded) -> Any:
        try:
            return self._reader.read(recorded)
        except RefusedMessageError:
            raise
        except Exception as error:
            raise RefusedMessageError(f"{recorded.topic}: content", str(error)) from error

    def _put_transforms(self, recorded: Recorded, *, is_static: bool) -> None:
        for transform in self._reader.read(recorded).transforms:
            self._tree.put(transform, is_static=is_static)
