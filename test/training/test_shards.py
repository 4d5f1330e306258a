"""Shards give back what was written, and refuse what is not whole."""

import os
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training import shards
from e2e_depth_ros.training.shards import (
    Sample,
    ShardError,
    find_shards,
    glob_shards,
    read_shard,
    write_shard,
)


def make_sample(scene: int = 7, kind: str = "street", size: tuple[int, int] = (20, 34)) -> Sample:
    rng = np.random.default_rng(scene)
    height, width = size
    v, u = np.mgrid[:height, :width]
    image = np.stack([4 * u, 6 * v, 3 * (u + v)], axis=-1).astype(np.uint8)
    depth_m = np.exp(rng.uniform(np.log(0.06), np.log(600), size)).astype(np.float32)
    normals = rng.normal(size=(*size, 3))
    normals = (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)
    depth_m[:3], normals[:2] = 0, 0
    pose = np.eye(4)
    pose[:3, 3] = 1, 2, 3
    return Sample(image, depth_m, normals, 31.5, kind, scene, pose)


def test_round_trip_keeps_order_geometry_and_labels(tmp_path: Path) -> None:
    samples = [
        make_sample(1, "street"),
        make_sample(2, "room", (17, 40)),
        make_sample(3, "a rather long kind"),
    ]
    write_shard(tmp_path / "s.npz", samples)
    shard = read_shard(tmp_path / "s.npz")
    assert len(shard) == 3
    assert shard.scenes == {1, 2, 3}
    assert shard.kinds == {"street": 1, "room": 1, "a rather long kind": 1}
    for found, wanted in zip(shard, samples, strict=True):
        assert (found.kind, found.scene, found.focal_px) == (wanted.kind, wanted.scene, wanted.focal_px)
        np.testing.assert_array_equal(found.world_from_camera, wanted.world_from_camera)
        valid = wanted.depth_m > 0
        np.testing.assert_array_equal(found.depth_m > 0, valid)
        np.testing.assert_allclose(found.depth_m[valid], wanted.depth_m[valid], rtol=1e-4)
        known = np.abs(wanted.normals).sum(-1) > 0
        np.testing.assert_array_equal(np.abs(found.normals).sum(-1) > 0, known)
        cosine = (found.normals * wanted.normals).sum(-1)[known]
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.5
        np.testing.assert_allclose(np.linalg.norm(found.normals[known], axis=-1), 1, atol=1e-6)
        assert np.abs(found.image.astype(int) - wanted.image).mean() < 2.5


def test_colours_and_axes_are_not_swapped(tmp_path: Path) -> None:
    image = np.zeros((16, 24, 3), dtype=np.uint8)
    image[..., 0] = 250  # red
    normals = np.zeros((16, 24, 3), dtype=np.float32)
    normals[..., 2] = -1  # towards the camera
    write_shard(tmp_path / "s.npz", [Sample(image, np.ones((16, 24), np.float32), normals, 20.0, "room", 0)])
    found = read_shard(tmp_path / "s.npz")[-1]
    assert found.image[8, 12, 0] > 240
    assert found.image[8, 12, 2] < 10
    np.testing.assert_allclose(found.normals[8, 12], [0, 0, -1], atol=1e-6)
    assert found.world_from_camera is None


def test_depth_code_covers_its_range_and_drops_the_rest() -> None:
    depth_m = np.array([[0, 0.049, 0.05, 1, 655, 656]], dtype=np.float32)
    code = shards.code_from_depth(depth_m)
    assert code.tolist()[0][:3] == [0, 0, 1]
    assert code.tolist()[0][4:] == [65535, 0]
    np.testing.assert_allclose(shards.depth_from_code(code)[0, [2, 3, 4]], [0.05, 1, 655], rtol=1e-4)


def test_an_image_takes_about_thirty_kilobytes(tmp_path: Path) -> None:
    v, u = np.mgrid[:144, :192].astype(np.float32)
    depth_m = (2 + np.sin(u / 9) + v / 50).astype(np.float32)
    normals = np.stack([np.sin(u / 9), np.cos(v / 7), -np.ones_like(u)], axis=-1)
    normals = (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)
    image = np.random.default_rng(0).integers(90, 160, (144, 192, 3)).astype(np.uint8)
    write_shard(tmp_path / "s.npz", [Sample(image, depth_m, normals, 150.0, "room", 1)] * 10)
    assert (tmp_path / "s.npz").stat().st_size / 10 < 100_000


@pytest.mark.parametrize("keep", [0, 10, 1000, -1000, -1])
def test_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "s.npz"
    write_shard(path, [make_sample()])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ShardError, match=r"s\.npz"):
        read_shard(path)


def test_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    write_shard(path, [make_sample()])
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ShardError, match="whole shard"):
        read_shard(path)


def test_foreign_archive_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", image=np.zeros(3))
    with pytest.raises(ShardError, match=r"expected an array 'format'.*got image"):
        read_shard(tmp_path / "other.npz")
    np.save(tmp_path / "array.npz.npy", np.zeros(3))
    (tmp_path / "array.npz.npy").rename(tmp_path / "array.npz")
    with pytest.raises(ShardError):
        read_shard(tmp_path / "array.npz")


def test_pickled_content_is_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", format=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ShardError):
        read_shard(tmp_path / "s.npz")


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    broken = make_sample()
    broken.depth_m[5, 5] = np.nan
    with pytest.raises(InvalidInputError, match="NaN in sample 1"):
        write_shard(tmp_path / "s.npz", [make_sample(), broken])
    with pytest.raises(InvalidInputError, match="1 to 1000 samples"):
        write_shard(tmp_path / "s.npz", [])
    assert list(tmp_path.iterdir()) == []


def test_sample_names_expected_and_actual() -> None:
    good = make_sample()
    with pytest.raises(InvalidInputError, match=r"depth_m of shape \(20, 34\) and float32, got \(34, 20\)"):
        Sample(good.image, good.depth_m.T, good.normals, 31.5, "room", 1)
    with pytest.raises(InvalidInputError, match="got 0"):
        Sample(good.image, good.depth_m, good.normals, 0.0, "room", 1)


def test_find_shards_sorts_and_names_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="found none"):
        find_shards(tmp_path)
    for name in ("b.npz", "a.npz", ".a.npz.12"):
        (tmp_path / name).touch()
    assert [path.name for path in find_shards(tmp_path)] == ["a.npz", "b.npz"]


def test_glob_reaches_folders_below_and_sorts(tmp_path: Path) -> None:
    for name in ("b/deep/er/2.npz", "b/1.npz", "a/3.npz", "a/note.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = glob_shards(str(tmp_path / "**" / "*.npz"))
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a/3.npz",
        "b/1.npz",
        "b/deep/er/2.npz",
    ]
    assert glob_shards(str(tmp_path / "c" / "*.npz")) == []


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("focal_px", lambda old: old[:0], "1 to 1000 samples"),
        ("focal_px", lambda old: np.repeat(old, 2000), "1 to 1000 samples"),
        ("focal_px", lambda old: old[:, None], r"focal_px of shape \(2,\).*got float64 of shape \(2, 1\)"),
        ("world_from_camera", lambda old: old[:, :3], r"world_from_camera of shape \(2, 4, 4\)"),
        ("image_bytes", lambda old: old.astype(np.float32), "image_bytes .*got float32"),
        ("depth_ends", lambda old: old[::-1], "depth_bytes"),
        ("depth_ends", lambda old: old + np.array([2**40, 0]), "depth_ends in ascending order"),
        ("kind", lambda old: old + 9, "kinds 0 to 0"),
        ("kind", lambda old: old.astype(np.int8) - 1, "kinds 0 to 0"),
        ("kind_names", lambda old: old.astype("S"), "kind_names"),
        ("scene", lambda old: old.astype(np.float64), "scene .*got float64"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path: Path, name, change, message) -> None:
    write_shard(tmp_path / "s.npz", [make_sample(), make_sample()])
    with np.load(tmp_path / "s.npz") as archive:
        arrays = dict(archive)
    arrays[name] = change(arrays[name])
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(ShardError, match=message):
        read_shard(tmp_path / "s.npz")


def test_a_named_pipe_is_no_shard(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s.npz")
    with pytest.raises(ShardError, match="named pipe"):
        read_shard(tmp_path / "s.npz")
