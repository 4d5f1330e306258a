"""docs/own_data.md: its frames are written as it writes them, and its recipes can be read."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml

from e2e_depth_ros.core.frames import find_frames
from e2e_depth_ros.training.recipe import recipe_from_mapping

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "own_data.md").read_text(encoding="utf-8")
SHIPPED = ROOT / "e2e_depth_ros" / "training" / "recipes" / "own_frames.yaml"


def test_frames_are_those_of_a_camera_upside_down_and_upright(tmp_path, monkeypatch):
    pytest.importorskip("e2e_depth_scenes", reason="the renderer is a distribution of its own")
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    code = code.replace("range(120)", "range(1)").replace("range(1000, 1030)", "range(1000, 1001)")
    (tmp_path / "frames.py").write_text(code, encoding="utf-8")
    runpy.run_path("frames.py")
    frames = {frame.name: frame for frame in find_frames(["frames"])}
    assert {*frames} == {"train/upside_down/0000", "validation/upside_down/1000", "validation/upright/1000"}
    turned, upright = frames["validation/upside_down/1000"], frames["validation/upright/1000"]
    np.testing.assert_array_equal(turned.read_image()[::-1, ::-1], upright.read_image())
    np.testing.assert_array_equal(turned.read_depth()[::-1, ::-1], upright.read_depth())
    assert turned.read_camera().cx == upright.read_camera().cx == 95.5
    assert upright.read_camera().cy == 71.5


def test_changes_of_the_recipe_are_keys_of_the_one_that_ships():
    sentence = PAGE.partition("`my_recipe.yaml` is `own_frames.yaml` with ")[2].partition("\n\n")[0]
    changes = dict(yaml.safe_load(words).popitem() for words in re.findall(r"`([^`]+)`", sentence))
    assert len(changes) == 7
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    for name, value in changes.items():
        (group,) = [group for group in ("data", "optimiser") if name in content[group]]
        assert content[group][name] != value
        content[group][name] = value
    assert recipe_from_mapping(content).optimiser.steps == 40


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_sources_of_the_page_are_read(block):
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    recipe = recipe_from_mapping({**content, "data": {**content["data"], **yaml.safe_load(block)["data"]}})
    assert [source.bag for source in recipe.data.train] == ["office", "yard", "yard"]
