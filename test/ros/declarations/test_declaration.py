"""A parameter is declared once: its values are checked, taken as they were meant, and become settings."""

import dataclasses
from array import array

import pytest

from e2e_depth_ros.alignment.tracking.states import TrackerSettings
from e2e_depth_ros.core.cloud_filters import CloudFilterSettings
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.ros.declarations.declaration import settings_from_parameters
from e2e_depth_ros.ros.declarations.depth_parameters import DECLARATIONS, Parameters


@pytest.mark.parametrize("owner", [CloudFilterSettings, Sampling, TrackerSettings])
def test_default_parameters_make_default_settings(owner):
    assert settings_from_parameters(owner, Parameters()) == owner()


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


def test_changed_keeps_the_rest_and_ignores_foreign_names():
    before = Parameters(min_depth=0.5)
    after = before.changed({"max_depth": 7.0, "use_sim_time": True, "sparse_extrinsics": [0.0] * 6 + [1.0]})
    assert (after.min_depth, after.max_depth, after.sparse_extrinsics[-1]) == (0.5, 7.0, 1.0)
    assert before.max_depth == Parameters().max_depth


def test_values_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Parameters().min_depth = 2.0
