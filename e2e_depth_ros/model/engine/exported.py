"""A model as graphs in a folder: what `e2e-depth export` writes, read without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.core.user_file import MAX_JSON_BYTES, json_from_text, open_file, read_text
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.model.upsampling import OWN_UPSAMPLINGS

GRAPHS_FILE: Final = "graphs.json"
"""Beside the graphs: which there are, what their numbers mean, and the hash of each file they need."""

EMBEDDED: Final = "embedded"
"""The name of the model that ships with the package."""

EMBEDDED_FOLDER: Final = Path(__file__).parents[1] / EMBEDDED

_FORMAT: Final = 1


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
            with open_file(path) as stream:
                digest = hashlib.sha256()
                while block := stream.read(1 << 20):
                    digest.update(block)
            if digest.hexdigest() != expected:
                raise CheckpointError(
                    f"{path}: expected the file that was exported, SHA-256 {expected[:16]}..., got "
                    f"{digest.hexdigest()[:16]}...; export the model again"
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
        None where there are none: it is a checkpoint for torch, or lies on a hub.

    Raises:
        CheckpointError: The file that describes them is broken.
    """
    folder = EMBEDDED_FOLDER if str(name) == EMBEDDED else Path(name).expanduser()
    return read_exported(folder) if (folder / GRAPHS_FILE).is_file() else None


def read_exported(folder: Path) -> ExportedModel:
    """Read what was exported into a folder; graphs and weights aren't opened.

    Raises:
        CheckpointError: The file that describes it is missing or broken.
    """
    path = folder / GRAPHS_FILE
    try:
        return _model(folder, json_from_text(read_text(path, MAX_JSON_BYTES)))
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise CheckpointError(
            f"{path}: expected the description of an exported model, could not read it "
            f"({type(error).__name__}: {error}); export it again"
        ) from error


def _model(folder: Path, content: Any) -> ExportedModel:
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']!r}, this version reads {_FORMAT}")
    given = content["facts"]
    words = {"name": str, "processing_resolution": int, "full_z_range": bool, "clips_normals": bool}
    words.update(upsampling=str, down_factor=int, activation_floats=int)
    plain = {key: kind(given[key]) for key, kind in words.items()}
    if plain["upsampling"] not in OWN_UPSAMPLINGS:
        raise ValueError(f"upsampling {plain['upsampling']!r}")
    if plain["down_factor"] < 1 or plain["activation_floats"] < 1 or plain["processing_resolution"] < 0:
        raise ValueError("numbers that are not positive")
    x, y, z = (float(sign) for sign in given["normals_signs"])
    facts = ExportedFacts(
        **plain,
        tasks=frozenset(Task(word) for word in given["tasks"]),
        depth_kind=DepthKind(given["depth_kind"]),
        normals_signs=(x, y, z),
    )
    graphs = {_tasks(word): str(name) for word, name in content["graphs"].items()}
    files = {str(name): str(digest) for name, digest in content["files"].items()}
    for name in (*files, *graphs.values()):
        if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name:
            raise ValueError(f"file {name!r} outside of the folder")
    unlisted = set(graphs.values()) - set(files)
    if unlisted or not graphs:
        raise ValueError(f"no hash of {', '.join(sorted(unlisted)) or 'any graph'}")
    size = content["size"]
    precision = content["precision"]
    if precision not in ("float32", "float16"):
        raise ValueError(f"precision {precision!r}")
    return ExportedModel(
        folder, facts, graphs, precision, None if size is None else (int(size[0]), int(size[1])), files
    )


def _words(tasks: Collection[Task]) -> str:
    return "+".join(task.value for task in Task if task in tasks)


def _tasks(words: str) -> frozenset[Task]:
    return frozenset(Task(word) for word in words.split("+"))
