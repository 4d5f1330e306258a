"""Sources of images, and the batches drawn from them.

Batch k of a run depends on nothing but the seed, k and the sources: an interrupted run goes on with exactly
the batches it would have seen.
"""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from e2e_depth_ros.core.errors import InvalidInputError, one_line
from e2e_depth_ros.training.augmentation import View, augment
from e2e_depth_ros.training.folders import FolderViews
from e2e_depth_ros.training.frame_folders import BagViews, FrameFolderViews
from e2e_depth_ros.training.hypersim import HypersimViews
from e2e_depth_ros.training.recipe import AugmentationRecipe, DataRecipe, SourceRecipe
from e2e_depth_ros.training.recipe.data import TOPICS
from e2e_depth_ros.training.shards import Sample, glob_shards, read_shard
from e2e_depth_ros.training.tum_rgbd import TumRgbdViews
from e2e_depth_ros.training.virtual_kitti import VirtualKittiViews

_LOGGER = logging.getLogger(__name__)
_MOST_BROKEN: Final = 100  # files in a row


class Batch(NamedTuple):
    """Images of one size with their geometry.

    Attributes:
        images: (B, 3, H, W), uint8, RGB.
        depth_m: (B, H, W), float32, metres, 0 = unknown.
        normals: (B, 3, H, W), float32, unit length in the optical frame, 0, 0, 0 = unknown.
        domain: Kind of scene, for networks that are told it (see `SourceRecipe.domain`): that of the source
            of all images, or, where each is from any source, of the first of the sources.
        has_outlines: (B,), bool: whether outlines of depth are sharp (see `SourceRecipe.outlines`). None: all
            are.
    """

    images: Tensor
    depth_m: Tensor
    normals: Tensor
    domain: str = "indoor"
    has_outlines: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(
            self.images.to(device, non_blocking=True),
            self.depth_m.to(device, non_blocking=True),
            self.normals.to(device, non_blocking=True),
            self.domain,
            None if self.has_outlines is None else self.has_outlines.to(device, non_blocking=True),
        )


class StoredView(NamedTuple):
    """A view as it is kept in memory: 8 bytes a pixel, against 19 in full."""

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float16]
    normals: NDArray[np.int8]

    @classmethod
    def from_sample(cls, sample: Sample) -> StoredView:
        """Pack a sample; depth keeps 5e-4 of its value, normals 0.4 degrees."""
        return cls(
            image=sample.image,
            depth_m=sample.depth_m.astype(np.float16),
            normals=np.rint(sample.normals * 127).astype(np.int8),
        )

    def unpacked(self) -> View:
        """Return the view in full."""
        normals = self.normals.astype(np.float32)
        length = np.sqrt((normals * normals).sum(axis=-1, keepdims=True))
        normals /= np.maximum(length, 1e-6)
        return View(self.image, self.depth_m.astype(np.float32), normals)


class Source:
    """The views of one source: those of shards all in memory, those of other data sets read one by one.

    Args:
        recipe: Which images.

    Raises:
        InvalidInputError: No shard matches, one is broken, or a folder is not the data set.
    """

    def __init__(self, recipe: SourceRecipe) -> None:
        self.weight = recipe.weight
        self.size = (recipe.height, recipe.width) if recipe.height else None
        self.domain = recipe.scene_domain
        self.has_outlines = recipe.outlines
        self.contents: dict[str, int] = {}
        """Images taken from each shard or scene."""
        self._views: list[StoredView] | FolderViews
        self._recipe = recipe
        self._read: set[Path] = set()
        if recipe.shards:
            self._views = [view for views in self.new_views() for view in views]
            self._count = len(self._views)
            if not self._count:
                raise InvalidInputError(f"expected shards at {recipe.shards}, found none")
            return
        self._views = _open_folder(recipe)
        self._count = min(len(self._views), recipe.limit or len(self._views))
        self.contents = dict(Counter(self._views.scenes[: self._count]))

    def __len__(self) -> int:
        return self._count

    def view(self, index: int) -> View:
        """Return one view, 0 .. len - 1; where it is broken the next that is not.

        One broken file among thousands ends no training; it is told.

        Raises:
            InvalidInputError: So many in a row are broken that it is no accident.
        """
        first: InvalidInputError | None = None
        for at in range(index, index + min(self._count, _MOST_BROKEN)):
            try:
                view = self._views[at % self._count]
            except InvalidInputError as error:  # noqa: PERF203 - until one is whole
                _LOGGER.warning("%s; the next image takes its place", one_line(str(error), 400))
                first = first or error
            else:
                return view.unpacked() if isinstance(view, StoredView) else view
        raise InvalidInputError(f"expected an image that can be read, got none: {first}") from first

    @property
    def stored(self) -> list[StoredView]:
        """All views as they are kept, of a source of shards."""
        if not isinstance(self._views, list):
            raise InvalidInputError("expected a source of shards, whose views are kept in memory")
        return self._views

    def new_views(self) -> Iterator[list[StoredView]]:
        """Yield the views of each shard that was not there before, of a source of shards."""
        for path in glob_shards(self._recipe.shards):
            taken = sum(self.contents.values())
            if path in self._read or (self._recipe.limit and taken >= self._recipe.limit):
                continue
            self._read.add(path)
            shard = read_shard(path)
            wanted = min(len(shard), self._recipe.limit - taken) if self._recipe.limit else len(shard)
            self.contents[path.name] = self.contents.get(path.name, 0) + wanted
            yield [StoredView.from_sample(shard[index]) for index in range(wanted)]


class TrainingBatches(Dataset[Batch]):
    """The batches of a run, by number.

    Each batch has one size, and so have all batches of an optimiser step, or processes that share them would
    wait for the one with the largest. Each image comes from a source drawn by weight (one for the whole batch
    where the recipe says so), uniformly from within it, and is augmented.

    Args:
        sources: At least one.
        recipe: Sizes and batch size.
        augmentation: What varies.
        seed: Of everything random.
        count: Number of batches.
        accumulate: How many batches make an optimiser step.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        recipe: DataRecipe,
        augmentation: AugmentationRecipe,
        seed: int,
        count: int,
        accumulate: int = 1,
    ) -> None:
        self._sources = sources
        self._recipe = recipe
        self._augmentation = augmentation
        self._seed = seed
        self._count = count
        self._accumulate = accumulate
        self._source_shares = shares([source.weight for source in sources])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Batch:
        rng, size = draw_size(self._recipe, self._seed, number)
        if number % self._accumulate:
            _, size = draw_size(self._recipe, self._seed, number - number % self._accumulate)
        source = None
        if self._recipe.one_source_per_batch:
            source = self._draw_source(rng)
            size = source.size or size
        drawn = [self._view(number, index, size, source) for index in range(self._recipe.batch_size)]
        return batch_from_views([view for view, _ in drawn])._replace(
            domain=(source or self._sources[0]).domain,
            has_outlines=outlines_of([source for _, source in drawn], self._sources),
        )

    def _view(
        self, number: int, index: int, size: tuple[int, int], source: Source | None
    ) -> tuple[View, Source]:
        rng = np.random.default_rng((self._seed, number, index))
        source = source or self._draw_source(rng)
        return augment(source.view(int(rng.integers(len(source)))), size, self._augmentation, rng), source

    def _draw_source(self, rng: np.random.Generator) -> Source:
        return self._sources[rng.choice(len(self._sources), p=self._source_shares)]


def _open_folder(recipe: SourceRecipe) -> FolderViews:
    if recipe.frames:
        return FrameFolderViews(Path(recipe.frames))
    if recipe.bag:
        topics = {name: getattr(recipe, name) for name in TOPICS}
        return BagViews(Path(recipe.bag), topics, recipe.every_seconds)
    if recipe.tum_rgbd:
        return TumRgbdViews(Path(recipe.tum_rgbd))
    if recipe.hypersim:
        return HypersimViews(Path(recipe.hypersim), recipe.part)
    return VirtualKittiViews(Path(recipe.virtual_kitti))


def training_batches(
    batches: TrainingBatches, first: int, workers: int, every: int = 1
) -> Generator[tuple[int, Batch]]:
    """Yield batches with their numbers, prepared ahead in other processes.

    Args:
        batches: Of the whole run.
        first: Number of the first.
        workers: Processes; 0 prepares batches in this one.
        every: How many numbers the next is on: where several processes train, each takes its share.
    """
    numbers = range(first, len(batches), every)
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_begin_worker if workers else None,
        multiprocessing_context="fork" if workers else None,  # shares the views instead of copying them
    )
    yield from zip(numbers, loader, strict=True)


def batch_from_views(views: Sequence[View]) -> Batch:
    """Stack views of one size."""
    return Batch(
        images=torch.from_numpy(np.stack([view.image.transpose(2, 0, 1) for view in views])),
        depth_m=torch.from_numpy(np.stack([view.depth_m for view in views])),
        normals=torch.from_numpy(np.stack([view.normals.transpose(2, 0, 1) for view in views])),
    )


def outlines_of(drawn: Sequence[Source], sources: Sequence[Source]) -> Tensor | None:
    """Say for each image of a batch whether its outlines are sharp, see `Batch`.

    Args:
        drawn: The source of each image.
        sources: All of the training.
    """
    if all(source.has_outlines for source in sources):
        return None
    return torch.tensor([source.has_outlines for source in drawn])


def draw_size(recipe: DataRecipe, seed: int, number: int) -> tuple[np.random.Generator, tuple[int, int]]:
    """Draw the size (h, w) of a batch; the generator goes on with what else is random in it.

    Args:
        recipe: The sizes.
        seed: Of the training.
        number: Of the batch, or of the first of the optimiser step, whose batches have one size.
    """
    rng = np.random.default_rng((seed, number))
    size = recipe.sizes[rng.choice(len(recipe.sizes), p=shares([size.weight for size in recipe.sizes]))]
    return rng, (size.height, size.width)


def shares(weights: Sequence[float]) -> NDArray[np.float64]:
    """Return weights as probabilities, which add up to 1."""
    array = np.asarray(weights, dtype=np.float64)
    return np.asarray(array / array.sum())


def _begin_worker(_: int) -> None:
    # Signals reach the whole process group, but the training process decides when everything ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(0)
