"""Shards to batches: the right numbers, drawn the same way each time."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.datasets import Source, StoredView, TrainingBatches, training_batches
from e2e_depth_ros.training.recipe import AugmentationRecipe, DataRecipe, SizeRecipe, SourceRecipe
from e2e_depth_ros.training.shards import Sample, write_shard

SIZE = (24, 40)


def sample(value, size=SIZE, depth_m=2.0):
    normals = np.zeros((*size, 3), np.float32)
    normals[..., 2] = -1
    normals[:3] = 0
    depth = np.full(size, depth_m, np.float32)
    depth[:3] = 0
    image = np.full((*size, 3), value, np.uint8)
    return Sample(image, depth, normals, focal_px=30.0, kind="room", scene=value)


def write(path, values, **options):
    path.parent.mkdir(exist_ok=True, parents=True)
    write_shard(path, [sample(value, **options) for value in values])


def recipe(*sources, **options):
    options = {"sizes": (SizeRecipe(16, 32),), "batch_size": 3, "workers": 0, **options}
    return DataRecipe(train=sources, **options)


def batches(data, augmentation=None, seed=1, count=10, accumulate=1):
    sources = [Source(source) for source in data.train]
    return TrainingBatches(sources, data, augmentation or AugmentationRecipe.none(), seed, count, accumulate)


def assert_same(one, other):
    assert one.domain == other.domain
    for a, b in zip(one[:3], other[:3], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_batch_holds_image_depth_and_normals(tmp_path):
    write(tmp_path / "a.npz", [100], depth_m=3.7)
    sizes = (SizeRecipe(12, 20),)  # the same aspect: nothing is cut off
    batch = batches(recipe(SourceRecipe(str(tmp_path / "*.npz")), sizes=sizes))[0]
    assert (batch.images.shape, batch.images.dtype) == ((3, 3, 12, 20), torch.uint8)
    assert (batch.depth_m.shape, batch.depth_m.dtype) == ((3, 12, 20), torch.float32)
    assert (batch.normals.shape, batch.normals.dtype) == ((3, 3, 12, 20), torch.float32)
    known = batch.depth_m > 0
    assert batch.depth_m[known].numpy() == pytest.approx(3.7, rel=1e-3)
    assert not known[:, 0].any()
    assert (batch.normals[:, 2][known] == -1).all()
    assert (batch.normals[:, :, 0] == 0).all()


def test_stored_views_keep_precision():
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(*SIZE, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[4, 5] = 0
    depth = np.exp(rng.uniform(np.log(0.05), np.log(655), SIZE)).astype(np.float32)
    depth[4, 5] = 0
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    full = Sample(image, depth, normals.astype(np.float32), 30.0, "room", 1)
    view = StoredView.from_sample(full).unpacked()
    np.testing.assert_allclose(view.depth_m, depth, rtol=5e-4)
    np.testing.assert_array_equal(view.normals[4, 5], 0)
    angle = np.degrees(np.arccos((view.normals * normals).sum(-1).clip(-1, 1)))
    assert np.delete(angle.ravel(), 4 * SIZE[1] + 5).max() < 0.5


def test_batch_depends_on_seed_and_step_alone(tmp_path):
    write(tmp_path / "a.npz", range(0, 200, 20))
    data = recipe(SourceRecipe(str(tmp_path / "*.npz")))
    one, other = batches(data, AugmentationRecipe()), batches(data, AugmentationRecipe())
    assert_same(one[7], other[7])  # whatever was drawn before
    one[3]
    assert_same(one[7], other[7])
    assert not torch.equal(one[7].images, one[8].images)
    assert not torch.equal(one[7].images, batches(data, AugmentationRecipe(), seed=2)[7].images)
    assert len({image.sum().item() for image in one[7].images}) > 1


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(tmp_path, workers):
    write(tmp_path / "a.npz", range(0, 200, 20))
    all_batches = batches(recipe(SourceRecipe(str(tmp_path / "*.npz"))), AugmentationRecipe(), count=6)
    drawn = list(training_batches(all_batches, first=2, workers=workers))
    assert [number for number, _ in drawn] == [2, 3, 4, 5]
    for number, batch in drawn:
        assert_same(batch, all_batches[number])


def test_processes_share_the_batches(tmp_path):
    write(tmp_path / "a.npz", range(0, 200, 20))
    all_batches = batches(recipe(SourceRecipe(str(tmp_path / "*.npz"))), AugmentationRecipe(), count=9)
    shares = [list(training_batches(all_batches, first=3 + i, workers=0, every=2)) for i in range(2)]
    assert [[number for number, _ in share] for share in shares] == [[3, 5, 7], [4, 6, 8]]
    for number, batch in shares[1]:
        assert_same(batch, all_batches[number])


def test_batches_tell_their_kind_of_scene(tmp_path):
    write(tmp_path / "in" / "a.npz", [10, 20])
    write(tmp_path / "out" / "a.npz", [200, 210])
    sources = [
        SourceRecipe(str(tmp_path / "in" / "*.npz")),
        SourceRecipe(str(tmp_path / "out" / "*.npz"), domain="outdoor"),
    ]
    drawn = batches(recipe(*sources, one_source_per_batch=True), AugmentationRecipe.none(), count=20)
    found = {(drawn[k].domain, bool(drawn[k].images.float().mean() > 100)) for k in range(20)}
    assert found == {("indoor", False), ("outdoor", True)}
    assert SourceRecipe(virtual_kitti="v").scene_domain == "outdoor"
    assert SourceRecipe(hypersim="h").scene_domain == "indoor"


def test_each_image_tells_whether_its_source_has_outlines(tmp_path):
    write(tmp_path / "a.npz", [10])
    write(tmp_path / "b.npz", [200])
    a, b = (SourceRecipe(str(tmp_path / f"{name}.npz")) for name in "ab")
    assert batches(recipe(a, b))[0].has_outlines is None
    drawn = batches(recipe(a, dataclasses.replace(b, outlines=False)), count=6)
    seen = [drawn[number] for number in range(6)]
    assert {outlines.item() for batch in seen for outlines in batch.has_outlines} == {True, False}
    for batch in seen:
        assert torch.equal(batch.has_outlines, batch.images.amax(dim=(1, 2, 3)) < 100)
    moved = seen[0].to(torch.device("meta"))
    assert moved.has_outlines.device.type == "meta"


def test_sources_are_drawn_by_weight(tmp_path):
    write(tmp_path / "many" / "a.npz", [0] * 9)
    write(tmp_path / "few" / "a.npz", [255])
    data = recipe(
        SourceRecipe(str(tmp_path / "many" / "*.npz"), weight=1),
        SourceRecipe(str(tmp_path / "few" / "*.npz"), weight=3),
        batch_size=10,
    )
    drawn = batches(data, count=60)
    bright = np.mean(
        [(drawn[step].images.float().mean((1, 2, 3)) > 128).float().mean() for step in range(60)]
    )
    assert bright == pytest.approx(0.75, abs=0.06)


def test_sizes_are_drawn_by_weight_one_for_a_batch(tmp_path):
    write(tmp_path / "a.npz", [1, 2])
    sizes = (SizeRecipe(16, 32, 3), SizeRecipe(24, 16, 1))
    drawn = batches(recipe(SourceRecipe(str(tmp_path / "*.npz")), sizes=sizes), count=300)
    heights = [drawn[step].images.shape[2] for step in range(300)]
    assert np.mean(np.array(heights) == 16) == pytest.approx(0.75, abs=0.08)


def test_batches_of_a_step_have_one_size_and_other_images(tmp_path):
    write(tmp_path / "a.npz", range(0, 250, 10))
    sizes = (SizeRecipe(16, 32), SizeRecipe(24, 16))
    drawn = batches(
        recipe(SourceRecipe(str(tmp_path / "*.npz")), sizes=sizes, batch_size=6), count=60, accumulate=3
    )
    steps = [[drawn[3 * step + index] for index in range(3)] for step in range(20)]
    chosen = [{tuple(batch.images.shape[2:]) for batch in step} for step in steps]
    assert all(len(one) == 1 for one in chosen)
    assert len(set.union(*chosen)) == 2
    assert all(not torch.equal(step[0].images, other.images) for step in steps for other in step[1:])


def test_limit_and_contents(tmp_path):
    write(tmp_path / "a.npz", [1, 2, 3])
    write(tmp_path / "b.npz", [4, 5, 6])
    glob = str(tmp_path / "*.npz")
    assert Source(SourceRecipe(glob)).contents == {"a.npz": 3, "b.npz": 3}
    limited = Source(SourceRecipe(glob, limit=4))
    assert limited.contents == {"a.npz": 3, "b.npz": 1}
    assert len(limited) == 4


def test_missing_and_broken_shards_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="found none"):
        Source(SourceRecipe(str(tmp_path / "*.npz")))
    Path(tmp_path / "a.npz").write_bytes(b"not a shard")
    with pytest.raises(InvalidInputError, match=r"a\.npz"):
        Source(SourceRecipe(str(tmp_path / "*.npz")))
