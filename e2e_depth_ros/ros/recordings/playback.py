"""Runs the depth node's pipeline on a recording, in the order in which it was recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from e2e_depth_ros.core.errors import InvalidInputError
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
_WAITING_NS: Final = 2_000_000_000  # no image comes so late; without a limit memory would fill without images
_NO_END_NS: Final = 2**63


@dataclass(frozen=True, eq=False)
class PlayedFrame:
    """An image, and what came of it.

    Attributes:
        namespace: Of its camera's outputs.
        log_ns: When the image was recorded.
        image: The message; None where it can't be read.
        result: None where the image was refused.
        refusals: What couldn't be used.
    """

    namespace: str
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
    """Depth nodes without a node: a recording's messages in, those of the outputs out.

    A node works on an image while the messages that belong to it still arrive. Here they are looked for ahead
    of it, as far as stamps may lie apart; what is nearer to the next image is left for that.

    Each camera has a pipeline of its own, as with a node for each. TF is one.

    Attributes:
        tasks: What the network predicts.
    """

    def __init__(
        self,
        reader: BagReader,
        cameras: Mapping[str, InputTopics],
        load: Callable[[], ImageEstimator],
        parameters: Parameters,
    ) -> None:
        """Load the network, and read the static transforms.

        Args:
            reader: The recording.
            cameras: The inputs of each camera, by the namespace of its outputs.
            load: Loads the network: once, or, where it remembers the last frame, for each camera.
            parameters: The node's.
        """
        self._reader = reader
        self._tree = TransformTree()
        self._broken_transforms: list[RefusedMessageError] = []  # told with the next image
        self._moving, static = transform_topics(reader)
        self._ahead_ns = max(round(parameters.approx_sync_max_interval * 1e9), _LEAST_AHEAD_NS)
        estimator = load()
        self.tasks = estimator.tasks
        transforms = Transforms(source=self._tree)
        self._cameras: dict[str, _Camera] = {}
        for namespace, topics in cameras.items():
            if self._cameras and parameters.sampling.carry:
                estimator = load()
            pipeline = Pipeline(estimator, parameters, transforms=transforms, image_topic=topics.image)
            self._cameras[topics.image] = _Camera(namespace, reader, topics, pipeline)
        for recorded in reader.messages(static):
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
            wanted: The outputs to make, of each camera.
            copied: Topics whose messages are to come out too.
            from_ns: Only what was recorded after this comes out, as an earlier run did the rest.

        Yields:
            Images with what came of them, and messages to copy, in the order in which they were recorded.

        Raises:
            InvalidInputError: The recording is broken.
        """
        done_ns = -1 if from_ns is None else from_ns
        inputs = {topic for camera in self._cameras.values() for topic in camera.topics.roles}
        ahead: deque[Recorded] = deque()
        for recorded in self._reader.messages({*inputs, *self._moving, *copied}):
            self._take_note(recorded)
            ahead.append(recorded)
            while ahead[-1].log_ns - ahead[0].log_ns > self._ahead_ns:
                yield from self._worked_on(ahead.popleft(), ahead, wanted, copied, done_ns)
        while ahead:
            yield from self._worked_on(ahead.popleft(), ahead, wanted, copied, done_ns)

    def _take_note(self, recorded: Recorded) -> None:
        if recorded.topic in self._moving:
            self._put_transforms(recorded, is_static=False)
        for camera in self._cameras.values():
            camera.take_note(recorded)

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
        camera = self._cameras.get(recorded.topic)
        if camera is not None and recorded.log_ns > done_ns - SETTLING_NS:
            following = next((one.stamp_ns for one in ahead if one.topic == recorded.topic), None)
            frame = camera.frame(recorded, following, wanted)
            if recorded.log_ns > done_ns:
                refusals = *self._broken_transforms, *frame.refusals
                self._broken_transforms.clear()
                yield replace(frame, refusals=refusals)

    def _put_transforms(self, recorded: Recorded, *, is_static: bool) -> None:
        try:
            message = self._reader.read(recorded)
        except InvalidInputError as error:  # what lacks it is refused by itself, or there is another
            self._broken_transforms.append(RefusedMessageError(f"{recorded.topic}: content", str(error)))
            return
        for transform in message.transforms:
            self._tree.put(transform, is_static=is_static)


class _Camera:
    """The pipeline of a camera, and what waits for its next image."""

    def __init__(self, namespace: str, reader: BagReader, topics: InputTopics, pipeline: Pipeline) -> None:
        self.topics = topics
        self._namespace = namespace
        self._reader = reader
        self._pipeline = pipeline
        self._camera_infos = CameraInfos()
        self._order = StampOrder()
        self._waiting_ns = _WAITING_NS + round(pipeline.parameters.approx_sync_max_interval * 1e9)
        puts = {
            "camera_info": self._camera_infos.put,
            "sparse_points": pipeline.sparse.points.put,
            "sparse_depth": pipeline.sparse.depth.put,
            "mask": pipeline.masks.put,
        }
        self._inputs = {topic: _Input(puts[role]) for topic, role in topics.roles.items() if role != "image"}

    def take_note(self, recorded: Recorded) -> None:
        """Keep a message until its image comes, if it is one of an input."""
        source = self._inputs.get(recorded.topic)
        if source is None:
            return
        source.waiting.append(recorded)
        while source.waiting[0].log_ns < recorded.log_ns - self._waiting_ns:
            self._put(source, source.waiting.popleft(), [])  # the few that the pipeline keeps may still serve

    def frame(self, recorded: Recorded, next_ns: int | None, wanted: Collection[Output]) -> PlayedFrame:
        """Work on an image.

        Args:
            recorded: The image.
            next_ns: Stamp of the next one; None for the last.
            wanted: The outputs to make.
        """
        refusals: list[RefusedMessageError] = []
        image = result = None
        try:
            image = self._read(recorded)
            self._order.check(stamp_ns(image.header))
            self._feed(recorded, image.header, next_ns, refusals)
            camera_info = self._camera_infos.for_image(image.header)
            result = self._pipeline.process(image, camera_info, wanted, arrived_ns=recorded.log_ns)
            refusals += result.refusals
        except RefusedMessageError as refusal:
            refusals.append(refusal)
        return PlayedFrame(self._namespace, recorded.log_ns, image, result, tuple(refusals))

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
