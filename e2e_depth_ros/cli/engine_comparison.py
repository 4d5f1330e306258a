"""Every way to run a network, timed in turns in one run: a machine's moods then meet all of them alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from textwrap import wrap
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.cli.engine_worker import DIFFUSERS, shown_of
from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.model.engine.engine import FASTEST, ONNX, OPENVINO, TORCH

_WORKER: Final = "e2e_depth_ros.cli.engine_worker"
_FRAMES_A_TURN: Final = 5
_TASKS: Final = {
    "depth": ("depth",),
    "depth and normals": ("depth", "normals"),
    "normals": ("normals",),  # of models that predict nothing else
}


@dataclass(frozen=True)
class Way:
    """One way to run a network.

    Attributes:
        model: Which.
        engine: "torch", "onnx", "openvino" or "diffusers".
        dtype: See `Estimator.load`, as the rest.
        device: Where.
        num_threads: On the CPU.
        compiled: By torch.compile.
        processing_resolution: Longer edge that the network sees; None for the checkpoint's own.
    """

    model: str
    engine: str
    dtype: str = "auto"
    device: str = "auto"
    num_threads: int | None = None
    compiled: bool = False
    processing_resolution: int | None = None


def ways_to_run(
    models: Sequence[str],
    *,
    device: str,
    dtypes: Sequence[str],
    threads: Sequence[int],
    processing_resolution: int | None,
    diffusers: bool,
    compiled: bool,
    engine: str = FASTEST,
) -> list[Way]:
    """List the ways that can be tried here.

    Args:
        models: Checkpoints and exported models.
        device: Where.
        dtypes: Number formats to try; each engine takes those that it has.
        threads: Numbers of threads to try on a CPU.
        processing_resolution: Of the network.
        diffusers: Whether diffusers' own pipeline runs beside ours.
        compiled: Whether torch also compiles.
        engine: The only one of ours to try; "auto" for all.

    Raises:
        InvalidInputError: It can run none of the models.
    """
    from e2e_depth_ros.model.engine.choice import has_gpu  # noqa: PLC0415

    if device == "auto":
        device = "cuda" if has_gpu() else "cpu"
    numbers = threads if device == "cpu" else [None]
    ways = []
    for model in models:
        for name, dtype in _engines(model, engine, dtypes, diffusers=diffusers):
            ways += [
                Way(model, name, dtype, device, number, False, processing_resolution) for number in numbers
            ]
            if name == TORCH and compiled:
                ways.append(Way(model, name, dtype, device, numbers[0], True, processing_resolution))
    if not ways:
        raise InvalidInputError(
            f"expected a model that engine {engine} runs in {' or '.join(dtypes)}, got {', '.join(models)}"
        )
    return ways


def _engines(model: str, engine: str, dtypes: Sequence[str], *, diffusers: bool) -> Iterator[tuple[str, str]]:
    """Yield each engine that can run a model, with each number format that it has."""
    from e2e_depth_ros.model.engine.choice import is_installed  # noqa: PLC0415
    from e2e_depth_ros.model.engine.exported import find_exported  # noqa: PLC0415

    exported = find_exported(model)
    able = [TORCH] if exported is None or exported.has_weights else []
    if exported is not None:
        able += [name for name in (ONNX, OPENVINO) if is_installed(name)]
    names = [DIFFUSERS] if diffusers and TORCH in able else []
    names += [name for name in able if engine in (FASTEST, name)]
    for name in names:
        for dtype in dtypes:
            if exported is None or _has_format(name, dtype, exported.precision):
                yield name, dtype


def _has_format(engine: str, dtype: str, exported_precision: str) -> bool:
    """Whether an engine may have a number format; OpenVINO's bfloat16 is for the CPU to say."""
    if engine == OPENVINO:
        return dtype in (exported_precision, "float32", "bfloat16")
    return engine in (TORCH, DIFFUSERS) or dtype == exported_precision


def compare(ways: Sequence[Way], image: NDArray[np.uint8], *, frames: int, busy: int) -> dict[str, Any]:
    """Time every way, and how far each is from the first.

    Args:
        ways: See `ways_to_run`; those that can't be loaded here are told and left out.
        image: (H, W, 3), uint8, RGB.
        frames: To time of each, quiet and busy.
        busy: How many processes to keep busy beside, in a second round; 0 for none.

    Returns:
        `ways`, each with its `place`, `first_s` (from the process's start to its first depth), `memory_mb`,
        `difference` (the largest, of relative depth, from the first; of normals, where a model predicts
        nothing else), and `ms`: for "depth" and for "depth and normals", or for "normals", "quiet" and
        "busy", the median and the fastest; `left_out`.

    Raises:
        E2EDepthError: None can be loaded.
    """
    report: dict[str, Any] = {"ways": [], "left_out": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        np.save(folder / "image.npy", image)
        workers = []
        for way in ways:
            try:
                workers.append(stack.enter_context(_worker(way, folder / "image.npy")))
            except E2EDepthError as error:  # noqa: PERF203 - a process takes seconds to start
                report["left_out"].append({**asdict(way), "why": str(error)})
        if not workers:
            raise E2EDepthError(f"expected a way to run, found none: {report['left_out'][0]['why']}")
        firsts: dict[str, NDArray[np.float32]] = {}
        for index, worker in enumerate(workers):
            found = worker.look(folder / f"{index}.npy")
            difference = float(np.nanmax(np.abs(found - firsts.setdefault(worker.shown, found))))
            report["ways"].append({**worker.entry, "difference": difference, "ms": {}})
        rounds = [("quiet", 0)] + ([("busy", busy)] if busy else [])
        for name, wanted in _TASKS.items():
            for mood, others in rounds:
                with _busy_processes(others):
                    _take_turns(workers, report["ways"], name, wanted, mood, frames)
    return report


def _take_turns(
    workers: Sequence[_Worker],
    entries: Sequence[dict[str, Any]],
    name: str,
    tasks: Collection[str],
    mood: str,
    frames: int,
) -> None:
    from rich.progress import track  # noqa: PLC0415

    able = [index for index, worker in enumerate(workers) if worker.is_timed(tasks)]
    laps: dict[int, list[float]] = {index: [] for index in able}
    for index in able:
        workers[index].time(tasks, 1)  # what is prepared for these tasks
    turns = -(-frames // _FRAMES_A_TURN)
    for _ in track(range(turns), description=f"{name}, {mood}", transient=True):
        for index in able:
            laps[index] += workers[index].time(tasks, min(_FRAMES_A_TURN, frames))
    for index, seconds in laps.items():
        entries[index]["ms"].setdefault(name, {})[mood] = {
            "median": round(1e3 * float(np.median(seconds)), 2),
            "fastest": round(1e3 * float(np.min(seconds)), 2),
        }
        entries[index]["memory_mb"] = workers[index].memory_mb


class _Worker:
    """A process that runs a network in one way."""

    def __init__(self, way: Way, process: subprocess.Popen[str], said: TextIO, image: Path) -> None:
        self._process = process
        self._said = said
        loaded = self._ask({**asdict(way), "image": str(image)})
        self._tasks = set(loaded["tasks"])
        self.memory_mb: Mapping[str, float] = loaded["memory_mb"]
        self.entry = {
            "model": way.model,
            "compiled": way.compiled,
            **loaded["place"],
            "first_s": round(loaded["first_s"], 2),
            "memory_mb": self.memory_mb,
        }

    @property
    def shown(self) -> str:
        """The task of which `look` saves the map."""
        return shown_of(self._tasks)

    def is_timed(self, tasks: Collection[str]) -> bool:
        """Tell whether it predicts the tasks at once, and no more without being asked for them."""
        return self.shown in tasks and set(tasks) <= self._tasks

    def time(self, tasks: Collection[str], frames: int) -> list[float]:
        """Return the seconds of each frame."""
        answer = self._ask({"tasks": list(tasks), "frames": frames})
        self.memory_mb = answer["memory_mb"]
        return list(answer["laps_s"])

    def look(self, path: Path) -> NDArray[np.float32]:
        """Return relative depth, (H, W), or normals, (H, W, 3); see `shown`."""
        self._ask({"save": str(path)})
        return np.asarray(np.load(path), np.float32)

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise E2EDepthError("expected pipes to the process")
        try:
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
        except OSError:
            pass  # it has ended: what it said tells why
        line = stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            said = self._said.read().strip().splitlines()
            raise E2EDepthError(said[-1] if said else "the process ended without a word")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def _worker(way: Way, image: Path) -> Iterator[_Worker]:
    pipe = subprocess.PIPE
    with TemporaryFile("w+") as said:  # a file: it can say much without waiting for a reader
        process = subprocess.Popen(
            [sys.executable, "-m", _WORKER], stdin=pipe, stdout=pipe, stderr=said, text=True
        )
        try:
            yield _Worker(way, process, said, image)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _busy_processes(number: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def print_comparison(report: Mapping[str, Any], console: Any) -> None:
    """Print two tables for each model, which fit 80 columns.

    One has the times, with their ratio to the best of torch without compilation in the same run, the other
    what else a way takes.
    """
    height, width = report["image size"]
    cores = report["cores"]
    console.print(f"image {width}x{height}, {cores} core{'s' * (cores != 1)}", highlight=False)
    by_model: dict[str, list[dict[str, Any]]] = {}
    for entry in report["ways"]:
        by_model.setdefault(entry["model"], []).append(entry)
    for model, entries in by_model.items():
        _print_model(Path(model).name, entries, report["ways"], console)
    reasons = [
        f"{Path(way['model']).name} by {way['engine']}, {way['dtype']}: {way['why']}"
        for way in report["left_out"]
    ]
    for reason in dict.fromkeys(reasons):  # once for all numbers of threads
        console.print(f"left out: {reason}", markup=False, highlight=False, soft_wrap=True)


def _print_model(
    name: str, entries: Sequence[Mapping[str, Any]], all_entries: Sequence[Mapping[str, Any]], console: Any
) -> None:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    columns = [
        (tasks, mood)
        for tasks in _TASKS
        for mood in ("quiet", "busy")
        if any(mood in entry["ms"].get(tasks, {}) for entry in entries)
    ]
    times = Table(title=f"{name}: median ms, and how often the best of torch", box=box.SIMPLE_HEAD)
    costs = Table(
        title=f"{name}: what else it takes, and the distance from the first row", box=box.SIMPLE_HEAD
    )
    for table in (times, costs):
        table.add_column("engine", no_wrap=True)
    for tasks, mood in columns:
        heading = "\n".join(wrap(f"{tasks}, {mood}", 10))
        times.add_column(heading, justify="right", no_wrap=True)
    for heading in ("first depth s", "MB", "largest distance"):
        costs.add_column(heading, justify="right", no_wrap=True)
    best = {column: _best_of_torch(all_entries, *column) for column in columns}
    for entry in entries:
        cells = []
        for column in columns:
            found, reference = _median(entry, *column), best[column]
            ratio = f" {found / reference:.2f}" if found and reference else ""
            cells.append(f"{found:.{1 if found < 1000 else 0}f}{ratio}" if found else "")
        times.add_row(words_of(entry), *cells)
        memory = max(entry["memory_mb"].items(), key=lambda item: item[0].startswith("GPU"))[1]
        costs.add_row(
            words_of(entry), f"{entry['first_s']:.1f}", f"{memory:.0f}", f"{entry['difference']:.1e}"
        )
    console.print(times)
    console.print(costs)


def words_of(entry: Mapping[str, Any]) -> str:
    """Name a way in a few words: engine, precision, threads or device."""
    words = [entry["engine"], "compiled" if entry["compiled"] else "", entry["precision"]]
    words.append(f"x {entry['threads']}" if entry["threads"] else entry["device"])
    return " ".join(word for word in words if word)


def _median(entry: Mapping[str, Any], tasks: str, mood: str) -> float | None:
    found: float | None = entry["ms"].get(tasks, {}).get(mood, {}).get("median")
    return found


def _best_of_torch(entries: Sequence[Mapping[str, Any]], tasks: str, mood: str) -> float | None:
    torchs = [entry for entry in entries if entry["engine"] == TORCH and not entry["compiled"]]
    torchs = [entry for entry in torchs if entry["precision"] == torchs[0]["precision"]]
    times = [found for entry in torchs if (found := _median(entry, tasks, mood)) is not None]
    return min(times, default=None)
