import ast
import importlib
import inspect
from pathlib import Path

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.instruct.network import SEGMENTATION, Guidance
from e2e_depth_ros.model.instruct.painter import Painter
from e2e_depth_ros.ros.declarations.declaration import declarations_from_struct
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.declarations.mask_parameters import MaskParameters
from e2e_depth_ros.ros.deployment.declaration_docs import STRUCTS

ROOT = Path(__file__).parents[3]


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


def test_depth_limits_must_be_in_order():
    with pytest.raises(InvalidInputError, match="min_depth: expected below max_depth 2, got 3"):
        Parameters().changed({"min_depth": 3.0, "max_depth": 2.0})


def test_by_default_the_engine_chooses_its_threads():
    assert Parameters().loading["num_threads"] is None
    assert Parameters(num_threads=4).loading["num_threads"] == 4
