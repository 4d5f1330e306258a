"""What every engine does: images in, estimates out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.framing import Framing
from e2e_depth_ros.model.estimate import Estimate
from e2e_depth_ros.model.network_facts import NetworkFacts
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task

FASTEST = "auto"
TORCH = "torch"
ONNX = "onnx"
OPENVINO = "openvino"

ENGINES = (FASTEST, TORCH, ONNX, OPENVINO)
"""What the user may choose: the fastest that gives the same result, or one by name."""

NETWORK_STAGES = ("encode", "denoise", "decode", "network")
"""The stages of `Estimate.durations_s` that are the network itself, as far as an engine tells them apart; all
others are what surrounds it."""


@dataclass(frozen=True)
class Place:
    """Where an engine runs, for people.

    Attributes:
        engine: One of `ENGINES`, but "auto".
        device: "cpu", "cuda:0", or an execution provider of ONNX Runtime.
        precision: "float32", "float16" or "bfloat16".
        threads: On the CPU; None where the engine decides.
    """

    engine: str
    device: str
    precision: str
    threads: int | None = None


@dataclass(frozen=True)
class Request:
    """What is wanted of images.

    Attributes:
        tasks: What to predict, in the order of `Task`.
        framing: How the images are fitted to the network.
        upsampling: One of `OWN_UPSAMPLINGS`: whether depth is to follow the outlines of its image.
        batch: How many images, or members of an ensemble, the network may see at once.
        stretch: Stretch the depth of each image to 0..1.
        synchronize: Wait for the GPU after each stage, so that the stages' durations are their own.
    """

    tasks: tuple[Task, ...]
    framing: Framing
    upsampling: str
    batch: int | None = None
    stretch: bool = False
    synchronize: bool = False


class Engine(Protocol):
    """A network that is ready to run."""

    @property
    def facts(self) -> NetworkFacts:
        """What it predicts, and what the numbers mean."""

    @property
    def sampling(self) -> Sampling:
        """How it is sampled."""

    @property
    def place(self) -> Place:
        """Where it runs."""

    @property
    def steps(self) -> int:
        """How often it runs the network per image."""

    @property
    def prepares(self) -> bool:
        """Whether the first frame of its kind waits for something that later ones don't."""

    @property
    def bytes_per_number(self) -> int:
        """Of the numbers that it computes with."""

    def run(self, images: Sequence[NDArray[np.uint8]], request: Request) -> list[Estimate]:
        """Look at images of one size, all at once.

        Args:
            images: Each (H, W, 3), uint8, RGB, with H x W the framing's native size.
            request: What is wanted.
        """

    def forget_last_frame(self) -> None:
        """Carry nothing over to the next frame (see `Sampling.carry`): it belongs to another scene."""

    def hashes(self) -> Mapping[str, str]:
        """Return the SHA-256 of each file that it was loaded from, by its name in the folder."""
