"""KITTI (Geiger et al. 2012): streets seen from a car, with depth from several scans of a laser scanner.

The test images are those of Eigen et al. (2014) that have such depth (Uhrig et al. 2017): 652 of 697.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.evaluation.protocols.decoding import decode_depth_png
from e2e_depth_ros.evaluation.protocols.protocol import EvaluationProtocol, Layout, Sample
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules

_RULES: Final = DepthRules(min_depth_m=1e-5, max_depth_m=80.0)
_CROP: Final = (352, 1216)  # of KITTI's own benchmark; the drives differ a little in size
# The part of the crop that counts, as shares of its height and width (Eigen et al. 2014).
_ROWS: Final = (0.3324324, 0.91351351)
_COLUMNS: Final = (0.0359477, 0.96405229)


def _read_target(files: dict[str, bytes], _size: tuple[int, int]) -> DepthMap:
    ((name, data),) = files.items()
    depth = decode_depth_png(data, name, units_per_metre=256)
    valid = (depth > _RULES.min_depth_m) & (depth < _RULES.max_depth_m)
    return DepthMap(depth, valid, DepthKind.METRIC)


def _crop(sample: Sample) -> Sample:
    """Cut the crop from the middle of the lower edge, and let only Eigen's part of it count."""
    height, width = _CROP
    full_height, full_width = sample.target.size
    if full_height < height or full_width < width:
        raise InvalidInputError(
            f"expected an image of {height} x {width} pixels at least, got {full_height} x {full_width}"
        )
    top, left = full_height - height, (full_width - width) // 2
    rows, columns = slice(top, top + height), slice(left, left + width)
    counts = np.zeros(_CROP, np.bool_)
    counts[
        int(_ROWS[0] * height) : int(_ROWS[1] * height), int(_COLUMNS[0] * width) : int(_COLUMNS[1] * width)
    ] = True
    valid = sample.target.valid[rows, columns] & counts
    target = DepthMap(sample.target.values[rows, columns], valid, DepthKind.METRIC)
    return Sample(np.ascontiguousarray(sample.rgb[rows, columns]), target)


KITTI_EIGEN: Final = EvaluationProtocol(
    name="kitti_eigen",
    title="KITTI's Eigen split",
    layout=Layout(
        image=r"^(|.*/)(\d{4}_\d\d_\d\d)/(\2_drive_\d{4}_sync)/(image_02)/data/(\d{10})\.png$",
        companions=(r"\1\3/proj_depth/groundtruth/\4/\5.png",),
        example="2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png",
        may_lack_target=True,
    ),
    frame_count=652,
    processing_resolution=0,
    rules=_RULES,
    read_target=_read_target,
    prepare=_crop,
)
"""Networks see the benchmark's crop; pixels count inside of Eigen's."""
