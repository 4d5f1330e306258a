"""The real Blender: depth and normals are exact, scenes repeat, splits share nothing."""

import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_scenes.renderers import BLENDER_PYTHON_VARIABLE, GENERATOR, read_scene

BLENDER = os.environ.get(BLENDER_PYTHON_VARIABLE)
pytestmark = pytest.mark.skipif(
    not BLENDER, reason=f"needs Blender: set {BLENDER_PYTHON_VARIABLE} to a Python with bpy and OpenEXR"
)


def run(*arguments: object) -> str:
    done = subprocess.run(
        [BLENDER, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_known_plane_and_sphere_reproject_within_a_tenth_of_a_millimetre(tmp_path: Path) -> None:
    run(Path(__file__).parent / "blender_plane_and_sphere.py", GENERATOR, tmp_path / "scene.npz")
    with np.load(tmp_path / "scene.npz") as found:
        depth_m, normals = found["depth_m"].astype(np.float64), found["normals"].astype(np.float64)
        focal_px, pose = float(found["focal_px"]), found["world_from_camera"].astype(np.float64)
    height, width = depth_m.shape
    v, u = np.mgrid[:height, :width]
    rays = np.stack(
        [(u - (width - 1) / 2) / focal_px, (v - (height - 1) / 2) / focal_px, np.ones((height, width))], -1
    )
    origin, directions = pose[:3, 3], rays @ pose[:3, :3].T
    # The plane z = 0, and the sphere of radius 0.5 around `centre`, in closed form.
    with np.errstate(divide="ignore", invalid="ignore"):
        plane = np.where(directions[..., 2] < 0, -origin[2] / directions[..., 2], np.inf)
        plane = np.where(np.abs(origin + plane[..., None] * directions).max(-1) < 15, plane, np.inf)
    centre = np.array([0.3, 2.0, 0.7])
    a, b = (directions**2).sum(-1), directions @ (origin - centre)
    root = b**2 - a * (((origin - centre) ** 2).sum() - 0.25)
    with np.errstate(invalid="ignore"):
        sphere = np.where(root > 0, (-b - np.sqrt(root)) / a, np.inf)
    expected = np.minimum(plane, sphere)  # rays have z = 1, so their parameter is depth
    # Not at outlines, where a hundredth of a pixel decides what is hit.
    outline = np.zeros((height, width), dtype=bool)
    for axis in (0, 1):
        for shift in (-1, 1):
            outline |= (sphere < plane) != np.roll(sphere < plane, shift, axis)
            outline |= np.isinf(expected) != np.roll(np.isinf(expected), shift, axis)
    on_plane, on_sphere = (sphere > plane) & ~outline, (sphere < plane) & ~outline
    assert on_plane.sum() > 1000
    assert on_sphere.sum() > 300
    np.testing.assert_array_equal((depth_m == 0)[~outline], np.isinf(expected)[~outline])
    points = origin + depth_m[..., None] * directions
    near = on_plane & (expected < 10)
    np.testing.assert_allclose(points[near][:, 2], 0, atol=1e-4)
    radius = np.linalg.norm(points - centre, axis=-1)[on_sphere]
    np.testing.assert_allclose(radius, 0.5, atol=1e-4)
    known = np.abs(normals).sum(-1) > 0
    for where, truth in (
        (near & known, np.broadcast_to([0.0, 0, 1], points.shape)),
        (on_sphere & known, (points - centre) / 0.5),
    ):
        world = normals @ pose[:3, :3].T
        angle = np.degrees(np.arccos(np.clip((world * truth).sum(-1)[where], -1, 1)))
        assert where.sum() > 250
        # A normal is the mean of four places in its pixel, and one pixel covers up to 4 degrees of this ball.
        assert np.median(angle) < 1
        assert angle.max() < 6
    assert ((normals * rays).sum(-1)[known] < 0).all()


def test_a_scene_depends_on_its_seed_and_a_second_start_skips_it(tmp_path: Path) -> None:
    arguments = [
        "--seed",
        3,
        "--scenes",
        1,
        "--views",
        2,
        "--size",
        "36x52",
        "--samples",
        1,
        "--mix",
        "street=1",
    ]
    for folder in ("a", "b"):
        assert "scene 3 street" in run(GENERATOR, *arguments, "--output", tmp_path / folder)
    a, b = (read_scene(tmp_path / folder / "00000003.npz") for folder in ("a", "b"))
    assert [sample.image.shape for sample in a] == [(36, 52, 3)] * len(a)
    assert 1 <= len(a) == len(b) <= 2
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one.depth_m, other.depth_m)
        np.testing.assert_array_equal(one.world_from_camera, other.world_from_camera)
        assert one.focal_px == other.focal_px
        length = np.linalg.norm(one.normals, axis=-1)
        np.testing.assert_allclose(length[length > 0], 1, atol=1e-5)
    assert "scene 3" not in run(GENERATOR, *arguments, "--output", tmp_path / "a")


def test_a_camera_that_moves_keeps_its_lens_and_its_light(tmp_path: Path) -> None:
    arguments = ["--seed", 4, "--scenes", 1, "--views", 3, "--step", 0.05, "--turn", 1.5]
    arguments += ["--size", "36x52", "--samples", 2, "--mix", "corridor=1", "--output", tmp_path]
    assert "scene 4 corridor views 3" in run(GENERATOR, *arguments)
    samples = read_scene(tmp_path / "00000004.npz")
    poses = np.stack([sample.world_from_camera for sample in samples])
    assert len({sample.focal_px for sample in samples}) == 1
    steps = np.diff(poses[:, :3, 3], axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 0.05, rtol=1e-3)
    np.testing.assert_allclose(steps[:, 2], 0, atol=1e-5)
    turn = poses[1, :3, :3] @ poses[0, :3, :3].T
    assert abs(np.rad2deg(np.arctan2(turn[1, 0], turn[0, 0]))) == pytest.approx(1.5, abs=1e-2)
    means = [sample.image.mean() for sample in samples]
    assert max(means) - min(means) < 8  # of 255: exposure was drawn once


CUBE = """mtllib cube.mtl
usemtl red
""" + "".join(f"v {x} {y} {z}\n" for x in (-1, 1) for y in (-2, 2) for z in (-3, 3))
CUBE += "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
CATALOGUE = """id#1=cube
name#1=Cube
category#1=Miscellaneous
model#1=/cube/cube.obj
width#1=40
depth#1=60
height#1=90
"""
IMPORT_TWICE = """
import sys; sys.path.insert(0, {generator!r})
from pathlib import Path
import bpy
import numpy as np
import passes
from catalogues import read_catalogue
from importing import Importer
passes.set_up((24, 40), 1, 1)
model, = read_catalogue(Path({catalogue!r}))
for importer in (Importer(None), Importer(Path({keep!r})), Importer(Path({keep!r}))):
    mesh = importer.mesh_of(model)
    points = np.array([tuple(vertex.co) for vertex in mesh.vertices])
    print("BOX", *points.min(0).round(4), *points.max(0).round(4), len(mesh.polygons))
    material, = mesh.materials
    outputs = [node for node in material.node_tree.nodes if node.type == "OUTPUT_AOV"]
    print("OUTPUTS", len(outputs), material["catalogue"])
"""


def test_a_model_kept_as_a_file_is_the_model_that_was_imported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "own.sh3f", "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", CATALOGUE)
        archive.writestr("cube/cube.obj", CUBE)
        archive.writestr("cube/cube.mtl", "newmtl red\nKd 1 0 0\n")
    names = {"catalogue": str(tmp_path / "own.sh3f"), "keep": str(tmp_path / "kept")}
    lines = run("-c", IMPORT_TWICE.format(generator=str(GENERATOR), **names)).splitlines()
    boxes = [line.split()[1:] for line in lines if line.startswith("BOX")]
    np.testing.assert_allclose(
        np.array(boxes, dtype=float), [[-0.2, -0.3, 0, 0.2, 0.3, 0.9, 6]] * 3, atol=1e-4
    )
    assert [line for line in lines if line.startswith("OUTPUTS")] == ["OUTPUTS 2 True"] * 3
    assert len(list((tmp_path / "kept").glob("*.blend"))) == 1


BEND = """
import sys; sys.path.insert(0, {generator!r})
import random
from pathlib import Path
import bpy
import numpy as np
import bending, cameras, passes
from furniture import Furniture
from lights import Skies
from stage import Stage
passes.set_up((24, 40), 1, 1)
rng = random.Random(1)
stage = Stage(rng, Furniture([], "train", rng, None), Skies([], "train", rng))
road = stage.box(stage.paints.make("asphalt"), (-4, -100, -1), (4, 100, 0))
post = stage.box(stage.paints.make("metal"), (2.9, 59.9, 0), (3.1, 60.1, 2))
bpy.context.view_layer.update()
bend = bending.Bend(curve=0.2, slopes=(-0.03, 0.08), onset_m=50)
bending.bend_stage(stage, bend)
bpy.context.view_layer.update()
view = bending.bend_view(cameras.View((3, 60, 1.5), 5, -2, 1, 70), bend)
direction = np.array([-np.sin(bend.turn(60)), np.cos(bend.turn(60))])
slope = np.array([bend.shift(60.01)[0] - bend.shift(59.99)[0], 0.02])
print("ALONG", float(direction @ slope / np.linalg.norm(slope)))
print("SHIFTS", *bend.shift(0), *bend.shift(-60), *bend.shift(60))
print("POST", *post.matrix_world.translation)
print("VIEW", *view.position, view.heading_deg - 5, view.pitch_deg)
hit = bpy.context.scene.ray_cast(bpy.context.evaluated_depsgraph_get(), (*view.position[:2], 50), (0, 0, -1))
print("HIT", hit[0], hit[1].z)
print("MATERIAL", road.material_slots[0].material.name)
"""


def test_a_bent_street_carries_what_stands_on_it() -> None:
    lines = run("-c", BEND.format(generator=str(GENERATOR))).splitlines()
    found = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    run_m = np.hypot(60, 50) - 50
    up = 0.08 * run_m
    assert float(found["ALONG"][0]) == pytest.approx(1, abs=1e-6)  # a camera looks along the street
    shifts = np.array(found["SHIFTS"], dtype=float)
    np.testing.assert_allclose(shifts, [0, 0, 0.2 * run_m, -0.03 * run_m, 0.2 * run_m, up], atol=1e-9)
    post, view = (np.array(found[name][:3], dtype=float) for name in ("POST", "VIEW"))
    np.testing.assert_allclose(post[:2], view[:2], atol=1e-4)  # both stood at (3, 60)
    np.testing.assert_allclose([post[2], view[2]], [up + 1, up + 1.5], atol=1e-4)
    assert post[0] > 3 + 0.2 * 20  # a positive curve leads to the right
    # From above the camera a ray meets the head of the post, and not land that folded over it.
    assert found["HIT"][0] == "True"
    assert float(found["HIT"][1]) == pytest.approx(up + 2, abs=1e-3)
    assert found["MATERIAL"] == ["asphalt"]


GLASS = """
import sys; sys.path.insert(0, {generator!r})
import random, tempfile
from pathlib import Path
import bpy
import numpy as np
import cameras, passes
from furniture import Furniture
from lights import Skies
from stage import Stage
scene = passes.set_up((24, 40), 4, 1)
camera = cameras.new_camera(scene)
rng = random.Random(1)
stage = Stage(rng, Furniture([], "train", rng, None), Skies([], "train", rng))
stage.box(stage.paints.make("wall"), (-9, 4, -9), (9, 4.1, 9))
for x, alpha in ((-1.5, 0.3), (1.5, 0.0)):
    pane = stage.paints.make("wall")
    next(n for n in pane.node_tree.nodes if n.type == "BSDF_PRINCIPLED").inputs["Alpha"].default_value = alpha
    stage.box(pane, (x - 0.8, 2, -9), (x + 0.8, 2.01, 9))
stage.skies.surround(outdoor=False)
cameras.place(camera, cameras.View((0, 0, 0), 0, 0, 0, 80))
bpy.context.view_layer.update()
with tempfile.TemporaryDirectory() as folder:
    depth_m = passes.render_picture(scene, Path(folder, "frame.exr")).depth_m
half = depth_m[:, 4:10], depth_m[:, 30:36]
print("DEPTHS", *(f(part) for part in half for f in (np.min, np.max)))
"""


def test_thin_glass_has_the_depth_of_its_front_and_what_is_cut_out_none() -> None:
    lines = run("-c", GLASS.format(generator=str(GENERATOR))).splitlines()
    found = next(line.split()[1:] for line in lines if line.startswith("DEPTHS"))
    np.testing.assert_allclose(np.array(found, dtype=float), [2, 2, 4, 4], atol=1e-3)


def test_the_splits_share_no_panorama() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(GENERATOR)!r}); import random; from pathlib import Path; "
        "import lights, split; names = [f'{i}.exr' for i in range(400)]; "
        "sets = [{p.name for p in lights.Skies([Path(n) for n in names], s, random.Random(0)).paths} "
        "for s in ('train', 'validation')]; "
        "assert not sets[0] & sets[1] and len(sets[0] | sets[1]) == 400; print(len(sets[1]))"
    )
    assert 20 <= int(run("-c", program).split()[-1]) <= 60
