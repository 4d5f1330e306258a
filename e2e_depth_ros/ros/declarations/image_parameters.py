"""The parameters of every node that looks at images; see `declaration`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from e2e_depth_ros.core.opencv_limits import MAX_PIXELS_OPENCV_READS
from e2e_depth_ros.model.threads import MAX_THREADS
from e2e_depth_ros.ros.declarations.declaration import Changes, declarations_from_struct, parameter
from e2e_depth_ros.ros.messages.pixels import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from typing_extensions import Self

_RELIABILITY: Final = ("reliable", "best_effort")

Struct = TypeVar("Struct", bound="ImageParameters")


@dataclass(frozen=True)
class ImageParameters:
    """The values of all parameters of a node: checked, and read-only.

    A node adds its own in a subclass, which may also declare one of these again.
    """

    autostart: bool = parameter(
        True,
        "Configure and activate at start. Set it to false where a lifecycle manager does that.",
        changes=Changes.NEVER,
    )
    model: str = parameter(
        "embedded",
        "The checkpoint: embedded, a folder, or a Hugging Face id.",
        changes=Changes.UNCONFIGURED,
    )
    revision: str = parameter(
        "", "Branch, tag or commit of a hub checkpoint; empty for its default.", changes=Changes.UNCONFIGURED
    )
    device: str = parameter(
        "auto",
        "Where the network runs: auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.",
        changes=Changes.UNCONFIGURED,
    )
    dtype: str = parameter(
        "auto",
        "Number format of the network; auto is float16 on a GPU and float32 on a CPU.",
        changes=Changes.UNCONFIGURED,
        choices=("auto", "float32", "float16", "bfloat16"),
    )
    processing_resolution: int = parameter(
        -1,
        "Longer edge, in pixels, of what the network sees; 0 for the image's own size, -1 for the size that"
        " the checkpoint was trained for.",
        changes=Changes.UNCONFIGURED,
        bounds=(-1, 4096),
    )
    num_threads: int = parameter(
        0,
        "CPU threads of the network; 0 takes all cores, or for torch, whose threads need a core each, all but"
        " one.",
        changes=Changes.UNCONFIGURED,
        bounds=(0, MAX_THREADS),
    )
    image_transport: str = parameter(
        "raw",
        "raw subscribes to image_raw, compressed to image_raw/compressed.",
        changes=Changes.UNCONFIGURED,
        choices=("raw", "compressed"),
    )
    max_image_pixels: int = parameter(
        DEFAULT_MAX_PIXELS,
        "Larger images are refused before they are decoded: a few bytes can claim to be gigapixels.",
        bounds=(1, MAX_PIXELS_OPENCV_READS),
    )
    significant_bits: int = parameter(
        0,
        "How many of the 16 bits, from the lowest, mono16, bayer_*16, rgb16 and similar images use: 12 if"
        " white is 4095. 0 finds out from the first frames.",
        bounds=(0, 16),
    )
    max_image_age: float = parameter(
        0.0,
        "Images older than this, in seconds by the node's clock, are dropped; 0 keeps all (recordings).",
        bounds=(0.0, 3600.0),
    )
    input_reliability: str = parameter(
        "best_effort",
        "QoS of all inputs. best_effort receives from every publisher.",
        changes=Changes.UNCONFIGURED,
        choices=_RELIABILITY,
    )
    input_queue_size: int = parameter(
        1, "QoS history depth of the image input.", changes=Changes.UNCONFIGURED, bounds=(1, 100)
    )
    output_reliability: str = parameter(
        "reliable",
        "QoS of all outputs. reliable reaches every subscriber.",
        changes=Changes.UNCONFIGURED,
        choices=_RELIABILITY,
    )
    output_queue_size: int = parameter(
        2, "QoS history depth of the outputs.", changes=Changes.UNCONFIGURED, bounds=(1, 100)
    )

    def __post_init__(self) -> None:
        for declaration in declarations_from_struct(type(self)).values():
            declaration.check(getattr(self, declaration.name))

    @property
    def loading(self) -> dict[str, Any]:
        """Keyword arguments that load any kind of model."""
        return {
            "revision": self.revision or None,
            "device": self.device,
            "dtype": self.dtype,
            "processing_resolution": None if self.processing_resolution < 0 else self.processing_resolution,
            "num_threads": self.num_threads or None,
        }

    def changed(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with other values from ROS tools; unknown names are left out.

        Raises:
            InvalidInputError: A value is refused.
        """
        declarations = declarations_from_struct(type(self))
        known: dict[str, Any] = {
            name: declarations[name].converted(value)
            for name, value in values.items()
            if name in declarations
        }
        return dataclasses.replace(self, **known)
