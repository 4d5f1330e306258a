"""`e2e-depth gallery`: images, the truth, and what is predicted, beside the trivial baseline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from e2e_depth_ros.cli.frame_arguments import add_topic_arguments, topics_given
from e2e_depth_ros.cli.model_arguments import add_model_arguments, load_estimator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from e2e_depth_ros.cli.pictures import Rgb
    from e2e_depth_ros.core.maps import DepthMap, NormalMap
    from e2e_depth_ros.core.targets import DepthTarget
    from e2e_depth_ros.evaluation.sources import Prediction, PredictionSource

_FAILED: Final = 2
_RANGE_PERCENT: Final = (2, 98)  # of true depth: the ends of the colours


@dataclass(frozen=True, eq=False)
class Shown:
    """One row of a gallery.

    Attributes:
        label: Name of the image, or the kind of a rendered scene.
        rgb: (H, W, 3), uint8.
        target: Measured depth; None for a photograph.
        predictions: What each source says, by its name.
    """

    label: str
    rgb: NDArray[np.uint8]
    target: DepthTarget | None
    predictions: Mapping[str, DepthMap | NormalMap]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "gallery",
        help="a picture of predictions beside the truth and the trivial baseline",
        description="Draw a row for each image: the image, its true depth, the prediction, and depth that is "
        "linear in the image row. Both are fitted to the truth by least squares, image by image, and have "
        "its colours; without a truth each has its own. Of a model of normals alone, its normals are drawn.",
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        type=Path,
        metavar="INPUT",
        help="images, frame folders, shards, folders of them, or bags",
    )
    add_topic_arguments(parser)
    parser.add_argument("--demo", action="store_true", help="show the frames of the demo, too")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="picture, .jpg or .png")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict, and write the picture; images that can't be shown are told in one line each.

    Returns:
        0, or 2 if an image is not in the picture.

    Raises:
        E2EDepthError: An argument or the checkpoint is wrong, no image can be shown, or nothing be written.
    """
    from e2e_depth_ros.cli.pictures import (  # noqa: PLC0415 - heavy imports wait
        check_picture_path,
        stacked,
        write_picture,
    )
    from e2e_depth_ros.core.errors import InvalidInputError, one_line  # noqa: PLC0415
    from e2e_depth_ros.evaluation.sources import BASELINES, EstimatorSource  # noqa: PLC0415

    if not (args.inputs or args.demo):
        raise InvalidInputError("expected an INPUT or --demo, got neither")
    check_picture_path(args.output)
    sources: list[PredictionSource] = [EstimatorSource(load_estimator(args)), BASELINES[-1]]
    failures: list[str] = []
    rows = [gallery_row(shown) for shown in _shown(args, sources, failures)]
    for words in failures:
        sys.stderr.write(f"e2e-depth gallery: {one_line(words, 2000)}\n")
    if not rows:
        raise InvalidInputError(f"expected an image that can be shown, but all {len(failures)} failed")
    try:
        write_picture(args.output, stacked(rows))
    except OSError as error:
        raise InvalidInputError(f"cannot write {args.output}: {error}") from error
    return _FAILED if failures else 0


def gallery_row(shown: Shown) -> Rgb:
    """Draw one image with its truth and predictions; where there is a truth each is labelled by its AbsRel.

    Raises:
        InvalidInputError: A prediction does not fit the truth.
    """
    import numpy as np  # noqa: PLC0415

    from e2e_depth_ros.cli.pictures import labelled_row, samples_over_image  # noqa: PLC0415
    from e2e_depth_ros.core.colours import colours_from_depth, colours_from_normals  # noqa: PLC0415
    from e2e_depth_ros.core.maps import NormalMap  # noqa: PLC0415
    from e2e_depth_ros.core.metrics import abs_rel  # noqa: PLC0415
    from e2e_depth_ros.evaluation.comparison import Protocol  # noqa: PLC0415

    panels = [(shown.label, shown.rgb)]
    target = shown.target
    depths: dict[str, DepthMap] = {}
    for name, predicted in shown.predictions.items():
        if isinstance(predicted, NormalMap):
            panels.append((f"{name}: normals", colours_from_normals(predicted.values)))
        else:
            depths[name] = predicted
    if target is None:
        for name, depth in depths.items():
            near, far = np.nanpercentile(depth.values, _RANGE_PERCENT)
            panels.append((name, colours_from_depth(depth.values, near, far)))
        return labelled_row(panels)
    near, far = np.percentile(target.depth_m, _RANGE_PERCENT)
    dense = target.dense()
    if dense is not None:
        truth = colours_from_depth(dense, near, far, logarithmic=True)
    else:
        truth = samples_over_image(shown.rgb, target.column, target.row, target.depth_m, near, far)
    panels.append((f"truth, {near:.2g} to {far:.2g} m", truth))
    for name, depth in depths.items():
        (metres,) = Protocol().metres([depth], [target])
        error = abs_rel(metres[target.row, target.column], target.depth_m)
        panels.append(
            (f"{name}: AbsRel {error:.2f}", colours_from_depth(metres, near, far, logarithmic=True))
        )
    return labelled_row(panels)


def _shown(args: argparse.Namespace, sources: list[PredictionSource], failures: list[str]) -> Iterator[Shown]:
    """Look at each image; add to `failures` why one can't be."""
    import tempfile  # noqa: PLC0415

    from e2e_depth_ros.cli.measured_frames import RenderedFrame, find_all_frames  # noqa: PLC0415
    from e2e_depth_ros.core.errors import E2EDepthError  # noqa: PLC0415
    from e2e_depth_ros.core.image_size import check_image_size  # noqa: PLC0415
    from e2e_depth_ros.core.targets import read_depth_target  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        inputs = [*args.inputs, *(_demo_frames(Path(folder)) if args.demo else [])]
        for frame in find_all_frames(inputs, topics=topics_given(args)):
            try:
                rgb = frame.read_image()
                check_image_size(rgb.shape)
                is_measured = frame.read_depth() is not None or frame.read_points() is not None
                target = read_depth_target(frame, (rgb.shape[0], rgb.shape[1])) if is_measured else None
                predictions = {source.name: _drawn(source.predict(frame, rgb)) for source in sources}
            except E2EDepthError as error:
                failures.append(f"{frame.name}: {error}")
                continue
            label = frame.group if isinstance(frame, RenderedFrame) else frame.name.rpartition("/")[2]
            yield Shown(label, rgb, target, {name: one for name, one in predictions.items() if one})


def _drawn(prediction: Prediction) -> DepthMap | NormalMap | None:
    return prediction.normals if prediction.depth is None else prediction.depth


def _demo_frames(folder: Path) -> list[Path]:
    """Write the demo's frames where they are read like any others."""
    from e2e_depth_ros.cli.demo.scenes import load_scenes, write_frames  # noqa: PLC0415
    from e2e_depth_ros.cli.pictures import write_picture  # noqa: PLC0415

    scenes = load_scenes()
    write_frames(scenes, folder / "measured", points=0, seed=0)
    photographs = [scene for scene in scenes if scene.depth_m is None]
    paths = [folder / f"{scene.name}.png" for scene in photographs]
    for scene, path in zip(photographs, paths, strict=True):
        write_picture(path, scene.image)
    return [folder / "measured", *paths]
