"""Small data sets in exactly the published layouts, with predictions whose scores are known by hand.

Depth: in the first frame, four pixels count, at the outermost places that the protocol lets count. Targets
are 1 and 3 m on the left, where the prediction is 0.2, and 4.5 and 5.5 m on the right, where it is 0.7.
Least squares brings the two values to the means, 2 and 5 m. So
    AbsRel = (1/1 + 1/3 + 1/9 + 1/11) / 4 = 38/99, RMSE = sqrt((1 + 1 + 1/4 + 1/4) / 4) m = sqrt(5/8) m,
    delta1 = 2/4 for the ratios 2/1, 3/2, 10/9 and 11/10, and delta2 = 3/4.
In the second frame, targets of 2 and 4 m stand against a constant, which becomes 3 m:
    AbsRel = (1/2 + 1/4) / 2 = 0.375, RMSE = 1 m, delta1 = 0.
Everything else in the files would change these scores if it counted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.evaluation.sources import Prediction

os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"


@dataclass
class SmallSet:
    """A data set on disk, and what a network would say about it."""

    folder: Path
    images: list[str] = field(default_factory=list)
    predictions: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class KnownSource:
    """Predicts what it is told to, and keeps what it was shown."""

    predictions: dict[str, np.ndarray]
    name: str = "known"
    shown: dict[str, np.ndarray] = field(default_factory=dict)

    def predict(self, frame, rgb):
        self.shown[frame.name] = rgb
        values = self.predictions[frame.name].astype(np.float32)
        if values.ndim == 3:
            return Prediction(normals=NormalMap.from_vectors(values))
        return Prediction(depth=DepthMap(values, np.isfinite(values), DepthKind.AFFINE_INVARIANT))


def picture(size):
    """Red grows with the row and green with the column, so that a crop shows."""
    rows, columns = np.indices(size)
    return np.stack([rows % 256, columns % 256, np.full(size, 90)], axis=-1).astype(np.uint8)


def put(path: Path, content) -> None:
    """Write an array of bytes, of uint16, of floats (EXR) or bytes, as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".npy":
        np.save(path, content)
    else:
        assert cv2.imwrite(str(path), content[..., ::-1] if content.ndim == 3 else content)


def two_depth_frames(size, first, last, background=0.0):
    """Targets (H, W), metres, with valid pixels from corner `first` to corner `last`, and predictions."""
    (top, left), (bottom, right) = first, last
    targets = [np.full(size, background, np.float32) for _ in range(2)]
    corners = (top, left, 1), (bottom, left, 3), (top, right, 4.5), (bottom, right, 5.5)
    for row, column, metres in corners:
        targets[0][row, column] = metres
    targets[1][top, left], targets[1][bottom, right] = 2, 4
    halves = np.full(size, 0.2)
    halves[:, (left + right) // 2 :] = 0.7
    return targets, [halves, np.full(size, 0.4)]


def around(first, last):
    """Pixels just outside of the rectangle between two corners."""
    (top, left), (bottom, right) = first, last
    return (top - 1, left), (top, left - 1), (bottom + 1, right), (bottom, right + 1), (top - 1, right + 1)


def nyuv2(folder):
    small = SmallSet(folder)
    corners = (45, 41), (470, 600)
    targets, predictions = two_depth_frames((480, 640), *corners)
    for target in targets:
        for row, column in around(*corners):
            target[row, column] = 9
        target[200, 300], target[201, 300] = 10.0, 0.001  # the ends of the range don't count
    for number, target, prediction in zip((1, 2), targets, predictions, strict=True):
        scene = f"test/kitchen_0004/{{}}_000{number}.png"
        put(folder / scene.format("rgb"), picture((480, 640)))
        put(folder / scene.format("depth"), np.rint(target * 1000).astype(np.uint16))
        put(folder / scene.format("filled"), np.full((480, 640), 7000, np.uint16))
        small.images.append(scene.format("rgb"))
        small.predictions[scene.format("rgb").removesuffix(".png")] = prediction
    put(folder / "train/office_0003/rgb_0003.png", picture((480, 640)))
    return small


def kitti_eigen(folder):
    small = SmallSet(folder)
    # The crop of 352 x 1216 starts at row 375 - 352 = 23 and column (1242 - 1216) / 2 = 13. In it count rows
    # 0.3324324 * 352 = 117.02 to 0.91351351 * 352 = 321.56 and columns 43.7 to 1172.3, ends truncated and
    # the last excluded.
    first, last = (23 + 117, 13 + 43), (23 + 320, 13 + 1171)
    targets, predictions = two_depth_frames((375, 1242), first, last)
    for target in targets:
        for row, column in around(first, last):
            target[row, column] = 70
        target[200, 300] = 80.0
    for number, target, prediction in zip((69, 54), targets, predictions, strict=True):
        image = f"2011_09_26/2011_09_26_drive_0002_sync/image_02/data/{number:010}.png"
        depth = f"2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02/{number:010}.png"
        put(folder / image, picture((375, 1242)))
        put(folder / depth, np.rint(target * 256).astype(np.uint16))
        small.images.append(image)
        small.predictions[image.removesuffix(".png")] = prediction[23:, 13:-13]
    put(
        folder / "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000075.png",
        picture((375, 1242)),
    )  # has no depth, as 45 of Eigen's
    return small


def eth3d(folder):
    small = SmallSet(folder)
    targets, predictions = two_depth_frames((36, 54), (0, 0), (35, 53), background=np.inf)
    for number, target, prediction in zip((219, 220), targets, predictions, strict=True):
        target[5, 5] = 0
        image = f"rgb/office/images/dslr_images/DSC_0{number}.JPG"
        put(folder / image, picture((36, 54)))
        put(
            folder / f"depth/office_dslr_depth/office/ground_truth_depth/dslr_images/DSC_0{number}.JPG",
            target.astype("<f4").tobytes(),
        )
        small.images.append(image)
        small.predictions[image.removesuffix(".JPG")] = prediction
    return small


def scannet(folder):
    small = SmallSet(folder)
    targets, predictions = two_depth_frames((48, 64), (0, 0), (47, 63))
    for number, target, prediction in zip((300, 1100), targets, predictions, strict=True):
        target[20, 30], target[21, 30] = 10.0, 0.001
        image = f"scene0406_02/color/{number:06}.jpg"
        put(folder / image, picture((48, 64)))
        put(folder / f"scene0406_02/depth/{number:06}.png", np.rint(target * 1000).astype(np.uint16))
        small.images.append(image)
        small.predictions[image.removesuffix(".jpg")] = prediction
    return small


def diode(folder):
    small = SmallSet(folder)
    targets, predictions = two_depth_frames((48, 64), (0, 0), (47, 63))
    stems = (
        "indoors/scene_00021/scan_00189/00021_00189_indoors_200_010",
        "outdoor/scene_00022/scan_00196/00022_00196_outdoor_350_020",
    )
    for stem, target, prediction in zip(stems, targets, predictions, strict=True):
        mask = (target > 0).astype(np.float64)
        target[20, 30] = 9
        put(folder / f"{stem}.png", picture((48, 64)))
        put(folder / f"{stem}_depth.npy", target[..., None])
        put(folder / f"{stem}_depth_mask.npy", mask)
        small.images.append(f"{stem}.png")
        small.predictions[stem] = prediction
    return small


def turned(degrees):
    """Directions that are turned from the camera's own, (0, 0, -1), to the right; optical frame."""
    angle = np.deg2rad(degrees)
    return np.stack([np.sin(angle), 0 * angle, -np.cos(angle)], axis=-1)


def normals(folder, stems, suffix):
    """Two images whose targets face the camera: 6 pixels count in the first, 2 in the second.

    Predictions are 0, 6, 8, 12, 24 and 32, and 40 and 90 degrees away.
    """
    small = SmallSet(folder)
    angles = [np.array([0, 6, 8, 12, 24, 32.0]), np.array([40, 90.0])]
    for stem, degrees in zip(stems, angles, strict=True):
        target = np.zeros((4, 6, 3), np.float32)
        prediction = np.broadcast_to(turned(np.array(60.0)), target.shape).copy()
        # DSINE's normals point away from the camera.
        target[1, : len(degrees)] = (0, 0, 1)
        prediction[1, : len(degrees)] = turned(degrees)
        put(folder / f"{stem}_img.png", picture((4, 6)))
        if suffix == ".png":
            # (0.5 + 0.5 n) 255, and black where unknown; 0 is between two bytes: 0.2 degrees each way.
            encoded = np.where(target.any(-1, keepdims=True), (128, 128, 255), 0).astype(np.uint8)
            put(folder / f"{stem}_normal.png", encoded)
        else:
            put(folder / f"{stem}_normal{suffix}", target)
        np.save(folder / f"{stem}_intrins.npy", np.eye(3))
        small.images.append(f"{stem}_img.png")
        small.predictions[f"{stem}_img"] = prediction
    return small


WRITERS = {
    "nyuv2": nyuv2,
    "kitti_eigen": kitti_eigen,
    "eth3d": eth3d,
    "scannet": scannet,
    "diode": diode,
    "nyuv2_normals": lambda f: normals(f, ("test/000000", "test/000001"), ".png"),
    "scannet_normals": lambda f: normals(f, ("scene0532_00/000000", "scene0220_02/000450"), ".png"),
    "ibims_normals": lambda f: normals(f, ("ibims/corridor_01", "ibims/lab_02"), ".exr"),
    "sintel_normals": lambda f: normals(f, ("alley_1/frame_0001", "cave_2/frame_0002"), ".exr"),
}
