"""The part of a recipe that says what the network sees."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from e2e_depth_ros.model.sampling import DOMAINS
from e2e_depth_ros.training.recipe.checks import MAX_SIDE_PX, check, check_choice, check_range

MAX_BATCH = 1 << 16
MAX_WORKERS = 1024
PLACES = ("shards", "frames", "bag", "tum_rgbd", "hypersim", "virtual_kitti")
"""Keys of a source, one of which says where its images are."""
TOPICS = ("image", "camera_info", "sparse_points", "sparse_depth")
"""Keys of a bag's source, named as the inputs of `e2e-depth bag`."""


@dataclass(frozen=True)
class SourceRecipe:
    """A set of images: shards, own frames, or a published data set in its folder. One of them is given.

    Attributes:
        shards: Glob of shard files; relative to the working directory. All of them are held in memory.
        frames: Folder of frame folders, see `FrameFolderViews`; they are read as they are drawn.
        bag: Recording of ROS 2 or ROS 1, see `BagViews`; likewise.
        image: Topic of a bag's images; "" looks for it, as for the others.
        camera_info: Topic of their calibration.
        sparse_points: Topic of metric points; "none" for no such.
        sparse_depth: Topic of registered depth images; "none" for no such.
        every_seconds: Of a bag, at least so far are its images apart; 0 takes all.
        tum_rgbd: Folder of a TUM RGB-D sequence, or of several, see `TumRgbdViews`; likewise.
        hypersim: Folder of Hypersim, see `HypersimViews`; likewise.
        virtual_kitti: Folder of Virtual KITTI 2, see `VirtualKittiViews`; likewise.
        part: Of Hypersim's split: train, val or test.
        weight: Share of the images (or batches, see `DataRecipe`) drawn from here, relative to the others.
        limit: At most so many images; 0 takes all.
        outlines: Whether outlines of depth are sharp. What a teacher says of photographs is soft there: then
            errors are means over squares (see `depth_loss`), and sharp depth is as good an answer.
        domain: Kind of scene that GeoWizard is told: indoor, outdoor or object; "" is outdoor for Virtual
            KITTI and indoor for the others, as in E2E-FT.
        height: Pixels of batches from here, where each batch is from one source; 0 takes those of `sizes`.
        width: Likewise.
    """

    shards: str = ""
    frames: str = ""
    bag: str = ""
    image: str = ""
    camera_info: str = ""
    sparse_points: str = ""
    sparse_depth: str = ""
    every_seconds: float = 0.0
    tum_rgbd: str = ""
    hypersim: str = ""
    virtual_kitti: str = ""
    part: str = "train"
    weight: float = 1.0
    limit: int = 0
    outlines: bool = True
    domain: str = ""
    height: int = 0
    width: int = 0

    def __post_init__(self) -> None:
        given = [place for place in PLACES if getattr(self, place)]
        check(len(given) == 1, " or ".join(PLACES), f"one of them, got {' and '.join(given) or 'none'}")
        check_choice("part", self.part, ("train", "val", "test"))
        check(self.part == "train" or bool(self.hypersim), "part", "train where it isn't Hypersim")
        of_bag = [name for name in (*TOPICS, "every_seconds") if getattr(self, name)]
        check(bool(self.bag) or not of_bag, " and ".join(of_bag), "bag beside it")
        check(self.every_seconds >= 0, "every_seconds", f">= 0, got {self.every_seconds}")
        check(self.weight > 0, "weight", f"> 0, got {self.weight}")
        check(self.limit >= 0, "limit", f">= 0, got {self.limit}")
        check_choice("domain", self.domain, ("", *DOMAINS))
        both_or_neither = (self.height > 0) == (self.width > 0) and min(self.height, self.width) >= 0
        check(both_or_neither, "height and width", f"both or neither, got {self.height} and {self.width}")
        check_range("height and width", (self.height, self.width), 0, MAX_SIDE_PX)

    @property
    def scene_domain(self) -> str:
        """The kind of scene, one of `DOMAINS`."""
        return self.domain or ("outdoor" if self.virtual_kitti else "indoor")


@dataclass(frozen=True)
class SizeRecipe:
    """A size that some batches have.

    Attributes:
        height: Pixels, a multiple of the autoencoder's factor.
        width: Likewise.
        weight: Share of the batches of this size, relative to the others.
    """

    height: int
    width: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_range("height and width", (self.height, self.width), 1, MAX_SIDE_PX)


@dataclass(frozen=True)
class DataRecipe:
    """What the network sees.

    Attributes:
        train: Sources of the training images.
        validation: Sources that are only scored.
        sizes: Sizes of the batches.
        one_source_per_batch: Draw all images of a batch from one source (E2E-FT), rather than each from any.
        batch_size: Images in a batch.
        workers: Processes that prepare batches; 0 prepares them in the training process.
        resident: Keep all images on the device that trains, and vary whole batches there: for GPUs, and for
            sources of shards. The numbers drawn are others than those of the processes.
        watch_seconds: Look for further shards of the sources so often, so that a renderer may run beside the
            training; 0 doesn't. Only with resident.
    """

    train: tuple[SourceRecipe, ...]
    validation: tuple[SourceRecipe, ...] = ()
    sizes: tuple[SizeRecipe, ...] = (SizeRecipe(96, 128),)
    one_source_per_batch: bool = False
    batch_size: int = 16
    workers: int = 1
    resident: bool = False
    watch_seconds: float = 0.0

    def __post_init__(self) -> None:
        check(len(self.train) > 0, "train", "at least one source")
        if self.resident:
            check(all(source.shards for source in self.train), "train", "shards alone with resident")
            check(not self.one_source_per_batch, "one_source_per_batch", "false with resident")
        check(self.watch_seconds >= 0, "watch_seconds", f">= 0, got {self.watch_seconds}")
        check(self.resident or not self.watch_seconds, "watch_seconds", "0 without resident")
        check(len(self.sizes) > 0, "sizes", "at least one size")
        unsized = not any(source.height for source in self.train)
        check(self.one_source_per_batch or unsized, "train", "no height unless one_source_per_batch")
        check_range("batch_size", self.batch_size, 1, MAX_BATCH)
        check_range("workers", self.workers, 0, MAX_WORKERS)


@dataclass(frozen=True)
class AugmentationRecipe:
    """How images are varied. Probabilities unless said otherwise; 0 switches a change off.

    Attributes:
        flip: Mirror left and right.
        min_zoom: Smallest share of the largest possible crop's edge, 0..1; 1 crops as large as possible.
        roll_deg: Standard deviation of the camera's roll, degrees.
        roll: Whether to roll at all.
        white_balance: Gains of the colour channels.
        swap_channels: Permute the colour channels.
        saturation: Weaken or strengthen colours.
        grayscale: Take colours away.
        exposure: Contrast and brightness.
        gamma: Brighten or darken the middle.
        vignetting: Darken the corners, or one side.
        filter: Mix with a random linear filter of all channels, which changes textures and keeps shapes.
        blur: Blur, lower the resolution, or sharpen.
        noise: Sensor noise.
        jpeg: Compress.
        cutout: Hide a rectangle of the image.
        overexposure: Burn out up to half of the image.
        border: Paint a border over the image, or bars as of another aspect ratio.
        strength: Of white balance, exposure and gamma: factor of their standard deviations, >= 0.
    """

    flip: float = 0.5
    min_zoom: float = 0.6
    roll_deg: float = 4.0
    roll: float = 0.3
    white_balance: float = 0.8
    swap_channels: float = 0.1
    saturation: float = 0.7
    grayscale: float = 0.12
    exposure: float = 0.8
    gamma: float = 0.7
    vignetting: float = 0.2
    filter: float = 0.0
    blur: float = 0.5
    noise: float = 0.5
    jpeg: float = 0.35
    cutout: float = 0.08
    overexposure: float = 0.0
    border: float = 0.0
    strength: float = 1.0

    def __post_init__(self) -> None:
        check(0 < self.min_zoom <= 1, "min_zoom", f"in (0, 1], got {self.min_zoom}")
        for name in (f.name for f in dataclasses.fields(self)):
            value = getattr(self, name)
            if name in ("roll_deg", "strength"):
                check(value >= 0, name, f">= 0, got {value}")
            else:
                check(0 <= value <= 1, name, f"in 0..1, got {value}")

    @classmethod
    def none(cls) -> AugmentationRecipe:
        """Change nothing but the size: cut the largest crop of the batch's shape, anywhere in the image."""
        off = {f.name: 0.0 for f in dataclasses.fields(cls)}
        return cls(**{**off, "min_zoom": 1.0})
