"""What a published evaluation consists of: which files, which pixels, which scores."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import decode_image
from e2e_depth_ros.core.maps import DepthMap, NormalMap
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules, NormalsRules
from e2e_depth_ros.evaluation.protocols.tree import DataTree
from e2e_depth_ros.model.task import Task


@dataclass(frozen=True)
class SetFrame:
    """One frame of a data set.

    Attributes:
        name: Path of its image without suffix.
        image: Path of its image.
        companions: Paths of what was measured there, as the layout says.
    """

    name: str
    image: str
    companions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Sample:
    """What a network is shown, and what it should find.

    Attributes:
        rgb: (H, W, 3), uint8.
        target: Metric depth or normals of the same size, valid at the pixels that count.
    """

    rgb: NDArray[np.uint8]
    target: DepthMap | NormalMap


@dataclass(frozen=True)
class Layout:
    """Where the files of a data set lie.

    Attributes:
        image: Regular expression of the path of an image; what stands before the data set's own folders is
            its first group, so that it may lie deeper.
        companions: Templates of the other paths of a frame (see `re.Match.expand`). A template with
            alternatives, separated by "|", means the first that is there.
        example: Path of an image, for people.
        may_lack_target: Whether the protocol leaves out images without their companions.
    """

    image: str
    companions: tuple[str, ...]
    example: str
    may_lack_target: bool = False

    def find(self, tree: DataTree, title: str) -> tuple[list[SetFrame], int]:
        """Find the frames.

        Args:
            tree: Where to look.
            title: What to call the data set in errors.

        Returns:
            The frames by name, and how many images were left out for they lack their target.

        Raises:
            InvalidInputError: It is another data set.
        """
        frames, left_out = [], 0
        first_missing = ""
        complete = False
        for name in sorted(tree.names):
            match = re.search(self.image, name)
            if match is None:
                continue
            companions = tuple(_existing(match, template, tree) for template in self.companions)
            missing = [path for path in companions if path not in tree.names]
            first_missing = first_missing or "".join(missing[:1])
            complete = complete or not missing
            if missing and self.may_lack_target:
                left_out += 1
            else:
                frames.append(SetFrame(name.rpartition(".")[0], name, companions))
        if not frames and not left_out:
            raise InvalidInputError(
                f"expected {title} in {tree.path}, but no image lies there as {self.example}"
            )
        if not complete:
            raise InvalidInputError(f"expected {title} in {tree.path}, but {first_missing} is missing")
        return frames, left_out


def _existing(match: re.Match[str], template: str, tree: DataTree) -> str:
    paths = [match.expand(alternative) for alternative in template.split("|")]
    return next((path for path in paths if path in tree.names), paths[0])


@dataclass(frozen=True, eq=False)
class EvaluationProtocol:
    """A published evaluation on one data set.

    Attributes:
        name: What the user calls it.
        title: The data set's own name.
        layout: Where its files lie.
        frame_count: How many frames the published scores are over.
        processing_resolution: Longer edge, pixels, that networks are given there; 0 is the image's own.
        rules: How a frame is scored.
        read_target: From the bytes of the companions and the size (H, W) of the image to the target.
        domain: Kind of scene that networks are told which want to know (GeoWizard).
        prepare: What happens to an image and its target before the network sees it: a crop, or how the
            published evaluation changes colours.
    """

    name: str
    title: str
    layout: Layout
    frame_count: int
    processing_resolution: int
    rules: DepthRules | NormalsRules
    read_target: Callable[[dict[str, bytes], tuple[int, int]], DepthMap | NormalMap]
    domain: str = "indoor"
    prepare: Callable[[Sample], Sample] = field(default=lambda sample: sample)

    @property
    def task(self) -> Task:
        """What is evaluated."""
        return Task.DEPTH if isinstance(self.rules, DepthRules) else Task.NORMALS

    def find(self, tree: DataTree) -> tuple[list[SetFrame], int]:
        """Find the frames; see `Layout.find`."""
        return self.layout.find(tree, self.title)

    def read(self, tree: DataTree, frame: SetFrame) -> Sample:
        """Read a frame.

        Raises:
            InvalidInputError: A file is missing, broken or of another size, or no pixel counts.
        """
        rgb = decode_image(tree.read(frame.image), frame.image, upright=False)
        size = (rgb.shape[0], rgb.shape[1])
        target = self.read_target({path: tree.read(path) for path in frame.companions}, size)
        if target.size != size:
            raise InvalidInputError(
                f"expected a target of the image's size {size} in {frame.companions[0]}, got {target.size}"
            )
        sample = self.prepare(Sample(rgb, target))
        if not sample.target.valid.any():
            raise InvalidInputError(f"expected a pixel that counts in {frame.companions[0]}, found none")
        return sample
