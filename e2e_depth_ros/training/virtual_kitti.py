"""Virtual KITTI 2 (Cabon et al., arXiv 2001.10773) from its published folders."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.geometry import normals_from_depth
from e2e_depth_ros.core.image_files import MAX_FILE_BYTES, decode_pixels, read_image
from e2e_depth_ros.core.user_file import read_file
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.folders import FolderViews, check_same_size, without_invalid

FAR_M = 80.0
CROP = (352, 1216)
"""(H, W) of the KITTI benchmark: the bottom rows, the middle columns."""

VARIATIONS = ("morning", "fog", "rain", "sunset", "overcast")
"""The weathers and times of day that E2E-FT trains on; with five scenes and two cameras 21,260 images."""

_SIZE = (375, 1242)
# Every intrinsic.txt of the data set says so.
_CAMERA = Camera(_SIZE, np.array([[725.0087, 0, 620.5], [0, 725.0087, 187], [0, 0, 1]]))


class VirtualKittiViews(FolderViews):
    """The training images of Virtual KITTI 2, cropped as the KITTI benchmark is.

    The archives of images and depth may be unpacked into one folder or into two side by side
    (`vkitti_2.0.3_rgb`, `vkitti_2.0.3_depth`): below either lie
    `Scene01/morning/frames/rgb/Camera_0/rgb_00000.jpg` and
    `Scene01/morning/frames/depth/Camera_0/depth_00000.png`: 16 bits, centimetres along Z, 655.35 m in the
    sky. Normals are derived from depth, as the data set has none.

    Args:
        folder: With the scenes, or with folders that hold them.

    Raises:
        InvalidInputError: The folder is not that data set, or an image has no depth.
    """

    def __init__(self, folder: Path) -> None:
        self._images = _find(folder, "rgb", "jpg")
        depth = _find(folder, "depth", "png")
        missing = sorted(self._images.keys() - depth.keys())
        if missing:
            scene, variation, camera, number = missing[0]
            raise InvalidInputError(
                f"expected depth for each image of Virtual KITTI 2 in {folder}, missing for {len(missing)} "
                f"of {len(self._images)}: {scene}/{variation}/frames/depth/{camera}/depth_{number}.png, ..."
            )
        self._depth = depth
        self._keys = sorted(self._images)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def scenes(self) -> list[str]:
        """Scene and variation of each view."""
        return ["/".join(key[:2]) for key in self._keys]

    def __getitem__(self, index: int) -> View:
        key = self._keys[index]
        image, path = read_image(self._images[key]), self._depth[key]
        centimetres = decode_pixels(read_file(path, MAX_FILE_BYTES), path, cv2.IMREAD_UNCHANGED)
        if centimetres.dtype != np.uint16 or centimetres.ndim != 2:
            got = f"{centimetres.dtype} {centimetres.shape}"
            raise InvalidInputError(f"expected a PNG of 16 bits in {path}, got {got}")
        check_same_size(image, [(path, centimetres)])
        if image.shape[:2] != _SIZE:
            raise InvalidInputError(
                f"expected {_SIZE[0]} x {_SIZE[1]} in {self._images[key]}, "
                f"got {image.shape[0]} x {image.shape[1]}"
            )
        all_depth_m = centimetres.astype(np.float32) / 100
        height, width = _SIZE
        derived = normals_from_depth(all_depth_m, _CAMERA, (all_depth_m > 0) & (all_depth_m < FAR_M))
        all_normals = np.where(derived.valid[..., None], derived.values, 0)
        depth_m, normals = without_invalid(all_depth_m, all_normals, FAR_M)
        top, left = height - CROP[0], (width - CROP[1]) // 2
        window = (slice(top, top + CROP[0]), slice(left, left + CROP[1]))
        return View(image[window], depth_m[window], normals[window])


def _find(folder: Path, kind: str, suffix: str) -> dict[tuple[str, str, str, str], Path]:
    """Return the files of a kind by scene, variation, camera and number."""
    pattern = f"*/frames/{kind}/Camera_[01]/{kind}_*.{suffix}"
    found = {}
    for root in (folder, *(path for path in sorted(folder.glob("*")) if path.is_dir())):
        for path in root.glob(f"Scene[0-9][0-9]/{pattern}"):
            camera, variation, scene = path.parent.name, path.parents[3].name, path.parents[4].name
            if variation in VARIATIONS:
                found[scene, variation, camera, path.stem.removeprefix(f"{kind}_")] = path
    if not found:
        raise InvalidInputError(
            f"expected Virtual KITTI 2 in {folder}, missing Scene01/morning/frames/{kind}/Camera_0/"
            f"{kind}_00000.{suffix} and the like (variations {', '.join(VARIATIONS)})"
        )
    return found
