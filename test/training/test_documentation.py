"""docs/training.md says what the recipes and the set-up have."""

import re
from pathlib import Path

import pytest

from e2e_depth_ros.training.recipe import read_recipe

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "e2e_depth_ros" / "training" / "recipes"
TEXT = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| `(e2e_ft_\w+\.yaml)`(?:, `\.\.\.(\w+\.yaml)`)? \| `([^`]+)` \| (.+) \|$", TEXT, re.MULTILINE
)


def test_every_fine_tuning_recipe_is_listed():
    listed = {name for name, *_ in ROWS}
    listed |= {name.replace("_depth.yaml", other) for name, other, *_ in ROWS if other}
    assert listed == {path.name for path in RECIPES.glob("e2e_ft_*.yaml")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_starts_and_tasks_are_the_recipes(row):
    name, _, start, learns = row
    recipe = read_recipe(RECIPES / name)
    assert recipe.model.start == start
    assert all(task.value in learns for task in recipe.tasks)
    assert recipe.optimiser.steps == 20_000
    assert (recipe.optimiser.accumulate, recipe.data.batch_size) == (16, 2)
    assert all(16 % count == 0 for count in (1, 2, 4, 8, 16))


def test_recipe_by_the_clock_is_as_told():
    section = TEXT.partition("## On a GPU for some minutes")[2].partition("\n## ")[0]
    assert "`embedded_gpu.yaml` has both: ten minutes from the embedded checkpoint" in section.replace(
        "\n", " "
    )
    recipe = read_recipe(RECIPES / "embedded_gpu.yaml")
    assert (round(recipe.optimiser.minutes), recipe.data.resident) == (10, True)
    assert recipe.model.start == "embedded"


def test_extras_exist():
    extras = set(re.findall(r'^ {8}"(\w+)": ', (ROOT / "setup.py").read_text(encoding="utf-8"), re.MULTILINE))
    asked = re.search(r'pip install "\.\[([\w,]+)\]"', TEXT).group(1).split(",")
    assert set(asked) <= extras
