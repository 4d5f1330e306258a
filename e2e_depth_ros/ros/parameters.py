"""The node's parameters, declared once.

From this declaration come the descriptors that ROS tools show, the checks, the typed struct that the node
reads, `config/depth.yaml` and the table in the documentation:

    python -m e2e_depth_ros.ros.parameters yaml > config/depth.yaml
    python -m e2e_depth_ros.ros.parameters markdown
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from e2e_depth_ros.core.colours import COLORMAPS
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.declaration import (
    Changes,
    declarations_from_struct,
    markdown_from_declarations,
    parameter,
    yaml_from_declarations,
)

_RELIABILITY: Final = ("reliable", "best_effort")


@dataclass(frozen=True)
class Parameters:
    """The values of all parameters: checked, and read-only.

    Each is described in its declaration, see `DECLARATIONS`.
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
        "CPU threads of the network; 0 leaves the choice to torch.",
        changes=Changes.UNCONFIGURED,
        bounds=(0, 256),
    )
    image_transport: str = parameter(
        "raw",
        "raw subscribes to image_raw, compressed to image_raw/compressed.",
        changes=Changes.UNCONFIGURED,
        choices=("raw", "compressed"),
    )
    rectify: str = parameter(
        "auto",
        "Whether to remove lens distortion. on: always, as camera_info says. off: never, images are taken as"
        " rectified. auto: unless the name of the image topic contains image_rect.",
        choices=("auto", "on", "off"),
    )
    min_depth: float = parameter(
        0.1,
        "Nearest metric depth, in metres, that is measured by samples or put into points.",
        bounds=(0.0, 1000.0),
    )
    max_depth: float = parameter(
        80.0,
        "Farthest metric depth, in metres, that is measured by samples or put into points.",
        bounds=(0.0, 10000.0),
    )
    approx_sync_max_interval: float = parameter(
        0.1,
        "How far apart, in seconds, the stamps of an image and of sparse samples may be.",
        bounds=(0.0, 10.0),
    )
    sparse_extrinsics: tuple[float, ...] = parameter(
        (0.0,) * 7,
        "Pose of the sparse points' frame in the camera's optical frame: x y z in metres, quaternion x y z w."
        " All zero: ask TF.",
    )
    local_correction: bool = parameter(
        False,
        "Whether to correct locally what one scale and shift leave: more exact near the samples, but tens of"
        " milliseconds a frame.",
    )
    hold_duration: float = parameter(
        3.0,
        "How long, in seconds, the last scale serves after the last samples; then metric topics fall silent.",
        bounds=(0.01, 3600.0),
    )
    max_image_age: float = parameter(
        0.0,
        "Images older than this, in seconds by the node's clock, are dropped; 0 keeps all (recordings).",
        bounds=(0.0, 3600.0),
    )
    relative_range: str = parameter(
        "network",
        "Range of depth/image_relative. network: as predicted, steady over time. image: the nearest pixel of"
        " each image is 0 and its farthest 1.",
        choices=("network", "image"),
    )
    colormap: str = parameter(
        "turbo",
        "Colours of depth/image_color, far to near.",
        choices=COLORMAPS,
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
        for declaration in DECLARATIONS.values():
            declaration.check(getattr(self, declaration.name))
        if self.min_depth >= self.max_depth:
            raise InvalidInputError(
                f"parameter min_depth: expected below max_depth {self.max_depth:g}, got {self.min_depth:g}"
            )

    def changed(self, values: Mapping[str, Any]) -> Parameters:
        """Return a copy with other values; lists become tuples, unknown names are left out.

        Raises:
            InvalidInputError: A value is refused.
        """
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(DECLARATIONS[name].default, tuple) else value
            for name, value in values.items()
            if name in DECLARATIONS
        }
        return dataclasses.replace(self, **known)


DECLARATIONS: Final = declarations_from_struct(Parameters)
"""All parameters by name."""


def parameters_yaml() -> str:
    """Write `config/depth.yaml`."""
    return (
        "# Every parameter of the node with its default. Generated:\n"
        "# python -m e2e_depth_ros.ros.parameters yaml > config/depth.yaml\n"
        + yaml_from_declarations(DECLARATIONS.values())
    )


def parameters_markdown() -> str:
    """Write the parameter table of the documentation."""
    return markdown_from_declarations(DECLARATIONS.values())


if __name__ == "__main__":
    writers = {"yaml": parameters_yaml, "markdown": parameters_markdown}
    sys.stdout.write(writers[sys.argv[1]]())
