import ast
import dataclasses
import importlib
import inspect
from array import array
from pathlib import Path

import pytest
import yaml

from e2e_depth_ros.alignment.cloud_filters import CloudFilterSettings
from e2e_depth_ros.alignment.states import TrackerSettings
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.instruct.network import SEGMENTATION, Guidance
from e2e_depth_ros.model.instruct.painter import Painter
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.ros.declarations.declaration import declarations_from_struct, settings_from_parameters
from e2e_depth_ros.ros.declarations.depth_parameters import DECLARATIONS, Parameters
from e2e_depth_ros.ros.declarations.mask_parameters import MaskParameters
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


@pytest.mark.parametrize("owner", [CloudFilterSettings, Sampling, TrackerSettings])
def test_default_parameters_make_default_settings(owner):
    assert settings_from_parameters(owner, Parameters()) == owner()


def test_parameters_that_stand_for_none_make_none():
    values = Parameters(denoising_steps=4, noise_seed=-1)
    assert settings_from_parameters(Sampling, values) == Sampling(steps=4, seed=None)


def handed_over():
    """Each argument that ROS code fills by a parameter: where, the function, the argument, the parameter."""
    loaded = {"Estimator.load": Estimator.load, "segment": Painter.segment, "Guidance": Guidance}
    for path in sorted((ROOT / "e2e_depth_ros" / "ros").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for keyword in call.keywords if isinstance(call, ast.Call) else ():
                words = ast.unparse(keyword.value).split(".")
                if keyword.arg and len(words) > 1 and words[-2] in {"parameters", "wanted", "values"}:
                    name = ast.unparse(call.func)
                    function = vars(importlib.import_module(module)).get(name)
                    function = function or loaded.get(name) or loaded.get(name.rpartition(".")[2])
                    yield module, function, keyword.arg, words[-1]


def test_no_argument_has_another_default_than_the_parameter_that_fills_it():
    pairs = [pair for pair in handed_over() if pair[1] is not None]
    assert {("samples_from_points", "sparse_min_depth"), ("segment", "mask_threshold")} <= {
        (function.__name__, parameter) for _, function, _, parameter in pairs
    }
    for module, function, argument, parameter in pairs:
        found = inspect.signature(function).parameters.get(argument)  # `replace` and messages take any
        default = inspect.Parameter.empty if found is None else found.default
        declared = {
            declaration.default
            for struct in STRUCTS.values()
            for name, declaration in declarations_from_struct(struct).items()
            if name == parameter
        }
        if declared and default is not inspect.Parameter.empty:
            assert default in declared, (module, argument, parameter)


def test_parameters_of_heavy_functions_have_their_defaults():
    """They can't take them from there: torch would be imported with them."""
    depth, mask = Parameters(), MaskParameters()
    load = inspect.signature(Estimator.load).parameters
    assert (depth.model, depth.device, depth.dtype, depth.upsampling) == tuple(
        load[name].default for name in ("model", "device", "dtype", "upsampling")
    )
    load = inspect.signature(Painter.load).parameters
    assert (mask.device, mask.dtype) == (load["device"].default, load["dtype"].default)
    assert Guidance(mask.text_guidance, mask.image_guidance) == SEGMENTATION
    unset = {"revision": None, "processing_resolution": None}
    for wanted in (depth, mask):
        assert {name: wanted.loading[name] for name in unset} == unset


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("min_depth", -0.5, "parameter min_depth: expected double of at least 0, got -0.5"),
        ("max_depth", 2e5, "parameter max_depth: expected double of at most 10000, got 200000.0"),
        ("max_depth", float("nan"), "parameter max_depth: expected double that is finite, got nan"),
        ("min_depth", 1, "parameter min_depth: expected double, got 1"),
        ("num_threads", 1.5, "parameter num_threads: expected integer, got 1.5"),
        ("num_threads", True, "parameter num_threads: expected integer, got True"),
        ("upsampling", "nearest", "expected string of auto, bilinear, guided, got 'nearest'"),
        ("rectify", "maybe", "parameter rectify: expected string of auto, always, never, got 'maybe'"),
        ("sparse_extrinsics", [1.0], "expected double_array of length 7, got [1.0]"),
        ("sparse_extrinsics", "1 2 3", "parameter sparse_extrinsics: expected double_array, got '1 2 3'"),
    ],
)
def test_bad_value_is_refused_naming_parameter_value_and_bound(name, value, message):
    with pytest.raises(InvalidInputError) as refusal:
        DECLARATIONS[name].check(value)
    assert message in str(refusal.value)
    with pytest.raises(InvalidInputError):
        Parameters(**{name: value})


@pytest.mark.parametrize(
    "numbers",
    [
        (0.0,) * 7,  # TF
        (-0.0,) * 7,
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        (5e5, -4e6, 30.0, 0.5, -0.5, 0.5, -0.5),  # a camera that stands still, and points of a map
        (0.1, 0.2, 0.3, 0.7, 0.0, 0.0, 0.7),  # rounded
        (0.1, 0.2, 0.3, 0.0, 0.4, 0.0, 0.9),
    ],
)
def test_poses_are_taken_as_people_write_them(numbers):
    assert Parameters(sparse_extrinsics=numbers).sparse_extrinsics == numbers


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), "a quaternion of length 0 in [0.1, 0.0"),
        ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e-300), "a quaternion of length 0 in"),
        ((0.0, 0.0, 0.0, 0.7, 0.0, 0.0, 0.0), "a quaternion of length 0.7 in"),  # w was forgotten
        ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0), "a quaternion of length 2 in"),
        ((0.0, 0.0, 0.0, 0.0, 0.0, 90.0, 0.0), "a quaternion of length 90 in"),  # degrees
        ((0.0, 0.0, 0.0, 1e308, 1e308, 0.0, 0.0), "a quaternion of length inf in"),
        ((0.0, 1e8, 0.0, 0.0, 0.0, 0.0, 1.0), "x y z of at most 1e+07 m, got [0.0, 100000000.0"),
        ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, float("nan")), "double_array that is finite"),
        ((0.0, float("inf"), 0.0, 0.0, 0.0, 0.0, 1.0), "double_array that is finite"),
        ((0.0, 0.0, 0.0, 1.0), "double_array of length 7, got [0.0, 0.0, 0.0, 1.0]"),
    ],
)
def test_what_is_no_pose_is_refused_when_it_is_set(numbers, message):
    with pytest.raises(InvalidInputError) as refusal:
        Parameters().changed({"sparse_extrinsics": list(numbers)})
    assert "parameter sparse_extrinsics: expected" in str(refusal.value)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("min_depth", 1, 1.0),
        ("min_depth", 1.5, 1.5),
        ("max_samples", 1e3, 1000),
        ("revision", 2024, "2024"),
        ("revision", "0123", "0123"),
        ("model", -5, "-5"),
        ("ground_frame", "", ""),
        ("rectify", "auto", "auto"),
        ("rectify", "on", "always"),
        ("rectify", "off", "never"),
        ("rectify", True, "always"),
        ("rectify", False, "never"),
        ("sparse_extrinsics", [0, 0, 1, 0, 0, 0, 1], (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)),
        ("sparse_extrinsics", array("d", [0.5] * 7), (0.5,) * 7),
        ("sparse_extrinsics", array("q", [1, 2, 3, 0, 0, 0, 1]), (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0)),
        ("sparse_extrinsics", "[0, 0, -0.1, 0.5, -0.5, 0.5, 5e-1]", (0.0, 0.0, -0.1, 0.5, -0.5, 0.5, 0.5)),
        ("sparse_extrinsics", "0 0 -.1  0 0 0 1", (0.0, 0.0, -0.1, 0.0, 0.0, 0.0, 1.0)),
    ],
)
def test_what_yaml_made_of_a_text_is_taken_for_what_was_meant(name, given, value):
    converted = DECLARATIONS[name].converted(given)
    assert (converted, type(converted)) == (value, type(value))
    assert getattr(Parameters().changed({name: given}), name) == value


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("ground_frame", False, "expected string, got False, as YAML takes words such as no"),
        ("model", 2024.1, "expected string, got 2024.1, as YAML"),
        ("revision", 1e10, 'Quote it: revision: "..." in a file, -p "revision:=\'...\'" on a command line'),
        ("colormap", True, "expected string, got True"),
        ("rectify", 1, "expected string of auto, always, never, got '1'"),
        ("rectify", 1.0, "expected string, got 1.0"),
        ("min_depth", "1", "expected double, got '1'"),
        ("min_depth", True, "expected double, got True"),
        ("min_depth", None, "expected double, got None"),
        ("min_depth", [1.0], "expected double, got [1.0]"),
        ("max_samples", 1.5, "expected integer, got 1.5"),
        ("max_samples", float("inf"), "expected integer, got inf"),
        ("max_samples", True, "expected integer, got True"),
        ("remove_edges", 1, "expected bool, got 1"),
        ("remove_edges", "true", "expected bool, got 'true'"),
        ("sparse_extrinsics", [True] * 7, "expected double_array, got (True"),
        ("sparse_extrinsics", [], "of length 7, got []"),
        ("sparse_extrinsics", "", "of length 7, got []"),
        ("sparse_extrinsics", "a b", "expected double_array, got 'a b'"),
        ("sparse_extrinsics", "nan " * 7, "that is finite"),
        ("sparse_extrinsics", None, "expected double_array, got None"),
        ("sparse_extrinsics", [b"1"] * 7, "expected double_array, got (b'1'"),
    ],
)
def test_what_cannot_have_been_meant_is_refused(name, given, words):
    with pytest.raises(InvalidInputError) as refusal:
        Parameters().changed({name: given})
    assert str(refusal.value).startswith(f"parameter {name}: ")
    assert words in str(refusal.value)


@pytest.mark.parametrize("node", STRUCTS)
def test_yaml_leaves_every_choice_and_default_alone(node):
    for declaration in declarations_from_struct(STRUCTS[node]).values():
        for choice in declaration.choices:
            assert yaml.safe_load(choice) == choice, f"YAML does not take {choice} for a string"
        assert all(target in declaration.choices for target in declaration.aliases.values())


def test_depth_limits_must_be_in_order():
    with pytest.raises(InvalidInputError, match="min_depth: expected below max_depth 2, got 3"):
        Parameters().changed({"min_depth": 3.0, "max_depth": 2.0})


def test_changed_keeps_the_rest_and_ignores_foreign_names():
    before = Parameters(min_depth=0.5)
    after = before.changed({"max_depth": 7.0, "use_sim_time": True, "sparse_extrinsics": [0.0] * 6 + [1.0]})
    assert (after.min_depth, after.max_depth, after.sparse_extrinsics[-1]) == (0.5, 7.0, 1.0)
    assert before.max_depth == Parameters().max_depth


def test_values_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Parameters().min_depth = 2.0


@pytest.mark.parametrize(("cores", "torch_takes", "expected"), [(1, 1, 1), (2, 2, 1), (6, 6, 5), (6, 3, 3)])
def test_by_default_a_core_is_left_to_the_messages(monkeypatch, cores, torch_takes, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr("torch.get_num_threads", lambda: torch_takes)
    assert Parameters().loading["num_threads"] == expected
    assert Parameters(num_threads=4).loading["num_threads"] == 4
