"""Batches from views that stay on the device that trains: for GPUs, which wait for anything else.

All images of the sources lie on the device, 8 bytes a pixel: 10,000 of 144 x 192 are 2.2 GB. Batches are
drawn and varied there. Where the recipe says so, shards that appear while the training runs join in.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from e2e_depth_ros.core.errors import E2EDepthError
from e2e_depth_ros.training.batch_augmentation import BatchAugmentation
from e2e_depth_ros.training.datasets import Batch, Source, StoredView, draw_size, outlines_of, shares
from e2e_depth_ros.training.recipe import AugmentationRecipe, DataRecipe


class ResidentViews:
    """Views on a device, stacked by their size.

    Args:
        device: Where they stay.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stacks: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return sum(len(images) for images, _, _ in self._stacks.values())

    def add(self, views: Sequence[StoredView]) -> None:
        """Take in more views."""
        for size in {view.depth_m.shape for view in views}:
            alike = [view for view in views if view.depth_m.shape == size]
            new = tuple(
                torch.from_numpy(np.stack(arrays)).to(self._device)
                for arrays in (
                    [view.image.transpose(2, 0, 1) for view in alike],
                    [view.depth_m for view in alike],
                    [view.normals.transpose(2, 0, 1) for view in alike],
                )
            )
            old = self._stacks.get(size)
            images, depth_m, normals = (
                new if old is None else (torch.cat(pair) for pair in zip(old, new, strict=True))
            )
            self._stacks[size] = (images, depth_m, normals)

    def draw(self, count: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield as many views, drawn with equal chances, in one batch for each size among them."""
        chosen = rng.integers(len(self), size=count)
        begin = 0
        for images, depth_m, normals in self._stacks.values():
            inside = chosen[(chosen >= begin) & (chosen < begin + len(images))] - begin
            begin += len(images)
            if len(inside):
                rows = torch.from_numpy(inside).to(self._device)
                unit = torch.nn.functional.normalize(normals[rows].float(), dim=1)
                yield Batch(images[rows], depth_m[rows].float(), unit)


class ResidentBatches:
    """The batches of a run; each has one size, and each image comes from a source drawn by weight.

    Args:
        sources: Of shards.
        recipe: Sizes and batch size.
        augmentation: What varies.
        seed: Of everything random. What joins in later, and when, is not in its power.
        device: Where the views stay.
        accumulate: How many batches make an optimiser step, which are of one size.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        recipe: DataRecipe,
        augmentation: AugmentationRecipe,
        seed: int,
        device: torch.device,
        accumulate: int = 1,
    ) -> None:
        self._accumulate = accumulate
        self._recipe = recipe
        self._augmentation = augmentation
        self._seed = seed
        self._device = device
        self._source_shares = shares([source.weight for source in sources])
        self._sources = sources
        self._views = [ResidentViews(device) for _ in sources]
        for views, source in zip(self._views, sources, strict=True):
            views.add(source.stored)
        self._arrivals = _Arrivals(sources, recipe.watch_seconds) if recipe.watch_seconds else None

    def batches(self, first: int, count: int, every: int = 1) -> Generator[tuple[int, Batch]]:
        """Yield batches with their numbers.

        Args:
            first: Number of the first.
            count: One more than the last number of the run.
            every: How many numbers the next is on.
        """
        try:
            for number in range(first, count, every):
                if self._arrivals:
                    for index, views in self._arrivals.take():
                        self._views[index].add(views)
                yield number, self._batch(number)
        finally:
            if self._arrivals:
                self._arrivals.stop()

    def _batch(self, number: int) -> Batch:
        _, size = draw_size(self._recipe, self._seed, number - number % self._accumulate)
        rng = np.random.default_rng((self._seed, number))
        augment = BatchAugmentation(self._augmentation, self._device, int(rng.integers(1 << 62)))
        counts = rng.multinomial(self._recipe.batch_size, self._source_shares)
        parts = [
            augment(part, size)
            for views, count in zip(self._views, counts, strict=True)
            for part in views.draw(int(count), rng)
        ]
        # Losses may ask for a share of the first images: they must not all be of one source.
        order = rng.permutation(self._recipe.batch_size)
        drawn = [self._sources[index] for index in np.repeat(np.arange(len(counts)), counts)[order]]
        rows = torch.from_numpy(order).to(self._device)
        return Batch(
            images=torch.cat([part.images for part in parts])[rows],
            depth_m=torch.cat([part.depth_m for part in parts])[rows],
            normals=torch.cat([part.normals for part in parts])[rows],
            has_outlines=outlines_of(drawn, self._sources),
        ).to(self._device)


class _Arrivals:
    """Reads shards that appear, in a thread: the device goes on meanwhile."""

    def __init__(self, sources: Sequence[Source], seconds: float) -> None:
        self._sources = sources
        self._seconds = seconds
        self._read: queue.SimpleQueue[tuple[int, list[StoredView]] | E2EDepthError] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def take(self) -> Iterator[tuple[int, list[StoredView]]]:
        """Yield what was read since the last time, with the number of its source."""
        while not self._read.empty():
            read = self._read.get()
            if isinstance(read, E2EDepthError):
                raise read
            yield read

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._seconds):
                for index, source in enumerate(self._sources):
                    for views in source.new_views():
                        self._read.put((index, views))
                        if self._stop.is_set():
                            return
        except E2EDepthError as error:
            self._read.put(error)
