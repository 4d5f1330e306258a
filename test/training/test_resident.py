"""Batches from views on the device: every source by its weight, and shards that come later."""

import dataclasses
import time

import numpy as np
import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.datasets import Source, StoredView
from e2e_depth_ros.training.recipe import AugmentationRecipe, DataRecipe, SizeRecipe, SourceRecipe
from e2e_depth_ros.training.resident import ResidentBatches, ResidentViews
from e2e_depth_ros.training.shards import Sample, write_shard

CPU = torch.device("cpu")
OFF = AugmentationRecipe.none()


def sample(depth_m, size=(48, 64)):
    image = np.full((*size, 3), int(20 * depth_m), np.uint8)
    normals = np.zeros((*size, 3), np.float32)
    normals[..., 2] = -1
    return Sample(image, np.full(size, depth_m, np.float32), normals, focal_px=50.0, kind="room", scene=1)


def recipe(tmp_path, **changes):
    sources = tuple(
        SourceRecipe(shards=str(tmp_path / f"{name}*.npz"), weight=w) for name, w in (("a", 3), ("b", 1))
    )
    settings = {"train": sources, "sizes": (SizeRecipe(32, 40), SizeRecipe(40, 24)), "batch_size": 16}
    return DataRecipe(resident=True, **{**settings, **changes})


def batches_of(data, seed=0, **options):
    sources = [Source(source) for source in data.train]
    return ResidentBatches(sources, data, OFF, seed, CPU, **options)


def draw_for(batches, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        next(batches)
        time.sleep(0.02)


def test_images_come_from_each_source_by_its_weight(tmp_path):
    write_shard(tmp_path / "a.npz", [sample(1.0), sample(1.0, (40, 80))])
    write_shard(tmp_path / "b.npz", [sample(5.0)])
    numbered = list(batches_of(recipe(tmp_path)).batches(2, 40))
    assert [number for number, _ in numbered] == list(range(2, 40))
    depths = torch.stack([batch.depth_m.amax(dim=(1, 2)) for _, batch in numbered])
    assert depths.shape == (38, 16)
    assert (depths < 2).float().mean().item() == pytest.approx(0.75, abs=0.06)
    # No source has a place of its own in the batch: losses may ask for the first images alone.
    assert (depths[:, :4] > 2).any()
    assert (depths[:, -4:] < 2).any()
    assert {tuple(batch.depth_m.shape[1:]) for _, batch in numbered} == {(32, 40), (40, 24)}
    for _, batch in numbered[:3]:
        torch.testing.assert_close(batch.images[:, 0], (20 * batch.depth_m).to(torch.uint8))
        assert torch.equal(batch.normals[:, 2], torch.full_like(batch.depth_m, -1))


def test_each_image_tells_whether_its_source_has_outlines(tmp_path):
    write_shard(tmp_path / "a.npz", [sample(1.0), sample(1.0, (40, 80))])
    write_shard(tmp_path / "b.npz", [sample(5.0)])
    plain = recipe(tmp_path)
    assert next(batches_of(plain).batches(0, 1))[1].has_outlines is None
    a, b = plain.train
    data = dataclasses.replace(plain, train=(a, dataclasses.replace(b, outlines=False)))
    for _, batch in batches_of(data).batches(0, 5):
        assert torch.equal(batch.has_outlines, batch.depth_m.amax(dim=(1, 2)) < 2)


def test_batches_depend_on_seed_and_number(tmp_path):
    write_shard(tmp_path / "a.npz", [sample(float(depth)) for depth in range(1, 9)])
    write_shard(tmp_path / "b.npz", [sample(10.0)])
    data = recipe(tmp_path)
    whole = dict(batches_of(data).batches(0, 6))
    resumed = dict(batches_of(data).batches(3, 6))
    assert all(torch.equal(whole[number].depth_m, batch.depth_m) for number, batch in resumed.items())
    other = dict(batches_of(data, seed=1).batches(0, 6))
    assert any(
        not torch.equal(batch.depth_m.mean(), whole[number].depth_m.mean()) for number, batch in other.items()
    )


def test_the_batches_of_a_step_have_one_size(tmp_path):
    write_shard(tmp_path / "a.npz", [sample(1.0)])
    write_shard(tmp_path / "b.npz", [sample(5.0)])
    sizes = [
        batch.depth_m.shape[1:] for _, batch in batches_of(recipe(tmp_path), accumulate=3).batches(0, 60)
    ]
    assert all(len(set(sizes[i : i + 3])) == 1 for i in range(0, 60, 3))
    assert len(set(sizes)) == 2


def test_shards_that_come_later_join_in(tmp_path):
    write_shard(tmp_path / "a.npz", [sample(1.0)])
    write_shard(tmp_path / "b.npz", [sample(5.0)])
    batches = batches_of(recipe(tmp_path, watch_seconds=0.05)).batches(0, 1 << 30)
    next(batches)
    write_shard(tmp_path / "a2.npz", [sample(3.0)] * 4)
    deadline = time.monotonic() + 20
    seen = set()
    while 3.0 not in seen and time.monotonic() < deadline:
        seen |= set(next(batches)[1].depth_m.amax(dim=(1, 2)).tolist())
        time.sleep(0.02)
    batches.close()
    assert seen == {1.0, 3.0, 5.0}


def test_a_broken_shard_that_comes_later_is_told(tmp_path):
    write_shard(tmp_path / "a.npz", [sample(1.0)])
    write_shard(tmp_path / "b.npz", [sample(5.0)])
    batches = batches_of(recipe(tmp_path, watch_seconds=0.05)).batches(0, 1 << 30)
    next(batches)
    (tmp_path / "b2.npz").write_bytes(b"no shard")
    with pytest.raises(InvalidInputError, match=r"b2\.npz"):
        draw_for(batches, seconds=20)


def test_views_of_several_sizes_stay_apart():
    views = ResidentViews(CPU)
    views.add([StoredView.from_sample(sample(1.0)), StoredView.from_sample(sample(2.0, (40, 80)))])
    views.add([StoredView.from_sample(sample(3.0, (40, 80)))])
    assert len(views) == 3
    parts = list(views.draw(64, np.random.default_rng(0)))
    assert sum(len(part.images) for part in parts) == 64
    shown = {
        tuple(part.depth_m.shape[1:]): set(part.depth_m.flatten(1).amax(dim=1).tolist()) for part in parts
    }
    assert shown == {(48, 64): {1.0}, (40, 80): {2.0, 3.0}}
