"""Reads recordings of ROS 2 (MCAP and SQLite, compressed or not) and of ROS 1, as messages of ROS 2."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message
from rosbags import rosbag1, rosbag2
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError, one_line
from e2e_depth_ros.core.user_file import check_file

if TYPE_CHECKING:
    from typing_extensions import Self

TYPES: Final = {
    "diagnostic_msgs/msg/DiagnosticStatus": DiagnosticStatus,
    **{
        f"sensor_msgs/msg/{message_type.__name__}": message_type
        for message_type in (Image, CompressedImage, CameraInfo, PointCloud2)
    },
}
"""The message classes of what is worked on, by the names of their types."""
TF_TYPE: Final = "tf2_msgs/msg/TFMessage"
"""No class on PyPI is of this type."""

_KNOWN: Final = get_typestore(Stores.LATEST)
_COMPRESSED: Final = (".zstd", ".zst")
_CUT_OFF: Final = {"File end magic": "mcap recover", "index looks damaged": "rosbag reindex"}
"""What rosbags says of files without their end, of MCAP and of ROS 1, and what makes whole ones of them."""

_HEADER: Final = "std_msgs/msg/Header"
_RENAMED: Final = {"tf/msg/tfMessage": TF_TYPE}  # of ROS 1
_FOREVER: Final = QosTime(2147483647, 4294967295)
_LATCHED: Final = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    avoid_ros_namespace_conventions=False,
)


@dataclass(frozen=True)
class BagTopic:
    """A topic of a recording.

    Attributes:
        name: With its leading slash.
        type_name: As ROS 2 has it, say "sensor_msgs/msg/Image".
        count: Of its messages.
        definition: Of the type, as a recording keeps it; empty where it is known neither here nor there.
        digest: Hash of that (RIHS01).
        qos: What its publishers offered.
    """

    name: str
    type_name: str
    count: int
    definition: str = ""
    digest: str = ""
    qos: tuple[Any, ...] = ()


class Recorded(NamedTuple):
    """A message of a recording.

    Attributes:
        topic: Where it came.
        log_ns: When it was recorded.
        data: The message, in CDR.
    """

    topic: str
    log_ns: int
    data: bytes

    @property
    def stamp_ns(self) -> int:
        """The stamp of a message that begins with a header, without decoding the rest; 0 of a short one."""
        return self._number(4) * 1_000_000_000 + self._number(8)

    @property
    def frame_id(self) -> str:
        """The frame of such a message."""
        return bytes(self.data[16 : 16 + self._number(12)]).rstrip(b"\0").decode("utf-8", "replace")

    def _number(self, at: int) -> int:
        order: Literal["little", "big"] = "little" if len(self.data) > 1 and self.data[1] & 1 else "big"
        return int.from_bytes(self.data[at : at + 4], order)


class BagReader:
    """A recording, open to be read. A context manager."""

    def __init__(self, path: Path) -> None:
        """Open a recording.

        Args:
            path: Folder of rosbag2, a single .mcap or .db3, or a .bag of ROS 1.

        Raises:
            InvalidInputError: It is no recording, or not whole.
        """
        self.path = path
        self._is_ros1 = path.suffix == ".bag"
        if not path.exists():
            raise InvalidInputError(f"expected a bag, but {path} does not exist")
        if not path.is_dir():
            check_file(path)  # SQLite and rosbags would wait for the writer of a named pipe
        elif not (path / "metadata.yaml").exists():
            raise InvalidInputError(
                f"expected a bag, but {path} has no metadata.yaml: ros2 bag reindex makes it,"
                " and a file of it that is whole can be named alone"
            )
        if path.is_file() and path.suffix in _COMPRESSED:
            raise InvalidInputError(
                f"expected the folder of {path}, whose metadata.yaml says how it is compressed"
            )
        self._reader: Any
        with _refusing(path):
            self._reader = rosbag1.Reader(path) if self._is_ros1 else rosbag2.Reader(path)
            self._reader.open()
            self._store = _types_of_ros1(self._reader.connections) if self._is_ros1 else _KNOWN
        self.topics = {topic.name: topic for topic in map(self._described, self._by_name().values())}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    @property
    def start_ns(self) -> int:
        """When the first message was recorded."""
        return int(self._reader.start_time)

    @property
    def end_ns(self) -> int:
        """When the last message was recorded."""
        return int(self._reader.end_time) - 1

    def messages(
        self, topics: Collection[str], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[Recorded]:
        """Read messages in the order in which they were recorded.

        Args:
            topics: Of which.
            start_ns: From which time on; None for all.
            stop_ns: Until before which time; None for all.

        Raises:
            InvalidInputError: The recording is broken, or not to be read in this way.
        """
        wanted = [one for one in self._reader.connections if one.topic in topics]
        if not wanted:
            return
        with _refusing(self.path):
            for connection, log_ns, data in self._reader.messages(wanted, start=start_ns, stop=stop_ns):
                yield Recorded(connection.topic, log_ns, self._in_cdr(connection.msgtype, data))

    def first_whole(self, topic: str) -> Any | None:
        """Return the first message of a topic that can be read; None where there is none."""
        return next(self.whole(self.messages([topic])), None)

    def first(self, topic: str) -> Any:
        """Return the first message of a topic that can be read; see `read`."""
        message = self.first_whole(topic)
        if message is not None:
            return message
        for broken in self.messages([topic]):
            return self.read(broken)
        raise InvalidInputError(f"expected messages on {topic} in {self.path}, found none")

    def whole(self, messages: Iterable[Recorded]) -> Iterator[Any]:
        """Decode messages, and pass over those that can't be: each is one of many of its kind."""
        for message in messages:
            with contextlib.suppress(InvalidInputError):
                yield self.read(message)

    def read(self, message: Recorded) -> Any:
        """Decode a message.

        Returns:
            An object of its class; a TFMessage, which has none, as an object with the same fields.

        Raises:
            InvalidInputError: Its type is not among those worked on, or it is broken.
        """
        type_name = self.topics[message.topic].type_name
        try:
            if type_name == TF_TYPE:
                return _KNOWN.deserialize_cdr(message.data, TF_TYPE)
            return deserialize_message(message.data, TYPES[type_name])
        except KeyError:
            raise InvalidInputError(f"expected {message.topic} to be one of {', '.join(TYPES)}") from None
        except Exception as error:
            raise InvalidInputError(f"cannot read a {type_name} of {message.topic}: {error}") from error

    def _by_name(self) -> dict[str, list[Any]]:
        by_name: dict[str, list[Any]] = {}
        for connection in self._reader.connections:
            by_name.setdefault(connection.topic, []).append(connection)
        return by_name

    def _described(self, connections: list[Any]) -> BagTopic:
        first = connections[0]
        count = sum(one.msgcount for one in connections)
        type_name = _RENAMED.get(first.msgtype, first.msgtype) if self._is_ros1 else first.msgtype
        if not self._is_ros1 and first.msgdef.data:
            digest = first.digest or _digest(first.msgdef.data, type_name)
            qos = tuple(first.ext.offered_qos_profiles)
            return BagTopic(first.topic, type_name, count, first.msgdef.data, digest, qos)
        if type_name not in _KNOWN.fielddefs or not self._is_same(first.msgtype, type_name):
            return BagTopic(first.topic, type_name, count)
        definition, _ = _KNOWN.generate_msgdef(type_name, ros_version=2)
        qos = _qos_of_ros1(first) if self._is_ros1 else tuple(first.ext.offered_qos_profiles)
        return BagTopic(first.topic, type_name, count, definition, _KNOWN.hash_rihs01(type_name), qos)

    def _is_same(self, own: str, type_name: str) -> bool:
        """Whether a type of the recording has the fields that ROS 2 gives it."""
        from rosbags.convert.converter import is_same_wireformat  # noqa: PLC0415 - for ROS 1 alone

        if not self._is_ros1:
            return True
        return is_same_wireformat(self._store, _KNOWN, own, type_name)

    def _in_cdr(self, type_name: str, data: bytes) -> bytes:
        if not self._is_ros1:
            return bytes(data)
        try:
            return bytes(self._store.ros1_to_cdr(data, type_name))
        except Exception:  # noqa: BLE001 - of what cannot be converted, `read` tells when it is asked for
            return b""


class _refusing:  # noqa: N801 - reads as a statement
    """Tells in one line what rosbags finds wrong with a recording."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # rosbags lets errors of SQLite, YAML, zstd and struct through too; none of them is a bug of ours.
        if isinstance(error, Exception) and not isinstance(error, (E2EDepthError, MemoryError)):
            tool = next((tool for words, tool in _CUT_OFF.items() if words in str(error)), None)
            hint = f": it was cut off; `{tool}` makes a whole file of it" if tool else ""
            raise InvalidInputError(
                f"cannot read the bag {self._path}: {one_line(str(error), 200)}{hint}"
            ) from error


def _types_of_ros1(connections: Iterable[Any]) -> Any:
    """Take the types of a bag of ROS 1 from its definitions, with the header of ROS 2: it has no counter."""
    types: dict[str, Any] = {}
    for one in connections:
        types.update(get_types_from_msg(one.msgdef.data, one.msgtype))
    store = get_typestore(Stores.EMPTY)
    store.register({**types, _HEADER: _KNOWN.fielddefs[_HEADER]})
    return store


def _digest(definition: str, type_name: str) -> str:
    store = get_typestore(Stores.EMPTY)
    try:
        store.register(get_types_from_msg(definition, type_name))
        return str(store.hash_rihs01(type_name))
    except Exception:  # noqa: BLE001 - what rosbags can't parse is copied without a hash
        return ""


def _qos_of_ros1(connection: Any) -> tuple[Any, ...]:
    return (_LATCHED,) if connection.ext.latching else ()
