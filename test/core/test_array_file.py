"""NumPy's files are read as they are written; headers that lie cost neither memory nor a crash."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.core.array_file import npy_from_bytes, read_npy, read_npz
from e2e_depth_ros.core.errors import InvalidInputError


def _npy(header: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header.encode() + b"\n"
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + data


def _header(descr: str = "'<f4'", shape: str = "(2,)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        np.array("text"),
        np.zeros((0, 3)),
        np.array(2.5),
        np.zeros(2, [("x", "f4"), ("y", "i8")]),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_what_numpy_writes(tmp_path: Path, array: np.ndarray, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", array=array, other=np.ones(3))
    np.save(tmp_path / "a.npy", array)
    for found in (read_npz(tmp_path / "a.npz", ["array"])["array"], read_npy(tmp_path / "a.npy")):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
        assert found.flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic"),
        (b"PK\3\4", "magic"),
        (_npy(_header(shape="(1000000000, 3)"), b"12345678"), "expected 12000000000 bytes .*, got 8"),
        (_npy(_header(shape="(2**62,)")), "cannot read"),
        (_npy(_header(shape=f"({2**62},)")), f"expected {2**64} bytes"),
        (_npy(_header(shape="(-2,)"), b"12345678"), "of shape"),
        (_npy(_header(shape="(-1, -2)"), b"12345678"), "of shape"),
        (_npy(_header(shape="(1,)"), b"12345678"), "expected 4 bytes .* got 8"),
        (_npy(_header("'|O'"), b"12345678"), "expected plain values, got object"),
        (_npy(_header("[('a', 'O')]"), b"12345678"), "expected plain values"),
        (_npy(_header("'|V0'", f"({10**12},)")), "expected plain values"),
        (_npy(_header("'no such'"), b"12345678"), "cannot read"),
        (_npy("[" * 5000, b"12345678"), "cannot read"),
        (_npy("[" * 60000, b"12345678", b"\2\0"), "cannot read"),
        (_npy("__import__('os')", b""), "cannot read"),
        (_npy(_header(), b"12345678", b"\3\0"), r"version 1.0 or 2.0 .* got \(3, 0\)"),
        (b"\x93NUMPY\2\0\xff\xff\xff\xff{", "cannot read"),
    ],
    ids=range(17),
)
def test_refuses_what_its_header_does_not_describe(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        read_npy(path)
    with pytest.raises(InvalidInputError, match=message):
        npy_from_bytes(content, "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("array.npy", content)
    with pytest.raises(InvalidInputError, match=message) as refusal:
        read_npz(tmp_path / "a.npz", ["array"])
    assert "'array' in " in str(refusal.value)


def test_refuses_archives_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.ones(1000))
    whole = path.read_bytes()
    with pytest.raises(InvalidInputError, match=r"expected an array 'b' in .*, got a"):
        read_npz(path, ["b"])
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_npz(path, ["a"])
    path.write_bytes(whole.replace(b"\xf0\x3f", b"\xf0\x40", 1))  # another number, same CRC
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_npz(path, ["a"])
    array = io.BytesIO()
    np.save(array, np.ones(3))
    for names, packing, message in (
        (["a.npy", "a.npy"], zipfile.ZIP_STORED, "one array 'a' in .*, got several"),
        (["a.npy"], zipfile.ZIP_LZMA, "stored or deflated"),
    ):
        with zipfile.ZipFile(path, "w", packing) as archive:
            for name in names:
                archive.writestr(name, array.getvalue())
        with pytest.raises(InvalidInputError, match=message):
            read_npz(path, ["a"])


def test_a_bomb_is_refused_without_the_memory(
    tmp_path: Path, run_within_memory: Callable[..., object]
) -> None:
    """Deflated zeros: 1 MB on the disk, 805 MB unpacked. What is not wanted is not unpacked."""
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("depth.npy", "beside.npy"):
            with archive.open(name, "w", force_zip64=True) as member:
                shape = 3 << 26
                member.write(_npy(_header(shape=f"({shape},)")))
                zeros = bytes(1 << 24)
                for _ in range(4 * shape // len(zeros) if name == "depth.npy" else 1):
                    member.write(zeros)
        small = io.BytesIO()
        np.save(small, np.ones(3))
        archive.writestr("small.npy", small.getvalue())
    assert (tmp_path / "bomb.npz").stat().st_size < 1 << 23
    done = run_within_memory(
        "from pathlib import Path\nfrom e2e_depth_ros.core.array_file import read_npz",
        """
for name in ("depth", "beside", "small"):
    try: print(read_npz(Path(sys.argv[1]), [name])[name])
    except ValueError as error: print(error)
""",
        tmp_path / "bomb.npz",
        more_mb=50,
    )
    assert done.returncode == 0, done.stderr
    depth, beside, values = done.stdout.splitlines()
    assert "expected up to 536870912 bytes, got 805306368: float32" in depth
    assert "expected 805306368 bytes" in beside
    assert values == "[1. 1. 1.]"
