"""Rendering by recipe: processes are replaced, interrupted runs go on, failures are named."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.training.shards import find_shards, read_shard
from e2e_depth_scenes import renderers
from e2e_depth_scenes.__main__ import main
from e2e_depth_scenes.errors import RenderError
from e2e_depth_scenes.recipe import PathRecipe, RenderRecipe, SceneMix, VarietyRecipe
from e2e_depth_scenes.recipe_file import read_recipe
from e2e_depth_scenes.render import render
from e2e_depth_scenes.renderers import read_scene

RECIPES = Path(renderers.__file__).parent / "recipes"

# Writes what the Blender generator writes, and dies where it is told to.
FAKE_GENERATOR = """
import argparse, os, sys
import numpy as np
parser = argparse.ArgumentParser()
for name in ("output", "size", "split", "mix", "models"):
    parser.add_argument(f"--{name}")
for name in ("seed", "scenes", "views", "samples", "threads"):
    parser.add_argument(f"--{name}", type=int)
for name in ("step", "turn"):
    parser.add_argument(f"--{name}", type=float)
options = parser.parse_args()
height, width = map(int, options.size.split("x"))
for seed in range(options.seed, options.seed + options.scenes):
    if seed in DEADLY:
        sys.exit("scene too terrible to render")
    v, u = np.mgrid[:height, :width]
    image = np.stack([5 * u + 20, 8 * v + 20, 3 * (u + v)], axis=-1).astype(np.uint8)
    image = np.stack([image if view else 0 * image for view in range(options.views)])  # one is black
    depth_m = np.stack([(1 + 0.1 * v + 0.02 * u).astype(np.float32)] * options.views)
    normals = np.zeros((*depth_m.shape, 3), np.float32)
    normals[..., 2] = -1
    views = range(options.views)
    path = os.path.join(options.output, f"{seed:08d}")
    with open(path + ".part", "wb") as file:
        np.savez(file, image=image, depth_m=depth_m, normals=normals, kind=np.array("room"),
                 focal_px=np.full(options.views, 35.0), seed=np.array(seed),
                 world_from_camera=np.stack([np.eye(4) + (options.step or 0) * v for v in views]))
    os.rename(path + ".part", path + ".npz")
"""
RECIPE = RenderRecipe(
    source="blender", images=20, size=(24, 40), first_seed=50, shard_size=7, views=3, scenes_per_process=4
)


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_generator(tmp_path, monkeypatch, deadly=())


def use_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deadly: tuple[int, ...]) -> Path:
    import sys

    generator = tmp_path / "generator.py"
    generator.write_text(FAKE_GENERATOR.replace("DEADLY", repr(deadly)))
    monkeypatch.setattr(renderers, "GENERATOR", generator)
    return Path(sys.executable)


def samples_in(folder: Path) -> list:
    return [sample for path in find_shards(folder) for sample in read_shard(path)]


def test_renders_until_the_images_are_there_and_counts_the_dropped(tmp_path: Path, python: Path) -> None:
    found = render(RECIPE, tmp_path / "out", blender_python=python, show_progress=False)
    samples = samples_in(tmp_path / "out")
    assert len(samples) == found["images"] == 20
    assert {sample.scene for sample in samples} == set(range(50, 60))  # three processes, one after another
    assert found["dropped"] == {"room: black": 10}
    assert (tmp_path / "out" / "contact_sheet.jpg").stat().st_size > 0
    assert json.loads((tmp_path / "out" / "statistics.json").read_text()) == found


def test_goes_on_without_repeating_a_scene(tmp_path: Path, python: Path) -> None:
    render(RECIPE, tmp_path / "out", blender_python=python, show_progress=False)
    more = RenderRecipe(**{**RECIPE.__dict__, "images": 33})
    found = render(more, tmp_path / "out", blender_python=python, show_progress=False)
    samples = samples_in(tmp_path / "out")
    assert len(samples) == found["images"] == 33
    views = [sample.scene for sample in samples]
    assert max(views.count(scene) for scene in set(views)) == 2
    assert render(more, tmp_path / "out", blender_python=python, show_progress=False)["images"] == 33


def test_what_an_interrupted_run_left_is_packed(tmp_path: Path, python: Path) -> None:
    import subprocess

    spool = tmp_path / "out" / renderers.SPOOL
    spool.mkdir(parents=True)
    options = ["--size=24x40", "--split=train", "--mix=", "--seed=90", "--scenes=3", "--views=3"]
    subprocess.run([python, renderers.GENERATOR, *options, f"--output={spool}"], check=True)
    render(RECIPE, tmp_path / "out", blender_python=python, show_progress=False)
    scenes = {sample.scene for sample in samples_in(tmp_path / "out")}
    assert scenes == set(range(90, 100))  # the three that lay there, and the seeds after them
    assert not list(spool.glob("00000090.npz"))


def test_a_process_that_dies_is_counted_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = use_generator(tmp_path, monkeypatch, deadly=(52,))
    found = render(RECIPE, tmp_path / "out", blender_python=python, show_progress=False)
    assert found["images"] == 20
    assert found["dropped"]["renderer ended with 1"] == 1
    assert not {52, 53} & {sample.scene for sample in samples_in(tmp_path / "out")}


def test_a_renderer_that_never_works_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = use_generator(tmp_path, monkeypatch, deadly=tuple(range(999)))
    with pytest.raises(RenderError, match=r"none in 3 starts: .*too terrible"):
        render(RECIPE, tmp_path / "out", blender_python=python, show_progress=False)


@pytest.mark.parametrize("source", ["blender", "ray_caster"])
def test_a_signal_ends_the_run_in_order(tmp_path: Path, python: Path, source: str) -> None:
    import os
    import signal
    import threading
    import time

    def end() -> None:
        while not list((tmp_path / "out").glob("shard-*.npz")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    recipe = RenderRecipe(**{**RECIPE.__dict__, "source": source, "images": 10**6, "scenes_per_process": 5})
    ending = threading.Thread(target=end)
    ending.start()
    found = render(recipe, tmp_path / "out", blender_python=python, show_progress=False)
    ending.join()
    samples = samples_in(tmp_path / "out")
    assert 0 < len(samples) == found["images"] < 10**6
    assert found["scenes"] == len({sample.scene for sample in samples})


def test_without_blender_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(renderers.BLENDER_PYTHON_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(RenderError, match="pip install bpy"):
        render(RECIPE, tmp_path / "out", show_progress=False)


def test_a_pattern_without_files_is_an_error(tmp_path: Path, python: Path) -> None:
    recipe = RenderRecipe(**{**RECIPE.__dict__, "furniture": (str(tmp_path / "*.sh3f"),)})
    with pytest.raises(RenderError, match=r"expected files for .*\.sh3f"):
        render(recipe, tmp_path / "out", blender_python=python, show_progress=False)


def test_a_broken_scene_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.npz").write_bytes(b"PK")
    with pytest.raises(RenderError, match=r"rendered scene, got .*1\.npz"):
        read_scene(tmp_path / "1.npz")


def test_ray_caster_recipe_renders_and_goes_on(tmp_path: Path) -> None:
    recipe = RenderRecipe(source="ray_caster", images=4, size=(24, 40), first_seed=5, shard_size=3)
    render(recipe, tmp_path, show_progress=False)
    first = samples_in(tmp_path)
    assert len(first) == 4
    assert min(sample.scene for sample in first) >= 5
    found = render(RenderRecipe(**{**recipe.__dict__, "images": 6}), tmp_path, show_progress=False)
    assert found["images"] == 6
    scenes = [sample.scene for sample in samples_in(tmp_path)]
    assert len(set(scenes)) == 6
    assert scenes[:4] == [sample.scene for sample in first]
    assert not np.array_equal(first[0].depth_m, first[1].depth_m)


def test_a_path_is_one_scene_seen_by_a_camera_that_moves(tmp_path: Path) -> None:
    path = PathRecipe(frames=3, step_m=0.05, turn_deg=1)
    recipe = RenderRecipe(source="ray_caster", images=6, size=(24, 40), first_seed=5, path=path)
    assert render(recipe, tmp_path, show_progress=False)["scenes"] == 2
    samples = samples_in(tmp_path)
    assert [sample.scene for sample in samples] == [samples[0].scene] * 3 + [samples[3].scene] * 3
    steps = [b.world_from_camera - a.world_from_camera for a, b in pairwise(samples[:3])]
    np.testing.assert_allclose([np.linalg.norm(step[:3, 3]) for step in steps], 0.05, rtol=1e-4)


def test_blender_is_told_of_the_path(tmp_path: Path, python: Path) -> None:
    recipe = RenderRecipe(**{**RECIPE.__dict__, "path": PathRecipe(frames=4, step_m=0.03)})
    render(recipe, tmp_path / "out", blender_python=python, show_progress=False)
    samples = samples_in(tmp_path / "out")
    assert [sample.scene for sample in samples[:4]] == [50, 50, 50, 51]  # the first of four views is black
    np.testing.assert_allclose([s.world_from_camera[0, 3] for s in samples[:3]], [0.03, 0.06, 0.09])


def test_blender_is_told_of_the_choices_that_are_on(tmp_path: Path, python: Path) -> None:
    # The generator here dies of an option that it does not know, as one of another version would.
    recipe = RenderRecipe(**{**RECIPE.__dict__, "images": 2})
    assert render(recipe, tmp_path / "off", blender_python=python, show_progress=False)["images"] == 2
    with renderers.GENERATOR.open("a") as file:
        file.write("open(options.output + '/../told', 'w').write(options.variety)")
    text = renderers.GENERATOR.read_text().replace('"models"', '"models", "variety"')
    renderers.GENERATOR.write_text(text)
    recipe = RenderRecipe(**{**recipe.__dict__, "images": 12, "variety": VarietyRecipe(near=0.25, pale=1.0)})
    render(recipe, tmp_path / "on", blender_python=python, show_progress=False)
    assert (tmp_path / "on" / "told").read_text() == "pale=1.0,near=0.25"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("render_*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert read_recipe(path).images >= 480


def test_recipe_reads_its_keys_and_refuses_others(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("{source: blender, images: 9, size: [24, 40], mix: {room: 1, street: 0.5}}")
    recipe = read_recipe(path)
    assert recipe.size == (24, 40)
    assert recipe.mix == SceneMix(room=1, street=0.5)
    for text, message in (
        ("{source: blender, images: 9, sizes: [24, 40]}", "unknown key sizes"),
        ("{source: blender}", "missing key images"),
        ("{source: povray, images: 9}", "expected blender or ray_caster, got 'povray'"),
        ("{source: blender, images: 0}", "images: expected at least 1, got 0"),
        ("{source: blender, images: 9, size: [24]}", "size: expected 2 entries"),
        ("{source: blender, images: 9, mix: {rooms: 1}}", "unknown key mix.rooms"),
        ("{source: blender, images: 9, variety: {rain: 1}}", "unknown key variety.rain"),
        ("{source: blender, images: 9, variety: {near: 2}}", r"variety.near: .* in 0\.\.1, got 2\.0"),
        ("{source: blender, images: 9, path: {frames: 1}}", "path.frames: expected 0 or at least 2, got 1"),
        ("{source: blender, images: 9, path: {step_m: -1}}", r"path.step_m: .* got -1\.0"),
    ):
        path.write_text(text)
        with pytest.raises(RenderError, match=message):
            read_recipe(path)


def test_command_prints_what_it_made(
    tmp_path: Path, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.yaml").write_text("{source: blender, images: 3, size: [24, 40], views: 2}")
    arguments = [str(tmp_path / "r.yaml"), "--output", str(tmp_path / "out"), "--blender-python", str(python)]
    assert main(arguments) == 0
    assert "3 of 3 images, 3 scenes" in capsys.readouterr().out


def test_wrong_input_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, out = tmp_path / "r.yaml", tmp_path / "out"
    recipe.write_text("{source: ray_caster, images: 3, size: [24, 40]}")
    (tmp_path / "no.yaml").write_text("{source: [")
    (tmp_path / "file").write_text("not a folder")
    out.mkdir()
    (out / "shard-00000.npz").write_bytes(b"PK")
    wrong = [
        (tmp_path / "none.yaml", out, "none.yaml"),
        (tmp_path / "no.yaml", out, "as YAML"),
        (recipe, tmp_path / "file", "file"),
        (recipe, out, "shard-00000.npz"),
    ]
    for path, folder, message in wrong:
        assert main([str(path), "--output", str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("e2e-depth-scenes: ")
        assert message in error
        assert error.count("\n") == 1
