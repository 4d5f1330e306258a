"""YAML is read as it looks; what stands for more than it looks is refused on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.yaml_file import MAX_NODES, load_yaml


def _written(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _laughs(line: str) -> str:
    """Nine lines, each of ten times the one before: a billion values."""
    lines = [line]
    for below, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]")
    return "\n".join(lines)


def test_reads_what_safe_load_reads(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: [2.5, true, ~]}\nmore: {<<: *base, c: 'x'}\nagain: [*base, *base]\n"
    assert load_yaml(_written(tmp_path, text)) == yaml.safe_load(text)
    assert load_yaml(_written(tmp_path, "")) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "more than 32 nested levels"),
        ("{" * 100_000, "more than 32 nested levels"),
        ("- " * 100_000, "more than 32 nested levels"),
        ("? " * 100_000, "more than 32 nested levels"),
        (_laughs("a: &a [x, x, x, x, x, x, x, x, x, x]"), "more than 10000 values"),
        (_laughs("a: &a {k: 1}").replace("[", "{<<: [").replace("]", "]}"), "more than 10000 values"),
        ("[" + "1," * (MAX_NODES + 1) + "]", "more than 10000 values"),
        ("a: 1" + ":1" * 50_000, "more than 100 characters in a value"),  # to the base of 60
        ("a: " + "9" * 400, "more than 100 characters in a value"),  # no float holds it
        ("a: " + "b" * 5_000, "more than 2000 characters in a value"),
        ("#" * 300_000, "up to 262144 bytes"),
        ("&a [*a]", "an alias inside of what it stands for in line 1"),
        ("a: 1\nb: 2\na: 3", "the key 'a' twice in line 3"),
        ("[*a]", "undefined alias 'a' in line 1"),
        ("a: 2001-99-99", "cannot read a value of .*month"),
        ("!!int x", "cannot read a value"),
        ("!!timestamp x", "cannot read a value"),
        ("!!bool x", "cannot read a value"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("{[1]: 2}", "unhashable key"),
        ("a\0b", "special characters"),
        (b"\xff", "as text"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_refuses_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as refusal:
        load_yaml(_written(tmp_path, text))
    assert "\n" not in str(refusal.value)
    assert "file.yaml" in str(refusal.value)


def test_a_bomb_takes_no_memory(tmp_path: Path, run_within_memory: Callable[..., object]) -> None:
    path = _written(tmp_path, _laughs("a: &a [x, x, x, x, x, x, x, x, x, x]"))
    done = run_within_memory(
        "from pathlib import Path\nfrom e2e_depth_ros.core.yaml_file import load_yaml",
        "try: load_yaml(Path(sys.argv[1]))\nexcept ValueError as error: print(error)",
        path,
        more_mb=30,
    )
    assert "more than 10000 values" in done.stdout


_SIGNS = st.sampled_from([*"[]{}:,-?&*!|>'\"%@`#~= \n\t0a.", "- ", ": ", "<<: ", "&a ", "*a", "!!int ", "0x"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(_SIGNS, max_size=30).map("".join))
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        load_yaml(_written(tmp_path, text))
