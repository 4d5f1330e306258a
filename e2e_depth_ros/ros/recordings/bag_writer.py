"""Writes a recording of ROS 2 in parts, so that a run that was cut off goes on behind the last whole one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.recordings.bag_reader import BagTopic

STORAGES: Final = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
"""How a recording may be stored."""

_VERSION: Final = 8  # of metadata.yaml: Iron's to Jazzy's, and later ones read it
_METADATA: Final = "metadata.yaml"
_INFORMATION: Final = "rosbag2_bagfile_information"
_RUN: Final = "e2e_depth_ros_run"  # key of the custom data that says what was run
_PARTS: Final = ".parts"
_FOREIGN: Final = "a recording that e2e-depth did not write"


class BagWriter:
    """A recording that grows by parts.

    The parts are recordings themselves, in a hidden folder, until `finish` makes one of them. A part that was
    not closed is not whole, and is written again.

    Attributes:
        done_ns: Until when, in the time of the recording, whole parts reach; None without any.
        is_done: Whether the recording is whole.
    """

    def __init__(
        self,
        path: Path,
        run: Mapping[str, Any],
        *,
        storage: str = "mcap",
        compress: bool = False,
    ) -> None:
        """Begin, or go on where an earlier run was cut off.

        Args:
            path: Folder to write.
            run: What is run on what, for JSON: only an equal run goes on.
            storage: One of `STORAGES`.
            compress: Whether to compress with zstd.

        Raises:
            InvalidInputError: The folder holds something else.
        """
        self.path = path
        self._parts = path / _PARTS
        self._topics: Mapping[str, BagTopic] = {}
        self._run = json.dumps({**run, "storage": storage, "compress": compress}, sort_keys=True)
        self._storage = STORAGES[storage]
        self._compression = CompressionMode.NONE
        if compress:
            is_mcap = self._storage is StoragePlugin.MCAP
            self._compression = CompressionMode.STORAGE if is_mcap else CompressionMode.MESSAGE
        self._writer: Writer | None = None
        self._connections: dict[str, Any] = {}
        self._until_ns = 0
        self._count = 0
        self.done_ns: int | None = None
        self.is_done = self._take_up()

    def begin(self, topics: Mapping[str, BagTopic]) -> None:
        """Say which topics will be written, by name."""
        self._topics = topics

    def write(self, topic: str, log_ns: int, data: bytes) -> None:
        """Write a message in CDR.

        Raises:
            OSError: It can't be written.
        """
        writer = self._writer or self._open()
        writer.write(self._connections[topic], log_ns, data)

    def end_part(self, until_ns: int) -> None:
        """Make a whole part of what was written since the last.

        Args:
            until_ns: Everything before this time, and at it, is in this part or in those before it.
        """
        writer = self._writer or self._open()  # an empty part is one too
        writer.set_custom_data("until_ns", str(until_ns))
        writer.close()
        self._writer = None
        self._count += 1
        self.done_ns = until_ns

    def abort(self) -> None:
        """Let go of the part at hand; whole ones stay."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None

    def finish(self) -> None:
        """Make one recording of all parts.

        Raises:
            OSError: It can't be written.
        """
        parts = [_information(self._part(index)) for index in range(self._count)]
        metadata = {_INFORMATION: {**_joined(parts), "custom_data": {_RUN: self._run}}}
        for index in range(self._count):
            for name in parts[index]["relative_file_paths"]:
                if (self._part(index) / name).exists():  # else it was moved before a crash
                    (self._part(index) / name).replace(self.path / name)
        unfinished = self._parts / _METADATA
        unfinished.write_text(yaml.safe_dump(metadata, sort_keys=False), encoding="utf-8")
        unfinished.replace(self.path / _METADATA)
        shutil.rmtree(self._parts)
        self.is_done = True

    def _take_up(self) -> bool:
        """Find what an earlier run left; tell whether that is all there is to do."""
        if (self.path / _METADATA).exists():
            written = _run_of(self.path)
            if written is None:
                raise InvalidInputError(f"expected a new folder, but {self.path} holds {_FOREIGN}")
            if written != self._run:
                raise InvalidInputError(f"{self.path} holds another bag: --force replaces it")
            return True
        run = self._parts / "run.json"
        if not run.exists():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise InvalidInputError(
                    f"expected a new folder, but {self.path} holds something that is no bag"
                )
            self._parts.mkdir(parents=True)
            run.write_text(self._run, encoding="utf-8")
        elif run.read_text(encoding="utf-8") != self._run:
            raise InvalidInputError(
                f"{self.path} holds part of another run, of another bag or with other parameters:"
                " --force replaces it"
            )
        while (self._part(self._count) / _METADATA).exists():
            self.done_ns = int(_information(self._part(self._count))["custom_data"]["until_ns"])
            self._count += 1
        return False

    def _part(self, index: int) -> Path:
        return self._parts / f"{self.path.name}_{index}"

    def _open(self) -> Writer:
        part = self._part(self._count)
        shutil.rmtree(part, ignore_errors=True)
        writer = Writer(part, version=_VERSION, storage_plugin=self._storage)
        writer.set_compression(self._compression, CompressionFormat.ZSTD)
        writer.open()
        self._connections = {
            name: writer.add_connection(
                name,
                topic.type_name,
                msgdef=topic.definition,
                rihs01=topic.digest,
                offered_qos_profiles=topic.qos,
            )
            for name, topic in self._topics.items()
        }
        self._writer = writer
        return writer


def remove_bag(path: Path) -> None:
    """Remove what `BagWriter` wrote, whole or not; nothing else.

    Raises:
        InvalidInputError: The folder holds something else, such as a robot's recording.
    """
    if not path.exists():
        return
    has_metadata = (path / _METADATA).exists()
    if not (has_metadata or (path / _PARTS / "run.json").exists()):
        raise InvalidInputError(f"expected a bag in {path}, found none: it is not replaced")
    if has_metadata and _run_of(path) is None:
        raise InvalidInputError(f"{path} holds {_FOREIGN}: it is not replaced")
    shutil.rmtree(path)


def _run_of(folder: Path) -> str | None:
    """Return what was run to write a bag; None where something else wrote it."""
    run = (_information(folder).get("custom_data") or {}).get(_RUN)
    return run if isinstance(run, str) else None


def _information(folder: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load((folder / _METADATA).read_text(encoding="utf-8"))
        information: dict[str, Any] = content[_INFORMATION]
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise InvalidInputError(f"cannot read {folder / _METADATA}: {error}") from error
    return information


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe parts that follow each other as one recording."""
    filled = [part for part in parts if part["message_count"]] or parts[:1]
    starts = [part["starting_time"]["nanoseconds_since_epoch"] for part in filled]
    ends = [start + part["duration"]["nanoseconds"] for start, part in zip(starts, filled, strict=True)]
    topics = [
        {
            **described,
            "message_count": sum(part["topics_with_message_count"][index]["message_count"] for part in parts),
        }
        for index, described in enumerate(parts[0]["topics_with_message_count"])
    ]
    return {
        **parts[0],
        "relative_file_paths": [name for part in parts for name in part["relative_file_paths"]],
        "duration": {"nanoseconds": max(ends) - min(starts)},
        "starting_time": {"nanoseconds_since_epoch": min(starts)},
        "message_count": sum(part["message_count"] for part in parts),
        "topics_with_message_count": topics,
        "files": [file for part in parts for file in part["files"]],
    }
