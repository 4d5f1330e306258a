from pathlib import Path

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.recordings.parameter_file import parameters_from

CONFIG = Path(__file__).parents[3] / "config" / "depth.yaml"


def test_the_file_that_ships_holds_the_defaults():
    assert parameters_from(CONFIG) == Parameters() == parameters_from(None)


def test_all_names_of_the_node_count_and_assignments_win(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text(
        "/**:\n  ros__parameters:\n    max_depth: 7\n    use_sim_time: true\n"
        "/robot/depth:\n  ros__parameters:\n    decimation: 2\n"
        "mask:\n  ros__parameters:\n    object: the dog\n"
    )
    found = parameters_from(path, ["decimation:=3", "sparse_extrinsics:=[0, 0, 0.1, 0, 0, 0, 1]"])
    assert (found.max_depth, found.decimation) == (7.0, 3)
    assert found.sparse_extrinsics == (0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "assignments", "words"),
    [
        ("", [], "expected parameters of a node 'depth'"),
        ("depth: 3", [], "expected node names with ros__parameters"),
        ("depth:\n  ros__parameters:\n    max_dept: 3", [], "got max_dept"),
        (None, ["max_depth=3"], "expected NAME:=VALUE"),
        (None, ["max_depth:=far"], "max_depth"),
        (None, ["max_depth:=[3"], "expected a YAML value"),
    ],
)
def test_what_the_node_would_not_take_is_told(tmp_path, text, assignments, words):
    path = None
    if text is not None:
        path = tmp_path / "some.yaml"
        path.write_text(text)
    with pytest.raises(InvalidInputError, match=words):
        parameters_from(path, assignments)


def test_nodes_of_several_namespaces_are_told_apart(tmp_path):
    path = tmp_path / "some.yaml"
    node = "/{0}/depth:\n  ros__parameters:\n    max_depth: {1}\n"
    path.write_text(
        "/**:\n  ros__parameters:\n    decimation: 2\n" + node.format("a", 3) + node.format("b", 4)
    )
    assert parameters_from(path, [], ["/a"]).max_depth == 3
    assert parameters_from(path, [], ["/b", "/c"]).max_depth == 4
    assert parameters_from(path, [], ["/b"]).decimation == 2
    for namespaces in ([], ["/a", "/b"], ["/c"]):
        with pytest.raises(InvalidInputError, match=r"one value of max_depth for /a and /b .* run each"):
            parameters_from(path, [], namespaces)
    path.write_text(node.format("a", 3))
    assert parameters_from(path, [], ["/left"]).max_depth == 3
