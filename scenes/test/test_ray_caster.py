"""The ray caster against closed-form geometry, written down with other formulas than its own."""

from itertools import pairwise

import numpy as np
import pytest

from e2e_depth_scenes.errors import RenderError
from e2e_depth_scenes.ray_caster import KINDS, render_path, render_scene
from e2e_depth_scenes.ray_caster.materials import Material
from e2e_depth_scenes.ray_caster.shapes import box, half_space, prism, turned
from e2e_depth_scenes.ray_caster.solids import Ellipsoid, Frustum, Polyhedron
from e2e_depth_scenes.ray_caster.tracing import View, first_hits, lamplit, sunlit

GRAY = Material(0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1.0)
SIZE = (50, 71)  # neither square nor even
# A camera at (1, -2, 1.5) that looks along world x, slightly down and to the left.
AXES = turned(0.15, 0.2) @ np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]], np.float32).T
VIEW = View(SIZE, 64.0, np.array([1, -2, 1.5], np.float32), AXES.T.astype(np.float32))


def optical_points(depth, focal_px):
    """Unproject with pixel (0, 0) centred at (0, 0) and the principal point in the middle."""
    height, width = depth.shape
    v, u = np.mgrid[0:height, 0:width]
    x, y = (u - (width - 1) / 2) / focal_px, (v - (height - 1) / 2) / focal_px
    return np.stack([x, y, np.ones_like(x)], axis=-1) * depth[..., None]


def traced(*solids, view=VIEW, max_depth_m=100.0):
    """Return depth (H, W), normals (H, W, 3) in the world, and world points (H, W, 3) from the depth."""
    hits = first_hits(list(solids), view, max_depth_m)
    depth, normals = np.zeros(view.size, np.float32), np.zeros((*view.size, 3), np.float32)
    depth.ravel()[hits.pixel] = hits.depth_m
    normals.reshape(-1, 3)[hits.pixel] = hits.normals.T
    points = optical_points(depth, view.focal_px) @ view.axes + view.eye
    return depth, normals, points


def test_ground_plane_unprojects_to_its_height():
    depth, normals, points = traced(half_space(0.25, GRAY))
    seen = depth > 0
    assert 0.2 < seen.mean() < 0.9
    np.testing.assert_allclose(points[seen][:, 2], 0.25, atol=1e-4)
    np.testing.assert_allclose(normals[seen], np.tile([0, 0, 1], (seen.sum(), 1)), atol=1e-6)
    assert not seen[: SIZE[0] // 5].any()
    assert seen[-1].all()


def test_sphere_unprojects_to_its_radius():
    centre, radius = np.array([5.0, -1.5, 0.6]), 0.8
    depth, normals, points = traced(Ellipsoid(centre, [radius] * 3, GRAY))
    seen = depth > 0
    assert seen.sum() > 100
    offset = points[seen] - centre
    np.testing.assert_allclose(np.linalg.norm(offset, axis=1), radius, atol=1e-4)
    np.testing.assert_allclose(normals[seen], offset / radius, atol=1e-3)


def test_ellipsoid_far_away_keeps_its_size():
    view = View(
        (40, 60), 3000.0, np.zeros(3, np.float32), np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]], np.float32)
    )
    depth, _, points = traced(Ellipsoid([90, 0.1, 0.2], [0.4, 0.4, 0.2], GRAY), view=view)
    offset = (points[depth > 0] - [90, 0.1, 0.2]) / [0.4, 0.4, 0.2]
    np.testing.assert_allclose(np.linalg.norm(offset, axis=1), 1, atol=2e-3)


def test_turned_box_shows_points_on_its_faces():
    rotation = turned(0.5, -0.2, 0.3)
    base, size = np.array([5.0, -1.8, 0.4]), np.array([1.0, 1.6, 0.7])
    depth, normals, points = traced(box(base, size, GRAY, rotation))
    seen = depth > 0
    local = (points[seen] - base) @ rotation - [0, 0, size[2] / 2]
    outside = np.abs(local) / (size / 2)
    np.testing.assert_allclose(outside.max(axis=1), 1, atol=3e-4)
    axis = outside.argmax(axis=1)
    expected = (np.eye(3)[axis] * np.sign(local)) @ rotation.T
    np.testing.assert_allclose(normals[seen], expected, atol=1e-5)
    assert len(np.unique(axis)) == 3


def test_each_face_of_a_box_shows_its_own_material():
    materials = [Material(i, (0, 0, 0), (0, 0, 0), 1.0) for i in range(6)]  # +x -x +y -y +z -z
    hits = first_hits([box([6, -2, 0], [1, 2, 1], materials)], VIEW, 50.0)
    shown = {hits.materials[number].pattern for number in np.unique(hits.material)}
    assert shown == {1, 4}  # the face towards the camera, and the top


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (0.8, 0.3), (0.2, 0.9)])
def test_frustum_unprojects_to_its_radius(low, high):
    rotation = turned(0.4, 0.5)
    base, height = np.array([5.0, -1.6, 0.2]), 1.4
    depth, normals, points = traced(Frustum(base, height, low, high, GRAY, rotation))
    seen = depth > 0
    local = (points[seen] - base) @ rotation
    gap = np.hypot(local[:, 0], local[:, 1]) - (low + (high - low) * local[:, 2] / height)
    on_side = np.abs(gap) < 2e-4
    on_cap = (np.minimum(np.abs(local[:, 2]), np.abs(local[:, 2] - height)) < 2e-4) & (gap < 2e-4)
    assert (on_side | on_cap).all()
    assert on_side.sum() > 50
    along_axis = normals[seen] @ rotation[:, 2]
    slope = (high - low) / height
    np.testing.assert_allclose(along_axis[on_side & ~on_cap], -slope / np.hypot(1, slope), atol=1e-4)
    np.testing.assert_allclose(np.abs(along_axis[on_cap & ~on_side]), 1, atol=1e-5)


def test_prism_equals_the_same_box():
    outline = [(-0.5, 0.0), (0.5, 0.0), (0.5, 0.7), (-0.5, 0.7)]
    rotation = turned(-0.4)
    one, _, _ = traced(prism([5, -2, 0.3], outline, 1.6, GRAY, rotation))
    other, _, _ = traced(box([5, -2, 0.3], [1.0, 1.6, 0.7], GRAY, rotation))
    assert (one > 0).sum() > 100
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_room_is_seen_from_inside():
    depth, normals, points = traced(box([0, 0, 0], [9, 7, 3], GRAY, is_hollow=True))
    assert (depth > 0).all()
    walls = np.abs(points - [0, 0, 1.5]) / [4.5, 3.5, 1.5]
    np.testing.assert_allclose(walls.max(axis=-1), 1, atol=1e-4)
    assert ((points - VIEW.eye) * normals).sum(axis=-1).max() < 0


def test_nearest_solid_wins_and_windows_do_not_cut_it():
    """The windows that solids are tried in must never change the picture, not even beside the camera."""
    rng = np.random.default_rng(3)
    solids = [
        box(rng.uniform([-4, -6, -1], [9, 3, 2]), rng.uniform(0.2, 4, 3), GRAY, turned(*rng.normal(0, 1, 3)))
        for _ in range(25)
    ]
    solids += [Frustum(rng.uniform([-3, -6, 0], [9, 3, 2]), 1.5, 0.4, 0.1, GRAY) for _ in range(5)]
    depth, _, _ = traced(*solids)
    rays = VIEW.directions().reshape(3, -1)
    each = np.stack([solid.intersect(VIEW.eye.reshape(3, 1), rays) for solid in solids])
    nearest = each.min(axis=0).reshape(SIZE)
    np.testing.assert_array_equal(depth, np.where(nearest < 100, nearest, 0))
    assert (depth > 0).mean() > 0.3


def test_parallel_ray_beside_a_box_misses():
    solid = box([0, 0, 0], [2, 2, 2], GRAY)
    origins = np.array([[-5.0, -5.0], [0.0, 1.5], [1.0, 1.0]], np.float32)
    t = solid.intersect(origins, np.array([[1.0], [0.0], [0.0]], np.float32))
    np.testing.assert_array_equal(t, [4, np.inf])
    general = Polyhedron(solid.normals, solid.offsets[:, 0], anchor=[0, 0, 0], corners=None, materials=[GRAY])
    np.testing.assert_array_equal(general.intersect(origins, np.array([[1.0], [0.0], [0.0]], np.float32)), t)


def test_shadows_fall_away_from_the_light():
    solids = [half_space(0, GRAY), box([0, 0, 0], [1, 1, 2], GRAY)]
    points = np.array([[1.5, -1.5, 0.0], [0.0, 0.0, 1.5], [0.001, 0.001, 0.001]], np.float32)
    toward_sun = np.array([-1, 0, 1], np.float32) / np.sqrt(np.float32(2))
    np.testing.assert_array_equal(sunlit(solids, points, toward_sun), [0, 1, 1])
    np.testing.assert_array_equal(lamplit(solids, points, np.array([-2, 0, 1.0], np.float32)), [0, 1, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_renders_consistent_geometry(kind):
    height, width = 60, 97
    for seed in range(2):
        sample = render_scene(np.random.default_rng(seed), (height, width), kind)
        assert sample.kind == kind
        assert sample.image.shape == (height, width, 3)
        assert sample.image.std() > 4
        seen = sample.depth_m > 0
        assert seen.mean() > 0.1
        assert sample.depth_m.max() <= 250
        np.testing.assert_array_equal(np.abs(sample.normals).sum(-1) > 0, seen)
        np.testing.assert_allclose(np.linalg.norm(sample.normals[seen], axis=1), 1, atol=1e-4)
        points = optical_points(sample.depth_m, sample.focal_px)
        assert ((points * sample.normals).sum(-1)[seen] <= 1e-3).all()
        error_deg = _angle_to_normals_from_depth(points, sample.normals, seen)
        assert np.median(error_deg) < 0.5


def _angle_to_normals_from_depth(points, normals, seen):
    right = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    estimate = np.cross(down, right)  # towards the camera, as x is right and y is down
    estimate /= np.linalg.norm(estimate, axis=-1, keepdims=True) + 1e-12
    whole = seen[1:-1, 1:-1] & seen[1:-1, 2:] & seen[1:-1, :-2] & seen[2:, 1:-1] & seen[:-2, 1:-1]
    cosine = (estimate * normals[1:-1, 1:-1]).sum(-1)[whole]
    return np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))


def test_pose_puts_the_floor_at_zero():
    sample = render_scene(np.random.default_rng(5), (60, 97), "corridor")
    points = optical_points(sample.depth_m, sample.focal_px)
    pose = sample.world_from_camera
    world = points @ pose[:3, :3].T + pose[:3, 3]
    up = (sample.normals @ pose[:3, :3].T)[..., 2]
    floor = (up > 0.999) & (world[..., 2] < 0.005)
    assert floor.sum() > 100
    np.testing.assert_allclose(world[floor][:, 2], 0, atol=1e-4)


def world_points(sample):
    pose = sample.world_from_camera
    return optical_points(sample.depth_m, sample.focal_px) @ pose[:3, :3].T + pose[:3, 3]


def test_a_path_moves_level_and_turns_about_the_vertical():
    samples = render_path(
        np.random.default_rng(8), (48, 65), frames=4, step_m=0.04, turn_deg=2.0, kind="room"
    )
    assert len(samples) == 4
    assert len({(sample.scene, sample.focal_px) for sample in samples}) == 1
    poses = np.stack([sample.world_from_camera for sample in samples])
    steps = np.diff(poses[:, :3, 3], axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps[:, :2], axis=1), 0.04, rtol=1e-4)
    np.testing.assert_allclose(steps[:, 2], 0, atol=1e-6)
    np.testing.assert_allclose(steps, np.tile(steps[0], (3, 1)), atol=1e-6)  # straight on
    looks = poses[0, :2, 2] / np.linalg.norm(poses[0, :2, 2])
    assert steps[0, :2] @ looks > 0.02  # about where it looks
    for before, after in pairwise(poses):
        turn = after[:3, :3] @ before[:3, :3].T
        np.testing.assert_allclose(turn[2], [0, 0, 1], atol=1e-6)
        assert abs(np.rad2deg(np.arctan2(turn[1, 0], turn[0, 0]))) == pytest.approx(2.0, abs=1e-3)


def test_a_path_shows_one_scene_in_one_light():
    first, second = render_path(
        np.random.default_rng(3), (48, 65), frames=2, step_m=1e-4, turn_deg=0.0, kind="corridor"
    )
    seen = (first.depth_m > 0) & (second.depth_m > 0)
    gap = np.linalg.norm(world_points(first) - world_points(second), axis=-1)[seen]
    assert np.median(gap) < 1e-3
    change = np.abs(first.image.astype(int) - second.image.astype(int))
    assert np.median(change) <= 1
    assert first.image.std() > 4


def test_same_seed_same_scene():
    first = render_scene(np.random.default_rng(11), (36, 52))
    again = render_scene(np.random.default_rng(11), (36, 52))
    other = render_scene(np.random.default_rng(12), (36, 52))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.depth_m, again.depth_m)
    assert (first.scene, first.kind, first.focal_px) == (again.scene, again.kind, again.focal_px)
    assert first.scene != other.scene


def test_unknown_kind_is_refused():
    with pytest.raises(RenderError, match=r"street.*'beach'"):
        render_scene(np.random.default_rng(0), (20, 30), "beach")
    with pytest.raises(RenderError, match=r"\(1, 30\)"):
        render_scene(np.random.default_rng(0), (1, 30))


def test_a_camera_that_sees_nothing_has_no_depth():
    depth, _, _ = traced(Ellipsoid(np.array([-5.0, 0, 1]), [0.5] * 3, GRAY))  # behind it
    assert not depth.any()
    for scene in render_path(
        np.random.default_rng(105), (24, 32), frames=40, step_m=0.06, turn_deg=3, kind="corridor"
    ):
        assert scene.image.shape == (24, 32, 3)
