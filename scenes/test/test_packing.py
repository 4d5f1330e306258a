"""Filters count what they drop; a continued folder goes on where it was."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.training.shards import Sample, read_shard
from e2e_depth_scenes.packing import Packer, contact_sheet, fault_of


def make_sample(scene: int = 1, kind: str = "room") -> Sample:
    v, u = np.mgrid[:24, :40]
    image = np.stack([5 * u + 20, 8 * v + 20, 3 * (u + v)], axis=-1).astype(np.uint8)
    depth_m = (1 + 0.1 * v + 0.02 * u).astype(np.float32)
    normals = np.zeros((24, 40, 3), dtype=np.float32)
    normals[..., 2] = -1
    return Sample(image, depth_m, normals, 35.0, kind, scene)


def changed(**fields: object) -> Sample:
    return dataclasses.replace(make_sample(), **fields)


def test_a_good_image_has_no_fault() -> None:
    assert fault_of(make_sample()) is None


@pytest.mark.parametrize(
    ("sample", "fault"),
    [
        (
            changed(
                depth_m=np.where(np.arange(40) < 10, 2, 0).repeat(24).reshape(40, 24).T.astype("f4").copy()
            ),
            "little depth",
        ),
        (changed(depth_m=make_sample().depth_m * 0.2), "too near"),
        (changed(depth_m=np.full((24, 40), 3, np.float32)), "no relief"),
        (changed(image=np.full((24, 40, 3), 4, np.uint8)), "black"),
        (changed(image=np.full((24, 40, 3), 255, np.uint8)), "white"),
        (changed(image=np.full((24, 40, 3), 90, np.uint8)), "blank"),
    ],
)
def test_faults(sample: Sample, fault: str) -> None:
    assert fault_of(sample) == fault


def test_a_tabletop_may_be_near() -> None:
    near = make_sample().depth_m * np.float32(0.2)
    assert fault_of(changed(depth_m=near, kind="tabletop")) is None


def test_packer_counts_writes_and_continues(tmp_path: Path) -> None:
    packer = Packer(tmp_path, shard_size=2)
    black = changed(image=np.zeros((24, 40, 3), np.uint8))
    for scene in range(3):
        packer.add(make_sample(scene))
    packer.add(black)
    assert packer.images == 3
    packer.flush()
    found = json.loads((tmp_path / "statistics.json").read_text())
    assert found["images"] == 3
    assert found["shards"] == 2
    assert found["kinds"] == {"room": 3}
    assert found["dropped"] == {"room: black": 1}
    assert found["depth_percentiles_m"]["50"] == pytest.approx(2.5, rel=0.1)

    again = Packer(tmp_path, shard_size=2)
    assert again.images == 3
    assert again.packed_scenes == {0, 1, 2}
    assert again.statistics() == found
    again.add(make_sample(9, "street"))
    again.flush()
    assert [path.name for path in sorted(tmp_path.glob("*.npz"))] == [f"shard-0000{i}.npz" for i in range(3)]
    assert read_shard(tmp_path / "shard-00002.npz")[0].kind == "street"


def test_a_stop_between_shard_and_statistics_loses_no_count(tmp_path: Path) -> None:
    packer = Packer(tmp_path, shard_size=1)
    packer.add(make_sample(1))
    before = (tmp_path / "statistics.json").read_text()
    packer.add(make_sample(2))
    after = packer.statistics()
    (tmp_path / "statistics.json").write_text(before)
    found = Packer(tmp_path, shard_size=1).statistics()
    assert sum(found.pop("depth_histogram")) == sum(after.pop("depth_histogram"))
    assert found == after


def test_contact_sheet_shows_image_depth_and_normals_side_by_side() -> None:
    sample = make_sample()
    sheet = contact_sheet([sample] * 4)
    assert sheet.shape == (2 * 24, 3 * 3 * 40, 3)
    np.testing.assert_array_equal(sheet[:24, :40], sample.image)
    near, far = sheet[0, 40].astype(int), sheet[23, 79].astype(int)
    assert near[0] > near[2]  # warm
    assert far[2] > far[0]  # cold
    assert sheet[5, 90].tolist() == [128, 128, 255]  # towards the camera
    assert sheet[24 + 5, 3 * 40 + 5].tolist() == [0, 0, 0]  # an empty cell
