import os
import struct
import tarfile
import zipfile

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.evaluation.protocols.tree import DataTree


@pytest.fixture
def folder(tmp_path):
    for name, content in (("a/b/one.png", b"1"), ("two.npy", b"22")):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "data"


def archives(folder):
    with tarfile.open(folder.parent / "data.tar", "w") as tar:
        tar.add(folder, arcname=".")  # as published: names begin with "./"
    with zipfile.ZipFile(folder.parent / "data.zip", "w") as packed:
        for path in folder.rglob("*"):
            packed.write(path, path.relative_to(folder))
    return folder.parent / "data.tar", folder.parent / "data.zip"


def test_folder_and_archives_read_alike(folder):
    for path in (folder, *archives(folder)):
        tree = DataTree(path)
        assert tree.names == {"a/b/one.png", "two.npy"}
        assert (tree.read("a/b/one.png"), tree.read("two.npy")) == (b"1", b"22")
        with pytest.raises(InvalidInputError, match="three"):
            tree.read("three")
        tree.close()


def test_what_is_no_data_set_is_refused(folder):
    with tarfile.open(folder.parent / "data.tar.gz", "w:gz") as tar:
        tar.add(folder, arcname=".")
    with pytest.raises(InvalidInputError, match="uncompressed"):
        DataTree(folder.parent / "data.tar.gz")
    with pytest.raises(InvalidInputError, match="uncompressed"):
        DataTree(folder / "two.npy")
    with pytest.raises(InvalidInputError, match="neither"):
        DataTree(folder / "nowhere")


def test_a_file_that_goes_away_is_told(folder):
    tree = DataTree(folder)
    (folder / "two.npy").unlink()
    with pytest.raises(InvalidInputError, match="cannot read two"):
        tree.read("two.npy")


def test_a_named_pipe_in_a_data_set_is_told(folder):
    os.mkfifo(folder / "three.png")
    tree = DataTree(folder)
    with pytest.raises(InvalidInputError, match=r"cannot read three.*named pipe"):
        tree.read("three.png")


def test_a_bomb_in_an_archive_is_not_unpacked(folder):
    """Its entry claims a gigabyte, as one would that unpacks to it."""
    with zipfile.ZipFile(folder.parent / "data.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb.npy", bytes(1000))
    content = (folder.parent / "data.zip").read_bytes()
    (folder.parent / "data.zip").write_bytes(
        content.replace(struct.pack("<I", 1000), struct.pack("<I", 1 << 30))
    )
    with pytest.raises(InvalidInputError, match="up to 536870912 bytes unpacked, got 1073741824"):
        DataTree(folder.parent / "data.zip").read("bomb.npy")
