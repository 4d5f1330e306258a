"""Runs the suite under each Python, ROS and set of versions that the package promises; tells how it went.

`make matrix` runs it; `make matrix CELLS="3.10 3.12-jazzy"` only those. Each cell has an environment of its
own in .venv-matrix/, which is kept. The table goes into docs/compatibility.md once every cell was run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venv-matrix"
SCENES = ROOT / "scenes"  # the source archive of the robot's package comes without them
PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- matrix -->\n", "<!-- /matrix -->"

OLDEST = "oldest"
EXTRAS = "demo,hub,test"
# What the table shows of each environment, by its column.
DISTRIBUTIONS = {
    "rclpy": "ros-rclpy",
    "numpy": "numpy",
    "OpenCV": "opencv-python-headless",
    "torch": "torch",
    "diffusers": "diffusers",
    "transformers": "transformers",
}
# Of the environment that runs this; another one's must not see it. ROS's wheels set the last three.
FOREIGN = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH")
FOREIGN += ("_ROS_WHEELS_BOOTSTRAP_COMPLETE",)


@dataclass(frozen=True)
class Cell:
    """One combination.

    Attributes:
        python: Its version, "3.10".
        ros: "kilted" or "jazzy", from PyPI.
        lowest: Whether the lowest versions that setup.py allows are taken, instead of the newest.
        tests: What is run, all by default.
    """

    python: str
    ros: str = "kilted"
    lowest: bool = False
    tests: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As CELLS has it: "3.10", "3.10-lowest", "3.12-jazzy"."""
        return "-".join([self.python, *(["jazzy"] if self.ros == "jazzy" else []), *["lowest"] * self.lowest])

    @property
    def environment(self) -> Path:
        """Its folder."""
        return ENVIRONMENTS / self.name

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.environment / "bin" / "python"


CELLS = (
    *(Cell(python) for python in ("3.10", "3.11", "3.12", "3.13")),
    Cell("3.10", lowest=True),
    Cell("3.12", ros="jazzy", tests=("test/ros", "test/cli")),
)


@dataclass(frozen=True)
class Outcome:
    """What came of a cell.

    Attributes:
        cell: The cell.
        versions: Of what the table shows, by its column.
        counts: Tests that "passed", "failed" and were "skipped".
        skips: How many tests each reason skipped.
        duration_s: Of the tests, without the set-up.
    """

    cell: Cell
    versions: dict[str, str]
    counts: dict[str, int]
    skips: dict[str, int]
    duration_s: float


def find_python(version: str) -> Path | None:
    """Find an interpreter of a version: on the path, or among pyenv's, whose shims may answer for none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = (shutil.which(f"python{version}", path=folder) for folder in os.get_exec_path())
    own = Path(sys.base_prefix) / "bin" / f"python{version}"
    candidates = [*on_path, own, *sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
    ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        if not Path(candidate).exists():
            continue
        answer = subprocess.run([candidate, "-c", ask], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return Path(candidate)
    return None


def clean_environment() -> dict[str, str]:
    """Leave out of the environment what belongs to the Python that runs this."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    # uv knows where pip has been told to look for wheels only if it's told too.
    if "PIP_FIND_LINKS" in environment:
        environment.setdefault("UV_FIND_LINKS", environment["PIP_FIND_LINKS"])
    return environment


def set_up(cell: Cell, python: Path, uv: str, torch: Sequence[str]) -> None:
    """Make a cell's environment, or bring it up to date."""
    install = [uv, "pip", "install", "--python", str(cell.interpreter)]

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=ROOT, env=clean_environment())

    if not cell.interpreter.exists():
        run(uv, "venv", "--quiet", "--seed", "--python", str(python), str(cell.environment))
    package = ["--editable", f".[{EXTRAS}]", "--requirement", f"requirements-{_ros_file(cell.ros)}.txt"]
    if SCENES.exists():
        package += ["--editable", str(SCENES)]
    if cell.lowest:
        pins = "test/constraints"
        run(
            *install,
            "--constraint",
            f"{pins}/lowest.txt",
            "--build-constraint",
            f"{pins}/build.txt",
            "--override",
            f"{pins}/override.txt",
            *package,
        )
    else:
        # torch first: what depends on it must not choose another build.
        run(*install, *torch)
        run(*install, *package)


def _ros_file(ros: str) -> str:
    return "ros" if ros == "kilted" else f"ros-{ros}"


def run_tests(cell: Cell, options: Sequence[str]) -> Outcome:
    """Run a cell's tests; they print as they go."""
    report = cell.environment / "junit.xml"
    report.unlink(missing_ok=True)
    command = [str(cell.interpreter), "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}"]
    begin = time.monotonic()
    subprocess.run([*command, *options, *cell.tests], cwd=ROOT, env=clean_environment(), check=False)
    duration_s = time.monotonic() - begin
    counts, skips = read_report(report)
    return Outcome(cell, read_versions(cell.interpreter), counts, skips, duration_s)


def read_report(report: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Count what passed, failed and was skipped, and the reasons of the last; no report is a failure."""
    counts = Counter({"passed": 0, "failed": 0, "skipped": 0})
    skips: Counter[str] = Counter()
    if not report.exists():
        return {**counts, "failed": 1}, {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it for us
        if (skipped := case.find("skipped")) is not None:
            counts["skipped"] += 1
            skips[skipped.get("message", "")] += 1
        else:
            is_bad = case.find("failure") is not None or case.find("error") is not None
            counts["failed" if is_bad else "passed"] += 1
    return dict(counts), dict(skips)


def read_versions(interpreter: Path) -> dict[str, str]:
    """Ask an environment for what it has."""
    ask = (
        "import json, platform, sys; from importlib.metadata import version\n"
        "names = json.loads(sys.argv[1])\n"
        "found = {column: version(name) for column, name in names.items()}\n"
        "print(json.dumps({'Python': platform.python_version(), **found}))"
    )
    answer = subprocess.run(
        [interpreter, "-c", ask, json.dumps(DISTRIBUTIONS)],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    return dict(json.loads(answer.stdout))


def table(outcomes: Iterable[Outcome]) -> str:
    """Lay out the outcomes in Markdown, and below them what was skipped, and why."""
    outcomes = list(outcomes)
    columns = ["Python", "ROS 2", *DISTRIBUTIONS, "tests", "passed", "failed", "skipped", "minutes"]
    lines = [columns, ["---"] * len(columns)]
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        cell, counts = outcome.cell, outcome.counts
        tests = ", ".join(f"`{folder}`" for folder in cell.tests) or "all"
        shown = [outcome.versions["Python"], cell.ros, *(outcome.versions[name] for name in DISTRIBUTIONS)]
        shown += [tests, *(str(counts[key]) for key in ("passed", "failed", "skipped"))]
        lines.append([*shown, f"{outcome.duration_s / 60:.1f}"])
        for reason, count in outcome.skips.items():
            reasons.setdefault(reason, []).append(f"{cell.name} ({count})")
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    skipped = "\n".join(f"- {reason}: {', '.join(cells)}" for reason, cells in sorted(reasons.items()))
    where = f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, {processor()}"
    return f"{where}, {os.cpu_count()} cores.\n\n{text}\n\nWhat was skipped, and why:\n\n{skipped}\n"


def processor() -> str:
    """Name the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def write_page(text: str) -> None:
    """Put the table where the page has its place for it."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    PAGE.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cells; return 0 where all passed, 1 where a test failed, 2 where a wanted cell can't be run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--uv", default="uv", help="the uv to install with")
    parser.add_argument("--torch", default="torch", help="what uv installs as torch, with its options")
    parser.add_argument(
        "--cells", default="", help=f"names of cells, or {OLDEST}; all whose Python is found by default"
    )
    parser.add_argument("options", nargs="*", help="further options of pytest, after --")
    given = parser.parse_args(arguments)
    names = given.cells.split()
    if names == [OLDEST]:
        names = [cell.name for cell in CELLS if find_python(cell.python)][:1]
    known = {cell.name for cell in CELLS}
    if set(names) - known:
        parser.error(f"expected cells of {', '.join(sorted(known))}; got {given.cells!r}")
    outcomes = []
    for cell in CELLS:
        if names and cell.name not in names:
            continue
        python = find_python(cell.python)
        if python is None:
            print(f"== {cell.name}: no Python {cell.python} found", flush=True)
            if names:
                return 2
            continue
        print(f"== {cell.name}: {python}, ROS 2 {cell.ros}", flush=True)
        set_up(cell, python, given.uv, given.torch.split())
        outcomes.append(run_tests(cell, given.options))
    text = table(outcomes)
    print(text)
    if len(outcomes) == len(CELLS):
        write_page(text)
    return int(any(outcome.counts["failed"] for outcome in outcomes) or not outcomes)


if __name__ == "__main__":
    sys.exit(main())
