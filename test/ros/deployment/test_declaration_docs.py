"""Configuration files and tables are the declaration."""

from pathlib import Path

import pytest
import yaml

from e2e_depth_ros.ros.declarations.declaration import declarations_from_struct
from e2e_depth_ros.ros.deployment.declaration_docs import STRUCTS, parameters_markdown, parameters_yaml

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("node", STRUCTS)
def test_config_file_is_in_step_with_the_declaration(node):
    text = (ROOT / "config" / f"{node}.yaml").read_text(encoding="utf-8")
    assert text == parameters_yaml(node), "write it anew: its second line says how"


@pytest.mark.parametrize("node", STRUCTS)
def test_config_file_holds_every_default_in_its_type(node):
    struct = STRUCTS[node]
    declarations = declarations_from_struct(struct)
    values = yaml.safe_load(parameters_yaml(node))["/**"]["ros__parameters"]
    assert struct().changed(values) == struct()
    assert set(values) == set(declarations)
    for name, value in values.items():
        declarations[name].check(value)


@pytest.mark.parametrize("node", STRUCTS)
def test_every_parameter_is_described_in_the_table(node):
    declarations = declarations_from_struct(STRUCTS[node])
    rows = parameters_markdown(node).splitlines()
    assert len(rows) == 2 + len(declarations)
    for name, row in zip(declarations, rows[2:], strict=True):
        assert row.startswith(f"| `{name}` | ")
        assert row.count(" | ") == 5


@pytest.mark.parametrize("node", STRUCTS)
def test_yaml_leaves_every_choice_and_default_alone(node):
    for declaration in declarations_from_struct(STRUCTS[node]).values():
        for choice in declaration.choices:
            assert yaml.safe_load(choice) == choice, f"YAML does not take {choice} for a string"
        assert all(target in declaration.choices for target in declaration.aliases.values())
