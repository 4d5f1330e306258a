"""What scenes may have besides: each choice does what its name says, and depth and normals stay exact."""

import dataclasses
import json
import os
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_scenes.blender import variety
from e2e_depth_scenes.recipe import VarietyRecipe
from e2e_depth_scenes.renderers import BLENDER_PYTHON_VARIABLE, GENERATOR, read_scene

BLENDER = os.environ.get(BLENDER_PYTHON_VARIABLE)
needs_blender = pytest.mark.skipif(
    not BLENDER, reason=f"needs Blender: set {BLENDER_PYTHON_VARIABLE} to a Python with bpy and OpenEXR"
)
CHOICES = [choice.name for choice in dataclasses.fields(VarietyRecipe)]


def run(*arguments: object) -> str:
    done = subprocess.run(
        [BLENDER, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_generator_knows_the_recipes_choices() -> None:
    assert list(variety.CHOICES) == CHOICES


def test_a_choice_that_is_off_draws_nothing() -> None:
    rng = random.Random(5)
    before = rng.getstate()
    choices = variety.Variety(rng, {"pale": 0.0})
    assert not any(choices.happens(name) for name in CHOICES)
    assert rng.getstate() == before


def test_a_choice_happens_as_often_as_it_should() -> None:
    choices = variety.Variety(random.Random(5), {"near": 1.0, "thin": 0.25})
    assert all(choices.happens("near") for _ in range(100))
    assert sum(choices.happens("thin") for _ in range(2000)) == pytest.approx(500, abs=80)


def test_wrong_choices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected choices of pale, .*, got rainy"):
        variety.Variety(random.Random(5), {"rainy": 0.5})
    with pytest.raises(ValueError, match=r"near: expected a probability in 0\.\.1, got 1\.5"):
        variety.Variety(random.Random(5), {"near": 1.5})
    with pytest.raises(KeyError):
        variety.Variety(random.Random(5), {}).happens("rainy")


SCENES = """
import sys; sys.path.insert(0, sys.argv[1])
import json, random
import bpy
import numpy as np
import additions, cameras, passes, people, rooms, seating, slender, tabletops, yards
from closeups import move_close, tilt_down
from furniture import Furniture
from lights import Skies
from mathutils import Vector
from objects import palette
from spots import spot_before
from stage import Plan, Stage, frame
from variety import Variety

scene = passes.set_up((24, 40), 1, 1)
rng = random.Random(1)
chosen = {}
variety = Variety(rng, {})
variety.happens = lambda name: chosen.get(name, False)
stage = Stage(rng, Furniture([], "train", rng, None), Skies([], "train", rng), variety)
found = {}

def begin(seed, *names):
    rng.seed(seed)
    stage.clear()
    chosen.clear()
    chosen.update(dict.fromkeys(names, True))

def meshes():
    return [thing for thing in stage.things() if thing.type == "MESH"]

def boxes(things):
    bpy.context.view_layer.update()
    corners = [[list(t.matrix_world @ Vector(c)) for c in t.bound_box] for t in things]
    return [[*np.min(c, 0).tolist(), *np.max(c, 0).tolist()] for c in corners]

def escaping(place):
    graph = bpy.context.evaluated_depsgraph_get()
    rays = [Vector([rng.gauss(0, 1) for _ in range(3)]).normalized() for _ in range(400)]
    return sum(not scene.ray_cast(graph, place, ray)[0] for ray in rays)

# pale: walls are white and rooms closed
found["escaping"], found["walls"] = {}, {}
for name in ("pale", ""):
    found["escaping"][name] = 0
    values = []
    for seed in range(6):
        begin(seed)
        stage.paints.pale = name == "pale"
        rooms.build(stage)
        bpy.context.view_layer.update()
        found["escaping"][name] += escaping(Vector((0, 0, 1.5)))
        ramp = next(n for n in stage.paints.make("wall").node_tree.nodes if n.type == "VALTORGB") \\
            if name else None
        values += [min(list(e.color)[:3]) for e in ramp.color_ramp.elements] if ramp else []
    found["walls"][name] = values
begin(0)
found["pale after clear"] = stage.paints.pale

# counters, and views of tabletops
found["counter"], found["above"], found["before"] = [], [], []
for seed in range(8):
    begin(seed, "counter", "from_above")
    plan = tabletops.build(stage)
    bpy.context.view_layer.update()
    tops = [box for box in boxes(meshes()) if 0.8 < box[5] < 1.01 and box[3] - box[0] > 0.3 and box[2] > 0.5]
    found["counter"].append(max((box[5] for box in tops), default=0.0))
    found["above"] += [plan.draw_view().pitch_deg for _ in range(10)]

# things before a camera on empty ground
ground = lambda: stage.box(stage.paints.make("asphalt"), (-60, -60, -0.2), (60, 60, 0))
for name, kind in (("seating", "room"), ("people", "yard"), ("thin", "yard"), ("parked", "street")):
    found[name] = []
    for seed in range(6):
        begin(seed, name)
        ground()
        view = cameras.View((1, 2, 1.1), 30, 0, 0, 70)
        plan = additions.enrich(stage, kind, Plan(lambda: view, yards.CLEARANCE))
        found[name].append(boxes(meshes()[1:]))

# no ground where a wall is in the way, or a hole
begin(1)
ground()
view = cameras.View((0, 0, 1.1), 0, 0, 0, 70)
found["free"] = sum(spot_before(stage, view, (2, 5), (0.3, 0.3)) is not None for _ in range(10))
spots = [spot_before(stage, view, (2, 5), (0.3, 0.3)).translation for _ in range(20)]
found["spots"] = [list(spot) for spot in spots]
stage.box(stage.paints.make("wall"), (-20, 1.5, 0), (20, 1.6, 3))
found["walled"] = sum(spot_before(stage, view, (2, 5), (0.3, 0.3)) is not None for _ in range(10))
high = cameras.View((0, 0, 4.5), 0, 0, 0, 70)
found["too high"] = sum(spot_before(stage, high, (2, 5), (0.3, 0.3)) is not None for _ in range(10))

# cameras
begin(2)
ground()
bpy.context.view_layer.update()
view = cameras.View((1, 1, 0.9), 20, 3, 1, 60)
found["nothing near"] = move_close(stage, view) == view
stage.box(stage.paints.make("thing"), (4, 5, 0), (4.8, 5.6, 1.2))
bpy.context.view_layer.update()
moved = [move_close(stage, view) for _ in range(40)]
found["moved"] = [[*v.position, v.heading_deg, v.fov_deg] for v in moved if v != view]
found["tilted"] = [tilt_down(stage, view).pitch_deg for _ in range(50)]
steep = cameras.View((1, 1, 0.9), 20, -70, 1, 60)
found["steep stays"] = tilt_down(stage, steep) == steep

# development
radiance = np.random.default_rng(0).uniform(0, 1, (60, 80, 3)).astype(np.float32)
for share in (0.0, 0.3):
    image = passes.develop(radiance, random.Random(3), burnt_out=share)
    found[f"white {share}"] = float((image.mean(-1) > 249).mean())
print("FOUND", json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    script = tmp_path_factory.mktemp("variety") / "scenes.py"
    script.write_text(SCENES)
    line = next(line for line in run(script, GENERATOR).splitlines() if line.startswith("FOUND"))
    return json.loads(line.partition(" ")[2])


@needs_blender
def test_a_pale_room_is_white_and_closed(found) -> None:
    assert found["escaping"]["pale"] == 0
    assert found["escaping"][""] > 0  # others have windows
    assert min(found["walls"]["pale"]) > 0.4  # stains darken a wall by up to a fifth
    assert np.mean(found["walls"]["pale"]) > 0.65
    assert found["pale after clear"] is False


@needs_blender
def test_a_counter_has_a_worktop_and_is_seen_from_above(found) -> None:
    assert all(0.82 <= height <= 1.0 for height in found["counter"])
    assert -90 <= min(found["above"]) < max(found["above"]) <= -50


@needs_blender
@pytest.mark.parametrize(
    ("name", "tallest", "reach"),
    [("seating", 1.6, 5.5), ("people", 2.1, 14), ("thin", 3.0, 15), ("parked", 3.0, 18)],
)
def test_what_is_added_stands_on_the_ground_before_the_camera(found, name, tallest, reach) -> None:
    scenes = [np.array(boxes) for boxes in found[name]]
    assert all(len(boxes) for boxes in scenes)
    for boxes in scenes:
        assert abs(boxes[:, 2].min()) < 0.03
        assert 0.25 < boxes[:, 5].max() < tallest
        offsets = (boxes[:, :2] + boxes[:, 3:5]) / 2 - [1, 2]
        assert (offsets @ [-np.sin(np.pi / 6), np.cos(np.pi / 6)] > -0.5).all()
        assert np.linalg.norm(offsets, axis=1).max() < reach


@needs_blender
def test_a_spot_is_free_ground_in_sight(found) -> None:
    assert found["free"] == 10
    assert found["walled"] == found["too high"] == 0
    spots = np.array(found["spots"])
    np.testing.assert_allclose(spots[:, 2], 0, atol=1e-5)
    distance = np.linalg.norm(spots[:, :2], axis=1)
    assert 2 <= distance.min() < distance.max() <= 5
    assert np.degrees(np.abs(np.arctan2(spots[:, 0], spots[:, 1]))).max() < 35


@needs_blender
def test_a_camera_moves_close_and_keeps_its_height(found) -> None:
    moved = np.array(found["moved"])
    assert found["nothing near"]
    assert len(moved) >= 35
    np.testing.assert_allclose(moved[:, 2], 0.9, atol=1e-4)
    outside = np.maximum(0, np.abs(moved[:, :2] - [4.4, 5.3]) - [0.4, 0.3])
    distance = np.linalg.norm(outside, axis=1)
    assert 0.15 < distance.min() < distance.max() < 1.3 * 0.85
    to_middle = np.array([4.4, 5.3]) - moved[:, :2]
    bearing = np.degrees(np.arctan2(-to_middle[:, 0], to_middle[:, 1]))
    aside = (moved[:, 3] - bearing + 180) % 360 - 180
    assert np.abs(aside).max() <= 0.4 * 60 + 0.1
    assert np.ptp(bearing) > 180  # from all sides


@needs_blender
def test_cameras_tilt_down(found) -> None:
    assert -45 <= min(found["tilted"]) < -30
    assert -15 < max(found["tilted"]) <= 0
    assert found["steep stays"]


@needs_blender
def test_an_overexposed_picture_is_white_in_part(found) -> None:
    assert found["white 0.0"] < 0.05
    assert 0.2 < found["white 0.3"] < 0.6


EXACT = """
import sys; sys.path.insert(0, sys.argv[1])
import random, tempfile
from pathlib import Path
import bpy
import numpy as np
import cameras, counters, objects, passes, people, seating, slender
from furniture import Furniture
from lights import Skies
from mathutils import Vector
from stage import Stage, frame

scene = passes.set_up((72, 100), 1, 1)
camera = cameras.new_camera(scene)
rng = random.Random(1)
stage = Stage(rng, Furniture([], "train", rng, None), Skies([], "train", rng))
paints = objects.palette(stage)
stage.box(stage.paints.make("floor"), (-9, -9, -0.1), (9, 9, 0))
for column in range(4):
    people.person(stage, frame(column - 1.5, 3.2, turn=rng.uniform(0, 6)))
    slender.slender_thing(stage, paints, frame(column - 1.5, 2.2, turn=rng.uniform(0, 6)))
seating.sofa(stage, frame(-0.9, 1.2, turn=2.5), 1.4)
counters.build_counter(stage, paints)
stage.skies.surround(outdoor=False)
view = cameras.View((0.3, -1.6, 1.7), 4, -16, 3, 75)
cameras.place(camera, view)
bpy.context.view_layer.update()
with tempfile.TemporaryDirectory() as folder:
    picture = passes.render_picture(scene, Path(folder, "frame.exr"))
height, width = picture.depth_m.shape
focal = passes.focal_px(scene)
graph = bpy.context.evaluated_depsgraph_get()
turn = view.pose.to_3x3()
depth, normals = np.zeros((height, width)), np.zeros((height, width, 3))
things, names = np.zeros((height, width)), {}
for v in range(height):
    for u in range(width):
        ray = Vector(((u - (width - 1) / 2) / focal, -(v - (height - 1) / 2) / focal, -1))
        hit, place, normal, _, thing, _ = scene.ray_cast(
            graph, Vector(view.position), (turn @ ray).normalized()
        )
        if hit:
            local = turn.transposed() @ (place - Vector(view.position))
            n = turn.transposed() @ normal
            n = -n if n.dot(ray) > 0 else n
            depth[v, u], normals[v, u] = -local.z, (n.x, -n.y, -n.z)
            things[v, u] = names.setdefault(thing.name, len(names) + 1)
rendered = {"rendered": picture.depth_m, "rendered_normals": picture.normals}
np.savez(sys.argv[2], depth=depth, normals=normals, things=things, **rendered)
"""


@needs_blender
def test_depth_is_planar_and_normals_are_those_of_the_faces(tmp_path: Path) -> None:
    """Blender's own rays, cast from the geometry alone, against what was rendered."""
    (tmp_path / "exact.py").write_text(EXACT)
    run(tmp_path / "exact.py", GENERATOR, tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as file:
        things, depth, rendered = file["things"], file["depth"], file["rendered"].astype(float)
        normals, rendered_normals = file["normals"], file["rendered_normals"].astype(float)
    # A pixel at an outline shows one side or the other.
    smooth = things > 0
    for shift in ((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
        bend = (normals * np.roll(normals, shift, (0, 1))).sum(-1)
        smooth &= (things == np.roll(things, shift, (0, 1))) & (bend > 0.7)
    smooth[[0, -1]] = smooth[:, [0, -1]] = False
    assert smooth.mean() > 0.25
    assert len(np.unique(things[smooth])) > 20
    # One thing may hide a part of itself: a leg behind a leg.
    wrong = np.abs(rendered - depth)[smooth] > 1e-3 * depth[smooth]
    assert wrong.mean() < 0.005
    known = smooth & (np.abs(rendered_normals).sum(-1) > 0)
    assert known.sum() > 0.8 * smooth.sum()
    angle = np.degrees(np.arccos(np.clip((normals * rendered_normals).sum(-1)[known], -1, 1)))
    # Smooth shading turns the normals of a limb away from those of its faces.
    assert np.median(angle) < 0.5
    assert np.percentile(angle, 99) < 32


@needs_blender
def test_scenes_with_everything_render_from_their_seed(tmp_path: Path) -> None:
    everything = ",".join(f"{name}=1" for name in CHOICES)
    arguments = ["--seed", 11, "--scenes", 4, "--views", 2, "--size", "36x52", "--samples", 1]
    arguments += ["--mix", "room=1,tabletop=1,street=1,hall=1", "--variety", everything]
    for folder in ("a", "b"):
        run(GENERATOR, *arguments, "--output", tmp_path / folder)
    names = [path.name for path in sorted((tmp_path / "a").glob("*.npz"))]
    assert len(names) >= 3
    for name in names:
        for a, b in zip(read_scene(tmp_path / "a" / name), read_scene(tmp_path / "b" / name), strict=True):
            np.testing.assert_array_equal(a.depth_m, b.depth_m)
            np.testing.assert_array_equal(a.world_from_camera, b.world_from_camera)
            length = np.linalg.norm(a.normals, axis=-1)
            np.testing.assert_allclose(length[length > 0], 1, atol=1e-5)
            forward = a.world_from_camera[:3, 2]
            assert forward[2] < 0.2  # tilted down


@needs_blender
def test_the_command_refuses_an_unknown_choice(tmp_path: Path) -> None:
    arguments = ["--seed", "1", "--output", str(tmp_path), "--variety", "rainy=1"]
    done = subprocess.run(
        [BLENDER, str(GENERATOR), *arguments], capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 2
    assert "expected choices of pale" in done.stderr
