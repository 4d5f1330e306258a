"""The mask node's parameters, declared once; see `depth_parameters`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from e2e_depth_ros.model.instruct.paint import COLOURS
from e2e_depth_ros.model.threads import MAX_THREADS
from e2e_depth_ros.ros.declarations.declaration import Changes, declarations_from_struct, parameter
from e2e_depth_ros.ros.declarations.image_parameters import ImageParameters


@dataclass(frozen=True)
class MaskParameters(ImageParameters):
    """The values of all parameters: checked, and read-only.

    Each is described in its declaration, see `DECLARATIONS`.
    """

    model: str = parameter(
        "",
        "A checkpoint that paints by instruction, as e2e-depth checkpoint convert writes it: a folder, or a"
        " Hugging Face id.",
        changes=Changes.UNCONFIGURED,
    )
    num_threads: int = parameter(
        1,
        "CPU threads of the network; 0 leaves one core for the messages. Each takes a core from the other"
        " nodes.",
        changes=Changes.UNCONFIGURED,
        bounds=(0, MAX_THREADS),
    )
    niceness: int = parameter(
        10,
        "How readily this process yields the CPU to others, as the command nice counts it.",
        changes=Changes.NEVER,
        bounds=(0, 19),
    )
    period: float = parameter(
        5.0,
        "Shortest time, in seconds, from the start of one mask to the start of the next; 0 starts as soon"
        " as the last is done.",
        bounds=(0.0, 3600.0),
    )
    object: str = parameter("the person", "What to mask, in English.")
    color: str = parameter(
        "red",
        "What the network paints the object with; choose a colour that is rare in the scene.",
        choices=tuple(COLOURS),
    )
    instruction: str = parameter(
        "",
        "The whole instruction, in place of the usual one; it must ask for a mask of that color. Empty: Place"
        " a COLOR mask on the pixels of OBJECT and leave everything else as it is.",
    )
    denoising_steps: int = parameter(
        0,
        "Steps from noise to the painted image; 0 for the checkpoint's own number, 100. More steps take"
        " longer.",
        changes=Changes.UNCONFIGURED,
        bounds=(0, 1000),
    )
    text_guidance: float = parameter(7.5, "How strongly the instruction pulls.", bounds=(0.0, 50.0))
    image_guidance: float = parameter(1.5, "How strongly the image pulls.", bounds=(0.0, 50.0))
    noise_seed: int = parameter(0, "Seed of the noise that each mask starts from.", bounds=(0, 2**31 - 1))
    mask_threshold: float = parameter(
        0.5, "Pixels of at least this probability are masked.", bounds=(0.0, 1.0)
    )
    max_unexplained: float = parameter(
        0.5,
        "Share of pixels that the network may change in ways that the instruction does not explain; a mask"
        " with more is not published. 1 publishes all.",
        bounds=(0.0, 1.0),
    )


DECLARATIONS: Final = declarations_from_struct(MaskParameters)
"""All parameters by name."""
