"""Lists of TUM RGB-D are read line by line, and name nothing outside of their folder."""

from pathlib import Path

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.tum_rgbd import read_list


def test_stamps_and_files_come_in_the_list_s_order(tmp_path: Path) -> None:
    path = tmp_path / "rgb.txt"
    path.write_text("# color images\n\n1.5 rgb/b.png\n  0.25   rgb/a c.png \n")
    assert read_list(path) == [(1.5, "rgb/b.png"), (0.25, "rgb/a c.png")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("now rgb/a.png", "expected lines of stamp and file in .*rgb.txt, got 'now"),
        ("1.0", "expected a path below"),
        ("1.0 /etc/passwd", "expected a path below .*passwd"),
        ("1.0 rgb/../../a.png", "expected a path below"),
    ],
)
def test_other_lines_are_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rgb.txt"
    path.write_text(f"0.5 rgb/a.png\n{line}\n")
    with pytest.raises(InvalidInputError, match=message):
        read_list(path)
