"""Hypersim and Virtual KITTI 2 from folders of exactly their layout, made here."""

import csv
import os
import shutil

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import read_image
from e2e_depth_ros.training.augmentation import augment
from e2e_depth_ros.training.datasets import Source, TrainingBatches
from e2e_depth_ros.training.hypersim import FOCAL_PX, HypersimViews
from e2e_depth_ros.training.recipe import AugmentationRecipe, DataRecipe, SizeRecipe, SourceRecipe
from e2e_depth_ros.training.virtual_kitti import VirtualKittiViews

HYPERSIM_SIZE = (48, 80)
GROUND = (0.05, 0.9, 0.04)
TABLE = "metadata_images_split_scene_v1.csv"


def plane_depth(size, focal_px, cx, cy, normal, offset_m):
    """Depth of the plane n . P = offset, and the rays (x, y, 1), by their definition."""
    v, u = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float64)
    rays = np.stack([(u - cx) / focal_px, (v - cy) / focal_px, np.ones(size)], axis=-1)
    return offset_m / (rays @ np.asarray(normal, float)), rays


def write_hypersim(folder):
    """Two scenes of one frame; the plane's normals are given facing away at the left."""
    h5py = pytest.importorskip("h5py")
    height, width = HYPERSIM_SIZE
    normal = np.array([0.36, -0.48, 0.8])
    focal_px = FOCAL_PX * width / 1024
    depth_m, rays = plane_depth(HYPERSIM_SIZE, focal_px, (width - 1) / 2, (height - 1) / 2, normal, 4.0)
    distance_m = np.linalg.norm(depth_m[..., None] * rays, axis=-1)
    distance_m[0, :5] = np.nan
    distance_m[1, :5] = np.inf
    distance_m[2, :5] = 1e4
    towards = np.broadcast_to(-normal, (height, width, 3)).copy()
    towards[:, :30] *= -1
    rows = []
    for scene, part in (("ai_001_001", "train"), ("ai_003_010", "val")):
        geometry = folder / scene / "images" / "scene_cam_00_geometry_hdf5"
        preview = folder / scene / "images" / "scene_cam_00_final_preview"
        geometry.mkdir(parents=True)
        preview.mkdir(parents=True)
        image = np.full((height, width, 3), (30, 60, 200), np.uint8)  # BGR
        cv2.imwrite(str(preview / "frame.0007.tonemap.jpg"), image)
        for name, array in (
            ("depth_meters", distance_m.astype(np.float16)),
            ("normal_cam", (towards * [1, -1, -1]).astype(np.float16)),  # x right, y up, z backward
        ):
            with h5py.File(geometry / f"frame.0007.{name}.hdf5", "w") as file:
                file["dataset"] = array
        rows += [[scene, "cam_00", "7", "True", "", part], [scene, "cam_00", "8", "False", "bad", part]]
    with (folder / TABLE).open("w", newline="") as file:
        writer = csv.writer(file)
        names = ["scene_name", "camera_name", "frame_id", "included_in_public_release"]
        writer.writerow([*names, "exclude_reason", "split_partition_name"])
        writer.writerows(rows)
    return folder, depth_m, -normal


def write_virtual_kitti(folder, *, apart=False, numbers=("00000", "00001")):
    """Images that show their column and row; depth is a slanted plane below sky."""
    height, width = 375, 1242
    depth_m, _ = plane_depth((height, width), 725.0087, 620.5, 187.0, GROUND, 1.5)
    depth_m = np.where((depth_m > 0) & (depth_m < 600), depth_m, 655.35)
    v, u = np.mgrid[0:height, 0:width]
    image = np.stack([u % 256, v % 256, np.full_like(u, 9)], axis=-1).astype(np.uint8)
    for variation in ("fog", "clone"):
        for kind, suffix in (("rgb", "jpg"), ("depth", "png")):
            root = folder / f"vkitti_2.0.3_{kind}" if apart else folder
            place = root / "Scene20" / variation / "frames" / kind / "Camera_1"
            place.mkdir(parents=True)
            for number in numbers:
                array = image if kind == "rgb" else np.rint(depth_m * 100).astype(np.uint16)
                options = [cv2.IMWRITE_JPEG_QUALITY, 100] if kind == "rgb" else []
                cv2.imwrite(str(place / f"{kind}_{number}.{suffix}"), array, options)
    return folder, depth_m


def test_hypersim_distance_becomes_depth_and_normals_face_the_camera(tmp_path):
    folder, depth_m, normal = write_hypersim(tmp_path)
    views = HypersimViews(folder)
    assert len(views) == 1  # the public frame of the part
    assert views.scenes == ["ai_001_001"]
    view = views[0]
    known = np.ones(HYPERSIM_SIZE, bool)
    known[:3, :5] = False
    assert (view.depth_m[~known] == 0).all()
    assert (view.normals[~known] == 0).all()
    # Half precision, as published, keeps 5e-4; the distance itself is up to 0.2 % longer here.
    np.testing.assert_allclose(view.depth_m[known], depth_m[known], rtol=6e-4)
    np.testing.assert_allclose(
        view.normals[known], np.broadcast_to(normal, view.normals[known].shape), atol=1e-3
    )
    assert np.linalg.norm(view.normals[known], axis=-1) == pytest.approx(1, abs=1e-5)
    assert np.abs(view.image.astype(int) - (200, 60, 30)).max() < 6  # RGB
    assert len(HypersimViews(folder, "val")) == 1


def test_hypersim_refuses_what_it_is_not(tmp_path):
    pytest.importorskip("h5py")
    with pytest.raises(InvalidInputError, match=rf"expected Hypersim in .*, missing {TABLE}"):
        HypersimViews(tmp_path / "nowhere")
    folder, _, _ = write_hypersim(tmp_path / "data")
    with pytest.raises(InvalidInputError, match="public images of the part 'test'"):
        HypersimViews(folder, "test")
    depth = "ai_001_001/images/scene_cam_00_geometry_hdf5/frame.0007.depth_meters.hdf5"
    (folder / depth).write_bytes(b"cut off")
    with pytest.raises(InvalidInputError, match=r"depth_meters\.hdf5, got an unreadable one"):
        HypersimViews(folder)[0]
    (folder / depth).unlink()
    with pytest.raises(InvalidInputError, match=f"missing for 1 of 1: {depth}"):
        HypersimViews(folder)
    (folder / TABLE).write_text("scene_name,camera_name\na,b\n")
    with pytest.raises(InvalidInputError, match="missing frame_id, included_in_public_release, split_"):
        HypersimViews(folder)


@pytest.mark.parametrize("apart", [False, True])
def test_virtual_kitti_is_cropped_clipped_and_has_normals(tmp_path, apart):
    folder, all_depth_m = write_virtual_kitti(tmp_path, apart=apart)
    views = VirtualKittiViews(folder)
    assert views.scenes == ["Scene20/fog"] * 2  # "clone" is not trained on
    view = views[1]
    assert view.depth_m.shape == (352, 1216)
    depth_m = all_depth_m[23:, 13:1229]
    known = depth_m < 79.99
    assert 0.3 < known.mean() < 0.7
    np.testing.assert_allclose(view.depth_m[known], depth_m[known], atol=0.006)
    assert (view.depth_m[depth_m > 80.01] == 0).all()
    # The crop's first pixel is column 13 and row 23 of the image.
    assert np.abs(view.image[0, 0].astype(int) - (9, 23, 13)).max() <= 8
    near = depth_m < 10  # centimetres are too coarse to tell slopes farther away
    expected = -np.array(GROUND) / np.linalg.norm(GROUND)
    angles = np.degrees(np.arccos(np.clip(view.normals[near] @ expected, -1, 1)))
    assert np.median(angles) < 5  # the small slope along x drowns in whole centimetres
    assert (view.normals[depth_m > 80.01] == 0).all()


def test_virtual_kitti_passes_an_unvaried_crop_through(tmp_path):
    view = VirtualKittiViews(write_virtual_kitti(tmp_path)[0])[0]
    same = augment(view, (352, 1216), AugmentationRecipe.none(), np.random.default_rng(0))
    for one, other in zip(view, same, strict=True):
        np.testing.assert_array_equal(one, other)


def test_virtual_kitti_refuses_what_it_is_not(tmp_path):
    with pytest.raises(
        InvalidInputError, match=r"missing Scene01/morning/frames/rgb/Camera_0/rgb_00000\.jpg"
    ):
        VirtualKittiViews(tmp_path)
    folder, _ = write_virtual_kitti(tmp_path / "data")
    depth = folder / "Scene20" / "fog" / "frames" / "depth" / "Camera_1"
    cv2.imwrite(str(depth / "depth_00001.png"), np.zeros((375, 1242), np.uint8))
    with pytest.raises(InvalidInputError, match=r"PNG of 16 bits in .*depth_00001\.png, got uint8"):
        VirtualKittiViews(folder)[1]
    (depth / "depth_00000.png").unlink()
    with pytest.raises(InvalidInputError, match=r"missing for 1 of 2: .*Camera_1/depth_00000\.png"):
        VirtualKittiViews(folder)
    shutil.rmtree(depth)
    with pytest.raises(InvalidInputError, match=r"missing .*frames/depth/Camera_0"):
        VirtualKittiViews(folder)


def test_each_batch_is_from_one_source_at_its_size_nine_to_one(tmp_path):
    hypersim, _, _ = write_hypersim(tmp_path / "hypersim")
    kitti, _ = write_virtual_kitti(tmp_path / "kitti", numbers=("00000",))
    recipe = DataRecipe(
        train=(
            SourceRecipe(hypersim=str(hypersim), weight=9.0, height=24, width=40),
            SourceRecipe(virtual_kitti=str(kitti), weight=1.0),
        ),
        sizes=(SizeRecipe(32, 104),),
        one_source_per_batch=True,
        batch_size=2,
        workers=0,
    )
    sources = [Source(source) for source in recipe.train]
    assert [source.contents for source in sources] == [{"ai_001_001": 1}, {"Scene20/fog": 1}]
    batches = TrainingBatches(sources, recipe, AugmentationRecipe.none(), 3, 60)
    drawn = [batches[step] for step in range(60)]
    small = [batch for batch in drawn if batch.images.shape == (2, 3, 24, 40)]
    wide = [batch for batch in drawn if batch.images.shape == (2, 3, 32, 104)]
    assert len(small) + len(wide) == 60
    assert 1 <= len(wide) <= 14  # 6 expected of 60
    # Which data set it is shows in the colours.
    assert all(batch.images[:, 0].float().mean() > 150 for batch in small)
    assert all(batch.images[:, 0].float().mean() < 60 for batch in wide)


def test_a_named_pipe_in_a_data_set_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "image.jpg")
    with pytest.raises(InvalidInputError, match="named pipe"):
        read_image(tmp_path / "image.jpg")
