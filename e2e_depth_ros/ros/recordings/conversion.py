"""A bag in, a bag with the depth node's outputs out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_typestore

from e2e_depth_ros.alignment.result import AlignmentState
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.nodes.pipeline import ImageEstimator
from e2e_depth_ros.ros.outputs.depth_outputs import Output, tasks_for
from e2e_depth_ros.ros.recordings.bag_reader import BagReader, BagTopic, Recorded
from e2e_depth_ros.ros.recordings.bag_writer import BagWriter
from e2e_depth_ros.ros.recordings.input_topics import InputTopics
from e2e_depth_ros.ros.recordings.playback import Playback, PlayedFrame

_FRAMES_OF_A_PART: Final = 300


@dataclass(frozen=True)
class Conversion:
    """What to make of a bag.

    Attributes:
        cameras: The inputs of each camera, by the namespace of its outputs; "" is the root.
        parameters: The node's.
        outputs: What to write of each; None for all that the model predicts.
        output_path: Folder of the new bag.
        copies: Whether to take the input topics along.
        storage: "mcap" or "sqlite3".
        compress: Whether to compress with zstd.
    """

    cameras: Mapping[str, InputTopics]
    parameters: Parameters
    outputs: tuple[Output, ...] | None
    output_path: Path
    copies: bool = False
    storage: str = "mcap"
    compress: bool = False

    def topics_of(self, outputs: Iterable[Output]) -> dict[str, Output]:
        """Return the outputs of all cameras by their full names."""
        return {f"{name}/{output.value}": output for name in self.cameras for output in outputs}


@dataclass
class CameraReport:
    """What came of the images of a camera.

    Attributes:
        frames: Images worked on.
        messages: Written, by output.
        states: How often the alignment was in each state.
        reasons: Why it was not fresh, by state; the last words of each.
        refusals: What could not be used, by reason.
        words: The last words of each reason.
    """

    frames: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    words: dict[str, str] = field(default_factory=dict)


@dataclass
class Report:
    """What came of a run.

    Attributes:
        cameras: By the namespace of its outputs.
        seconds: Of the recording, that the images span.
        wall_s: How long it took.
        uncopied: Topics that could not be copied, as nothing tells their type's definition.
        unconverted: How many messages of a copied topic are not there: ROS 1 has them, and ROS 2 can't.
        was_done: Whether an earlier run had done all.
    """

    cameras: dict[str, CameraReport]
    seconds: float = 0.0
    wall_s: float = 0.0
    uncopied: list[str] = field(default_factory=list)
    unconverted: Counter[str] = field(default_factory=Counter)
    was_done: bool = False


def convert_bag(
    reader: BagReader,
    conversion: Conversion,
    load: Callable[[], ImageEstimator],
    on_progress: Callable[[int], None] = lambda _: None,
    on_frame: Callable[[PlayedFrame], None] = lambda _: None,
) -> Report:
    """Run the depth node's pipeline on a bag, or on what an earlier run left of it.

    Args:
        reader: The bag.
        conversion: What to make of it.
        load: Loads the network, as `Playback` needs it; not called where all is done.
        on_progress: Told until when, in ns of the recording, it is done.
        on_frame: Told each image that was worked on.

    Raises:
        InvalidInputError: The bag is broken, or the output's folder holds something else.
        OSError: The bag can't be written.
    """
    report = Report({name: CameraReport() for name in conversion.cameras})
    copied = _copied(reader, conversion, report)
    run = _run(reader, conversion)
    writer = BagWriter(conversion.output_path, run, storage=conversion.storage, compress=conversion.compress)
    if writer.is_done:
        report.was_done = True
        return report
    playback = Playback(reader, conversion.cameras, load, conversion.parameters)
    outputs = _outputs(conversion, playback.tasks)
    writer.begin({**{name: reader.topics[name] for name in copied}, **_described(conversion, outputs)})
    begun_s = time.monotonic()
    try:
        played = playback.play(outputs, copied=copied, from_ns=writer.done_ns)
        _write(writer, played, report, on_progress, on_frame)
    except BaseException:
        writer.abort()
        raise
    writer.finish()
    report.wall_s = time.monotonic() - begun_s
    return report


def _write(
    writer: BagWriter,
    all_played: Iterable[PlayedFrame | Recorded],
    report: Report,
    on_progress: Callable[[int], None],
    on_frame: Callable[[PlayedFrame], None],
) -> None:
    first_ns: int | None = None
    in_part = 0
    last_ns = writer.done_ns or 0
    for played in all_played:
        if in_part >= _FRAMES_OF_A_PART and played.log_ns > last_ns:
            writer.end_part(last_ns)
            in_part = 0
        last_ns = played.log_ns
        first_ns = last_ns if first_ns is None else first_ns
        if isinstance(played, Recorded):
            if played.data:
                writer.write(played.topic, played.log_ns, played.data)
            else:
                report.unconverted[played.topic] += 1
            continue
        in_part += 1
        for output, message in (played.result.messages if played.result else {}).items():
            name = f"{played.namespace}/{output.value}"
            writer.write(name, played.log_ns, serialize_message(message))
        _count(report.cameras[played.namespace], played)
        report.seconds = (last_ns - first_ns) * 1e-9
        on_frame(played)
        on_progress(last_ns)
    writer.end_part(last_ns)


def _outputs(conversion: Conversion, predicted: Collection[Task]) -> tuple[Output, ...]:
    """Return what to write of all that the model predicts."""
    if conversion.outputs is None:
        return tuple(output for output in Output if tasks_for([output]).issubset(predicted))
    missing = tasks_for(conversion.outputs).difference(predicted)
    if missing:
        words = " and ".join(sorted(task.value for task in missing))
        raise InvalidInputError(f"expected a model that predicts {words}, as the outputs need it")
    return conversion.outputs


def _count(report: CameraReport, played: PlayedFrame) -> None:
    report.frames += 1
    for refusal in played.refusals:
        report.refusals[refusal.reason] += 1
        report.words[refusal.reason] = str(refusal)
    if played.result is not None:
        report.messages.update(output.value for output in played.result.messages)
        alignment = played.result.alignment
        if alignment is not None:
            report.states[alignment.state.value] += 1
            if alignment.state is not AlignmentState.FRESH:
                report.reasons[alignment.state.value] = alignment.reason


def _copied(reader: BagReader, conversion: Conversion, report: Report) -> list[str]:
    if not conversion.copies:
        return []
    outputs = Output if conversion.outputs is None else conversion.outputs
    clashing = [name for name in conversion.topics_of(outputs) if name in reader.topics]
    if clashing:
        raise InvalidInputError(
            f"expected outputs beside the topics of the bag, but it has {', '.join(clashing)}:"
            " --namespace puts them elsewhere"
        )
    known = [topic for topic in reader.topics.values() if topic.definition and topic.digest]
    report.uncopied += sorted(topic.name for topic in reader.topics.values() if topic not in known)
    return [topic.name for topic in known]


def _described(conversion: Conversion, outputs: Iterable[Output]) -> dict[str, BagTopic]:
    store = get_typestore(Stores.LATEST)
    described = {}
    for name, output in conversion.topics_of(outputs).items():
        package = output.message_type.__module__.partition(".")[0]
        type_name = f"{package}/msg/{output.message_type.__name__}"
        definition, _ = store.generate_msgdef(type_name, ros_version=2)
        described[name] = BagTopic(name, type_name, 0, definition, store.hash_rihs01(type_name))
    return described


def _run(reader: BagReader, conversion: Conversion) -> dict[str, Any]:
    """Name all that the output depends on."""
    return {
        "bag": str(reader.path.resolve()),
        "recorded": [reader.start_ns, reader.end_ns, sum(topic.count for topic in reader.topics.values())],
        "cameras": {name: asdict(topics) for name, topics in conversion.cameras.items()},
        "parameters": asdict(conversion.parameters),
        "outputs": None if conversion.outputs is None else [output.value for output in conversion.outputs],
        "copies": conversion.copies,
    }
