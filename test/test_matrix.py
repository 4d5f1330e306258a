"""`make matrix` counts what really happened, and refuses what it does not know."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

import matrix

SUITE = """
import pytest

def test_passes(): pass
def test_fails(): assert False
def test_stumbles(missing_fixture): pass
def test_skips(): pytest.skip("no camera")
@pytest.mark.skip(reason="no camera")
def test_skips_too(): pass
"""
MARKS = ("<!-- matrix -->\n", "<!-- /matrix -->")


@pytest.fixture
def report(tmp_path):
    """What pytest itself writes of a suite of all kinds."""
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    path = tmp_path / "junit.xml"
    options = ["-q", "-p", "no:cacheprovider", f"--junitxml={path}", "--rootdir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pytest", *options, tmp_path], cwd=tmp_path, check=False)
    return path


def outcome(report, name="3.10-lowest"):
    (cell,) = (cell for cell in matrix.CELLS if cell.name == name)
    versions = dict.fromkeys(["Python", *matrix.DISTRIBUTIONS], "1.2")
    return matrix.Outcome(cell, versions, *matrix.read_report(report), duration_s=90.0)


def test_report_is_counted(report):
    counts, skips = matrix.read_report(report)
    assert counts == {"passed": 1, "failed": 2, "skipped": 2}
    assert skips == {"no camera": 2}


def test_suite_that_left_no_report_failed(tmp_path):
    assert matrix.read_report(tmp_path / "junit.xml")[0]["failed"] == 1


def test_table_tells_counts_and_reasons(report):
    text = matrix.table([outcome(report), outcome(report, "3.12-jazzy")])
    lowest, jazzy = (line for line in text.splitlines() if line.startswith("| 1.2"))
    assert lowest.endswith("| all | 1 | 2 | 2 | 1.5 |")
    assert "| jazzy |" in jazzy
    assert "`test/ros`" in jazzy
    assert "- no camera: 3.10-lowest (2), 3.12-jazzy (2)" in text


def test_table_goes_where_the_page_has_its_place(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKS[0]}old\n{MARKS[1]}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(matrix, "PAGE", page)
    matrix.write_page("new\n")
    assert page.read_text(encoding="utf-8") == f"before\n{MARKS[0]}new\n{MARKS[1]}\nafter\n"


def test_this_python_is_found_and_another_is_not():
    version = ".".join(platform.python_version_tuple()[:2])
    found = matrix.find_python(version)
    if found is not None:  # a virtual environment may be the only place that has this version
        answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
        assert answer.stdout.startswith(f"Python {version}.")
    assert matrix.find_python("2.99") is None


def test_unknown_cells_are_refused(capsys):
    with pytest.raises(SystemExit):
        matrix.main(["--cells", "3.99"])
    assert "3.99" in capsys.readouterr().err


def test_every_promised_python_has_a_cell():
    classifiers = subprocess.run(
        [sys.executable, "setup.py", "--classifiers"],
        cwd=matrix.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    promised = {line.rpartition(" ")[2] for line in classifiers.splitlines() if ":: 3." in line}
    assert promised == {cell.python for cell in matrix.CELLS}
