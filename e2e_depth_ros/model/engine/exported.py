"""A model as graphs in a folder: what `e2e-depth export` writes, read without torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, first_line
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.core.user_file import MAX_JSON_BYTES, json_from_text, read_text
from e2e_depth_ros.model.checkpoint.foreign import GRAPHS_FILE
from e2e_depth_ros.model.checkpoint.integrity import sha256
from e2e_depth_ros.model.limits import MAX_RESOLUTION
from e2e_depth_ros.model.shipped import SHIPPED
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.model.upsampling import OWN_UPSAMPLINGS

PRECISIONS: Final = ("float32", "float16")
"""In which graphs may compute."""

_FORMAT: Final = 1

# Far beyond every network: they tell a broken or hostile file, not an unusual one.
_MAX_SIZE: Final = 1 << 16
_MAX_DOWN_FACTOR: Final = 1 << 15
_MAX_ACTIVATION_FLOATS: Final = 1 << 20
_SHOWN: Final = 60  # characters of a value in an error message

_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class ExportedFacts:
    """What an exported network predicts, and what its numbers mean; see `NetworkFacts`."""

    name: str
    tasks: frozenset[Task]
    processing_resolution: int
    depth_kind: DepthKind
    normals_signs: tuple[float, float, float]
    full_z_range: bool
    clips_normals: bool
    upsampling: str
    down_factor: int
    activation_floats: int


@dataclass(frozen=True)
class ExportedModel:
    """Graphs in a folder.

    Attributes:
        folder: Where they lie.
        facts: What they predict.
        graphs: The file of each graph, by what it predicts at once.
        precision: In which the graphs compute: "float32" or "float16".
        size: (h, w) of the only images that they take; None for any that `facts` allows.
        files: The SHA-256 of every file that they are read from, by its path in the folder.
    """

    folder: Path
    facts: ExportedFacts
    graphs: Mapping[frozenset[Task], str]
    precision: str
    size: tuple[int, int] | None
    files: Mapping[str, str]

    @property
    def has_weights(self) -> bool:
        """Whether a checkpoint for torch lies in the same folder, as the embedded one does."""
        return (self.folder / "model_index.json").is_file()

    def graph(self, tasks: Collection[Task]) -> Path:
        """Return the graph that predicts tasks and nothing else.

        Raises:
            InvalidInputError: It wasn't exported.
        """
        name = self.graphs.get(frozenset(tasks))
        if name is None:
            known = " / ".join(sorted(_words(known) for known in self.graphs))
            raise InvalidInputError(
                f"{self.facts.name}: expected what was exported, {known}, got {_words(tasks)}"
            )
        return self.folder / name

    def check_files(self) -> None:
        """Make sure that every file is the one that was exported: the graphs point to places in them.

        Raises:
            CheckpointError: Names the file, and what to do.
        """
        for name, expected in self.files.items():
            path = self.folder / name
            if not path.is_file():
                raise CheckpointError(
                    f"{path}: expected a file of the exported model, not there; export it again"
                )
            found = sha256(path)
            if found != expected:
                raise CheckpointError(
                    f"{path}: expected the file that was exported, SHA-256 {expected[:16]}..., got "
                    f"{found[:16]}...; export the model again"
                )

    def write(self, folder: Path) -> None:
        """Write what `read_exported` reads into a folder; the graphs are there already."""
        facts = asdict(self.facts)
        facts.update(
            tasks=[task.value for task in Task if task in self.facts.tasks],
            depth_kind=self.facts.depth_kind.value,
        )
        content = {
            "format": _FORMAT,
            "facts": facts,
            "graphs": {_words(tasks): name for tasks, name in self.graphs.items()},
            "precision": self.precision,
            "size": self.size,
            "files": dict(sorted(self.files.items())),
        }
        text = json.dumps(content, indent=2)
        (folder / GRAPHS_FILE).write_text(text + "\n", encoding="utf-8")


def find_exported(name: str | Path) -> ExportedModel | None:
    """Find the graphs of a model, given as the user names it.

    Args:
        name: "embedded", or a folder.

    Returns:
        None where there are none: it is a checkpoint for torch, or lies on a hub, or nowhere.

    Raises:
        CheckpointError: The file that describes them is broken.
    """
    try:
        folder = SHIPPED.get(str(name)) or Path(name).expanduser()
        is_exported = (folder / GRAPHS_FILE).is_file()
    except (OSError, RuntimeError, ValueError):  # no name of a folder: too long, a null character, ~nobody
        return None
    return read_exported(folder) if is_exported else None


def read_exported(folder: Path) -> ExportedModel:
    """Read what was exported into a folder; graphs and weights aren't opened.

    Raises:
        CheckpointError: The file that describes it is missing or broken.
    """
    path = folder / GRAPHS_FILE
    try:
        return _model(folder, json_from_text(read_text(path, MAX_JSON_BYTES)))
    except (KeyError, TypeError, ValueError) as error:
        why = f"no entry {error}" if isinstance(error, KeyError) else first_line(error)
        raise CheckpointError(
            f"{path}: expected the description of an exported model, could not read it ({why}); "
            "export it again"
        ) from error


def _model(folder: Path, content: Any) -> ExportedModel:
    """Read a description, in which a stranger may have written anything.

    Raises:
        KeyError, TypeError, ValueError: It isn't one.
    """
    entries = _entry({"": content}, "", dict)
    if entries["format"] != _FORMAT:
        raise ValueError(f"format {entries['format']!r}, this version reads {_FORMAT}")
    graphs = {_tasks(word): _path(name) for word, name in _entry(entries, "graphs", dict).items()}
    files = {_path(name): str(digest) for name, digest in _entry(entries, "files", dict).items()}
    facts = _facts(_entry(entries, "facts", dict))
    unlisted = set(graphs.values()) - set(files)
    if unlisted or not graphs:
        raise ValueError(f"no hash of {', '.join(sorted(unlisted)) or 'any graph'}")
    if frozenset().union(*graphs) != facts.tasks:
        raise ValueError(f"graphs of {' / '.join(map(_words, graphs))}, but tasks {_words(facts.tasks)}")
    size = entries["size"]
    if size is not None:
        height, width = (_whole(number, 1, _MAX_SIZE) for number in size)
        if height % facts.down_factor or width % facts.down_factor:
            raise ValueError(f"size {height}x{width}, no multiple of {facts.down_factor}")
        size = (height, width)
    return ExportedModel(folder, facts, graphs, _word(entries["precision"], PRECISIONS), size, files)


def _facts(entries: dict[str, Any]) -> ExportedFacts:
    x, y, z = entries["normals_signs"]
    for sign in (x, y, z):
        if sign not in (1, -1):
            raise ValueError(f"sign {sign!r}, expected 1 or -1")
    return ExportedFacts(
        name=_entry(entries, "name", str),
        tasks=frozenset(Task(word) for word in entries["tasks"]),
        processing_resolution=_whole(entries["processing_resolution"], 0, MAX_RESOLUTION),
        depth_kind=DepthKind(entries["depth_kind"]),
        normals_signs=(float(x), float(y), float(z)),
        full_z_range=_entry(entries, "full_z_range", bool),
        clips_normals=_entry(entries, "clips_normals", bool),
        upsampling=_word(entries["upsampling"], OWN_UPSAMPLINGS),
        down_factor=_whole(entries["down_factor"], 1, _MAX_DOWN_FACTOR),
        activation_floats=_whole(entries["activation_floats"], 1, _MAX_ACTIVATION_FLOATS),
    )


def _entry(entries: Mapping[str, Any], key: str, kind: type[_Kind]) -> _Kind:
    value = entries[key]
    if not isinstance(value, kind):
        raise TypeError(f"{key or 'all'} as {type(value).__name__}, expected {kind.__name__}")
    return value


def _whole(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{str(value)[:_SHOWN]}, expected a whole number of {low} to {high}")
    return value


def _word(value: object, words: Collection[str]) -> str:
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{str(value)[:_SHOWN]!r}, expected {' or '.join(words)}")
    return value


def _path(name: object) -> str:
    """Read a path within the folder."""
    path = PurePosixPath(name if isinstance(name, str) else "")
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in str(path) or "\0" in str(path):
        raise ValueError(f"file {str(name)[:_SHOWN]!r}, expected one in the folder")
    return str(path)


def _words(tasks: Collection[Task]) -> str:
    return "+".join(task.value for task in Task if task in tasks)


def _tasks(words: str) -> frozenset[Task]:
    return frozenset(Task(word) for word in words.split("+"))
