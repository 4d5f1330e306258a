"""What `import e2e_depth_ros` gives, and what it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import e2e_depth_ros
from e2e_depth_ros.alignment.one_image import align
from e2e_depth_ros.alignment.tracking.tracker import AlignmentTracker
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.ply import save_ply

HEAVY = ("torch", "diffusers", "cv2", "numpy", "rclpy")


def loaded_by(code: str) -> set[str]:
    """Names of the heavy modules that a fresh process has after this code."""
    script = f"{code}\nimport sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_package_itself_is_cheap() -> None:
    assert loaded_by("import e2e_depth_ros; dir(e2e_depth_ros); e2e_depth_ros.__version__") == set()


def test_types_need_no_torch() -> None:
    assert "torch" not in loaded_by("from e2e_depth_ros import Camera, DepthKind, DepthMap, save_ply")
    assert "torch" not in loaded_by("from e2e_depth_ros import Estimator")
    assert "torch" in loaded_by("import e2e_depth_ros.model.engine.torch_engine")  # the test would see it


def test_aligning_needs_no_torch() -> None:
    code = """
import numpy as np
from e2e_depth_ros import align
relative = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
v, u = np.divmod(np.arange(0, 2400, 7), 60)
alignment = align(relative, u, v, 1 + 3 * relative[v, u], correction=True)
assert alignment.state.value == "fresh", alignment.reason
assert abs(alignment.depth.values - (1 + 3 * relative)).max() < 0.1
alignment.std_m
"""
    assert "torch" not in loaded_by(code)
    assert loaded_by("import e2e_depth_ros.alignment") <= {"numpy", "cv2"}


def test_names_are_those_of_their_homes() -> None:
    from e2e_depth_ros.model.estimator import Estimator

    own = {
        thing.__name__: thing
        for thing in (AlignmentTracker, Camera, DepthKind, DepthMap, Estimator, align, save_ply)
    }
    assert sorted(e2e_depth_ros.__all__) == sorted(own)
    for name, thing in own.items():
        assert getattr(e2e_depth_ros, name) is thing
        assert name in dir(e2e_depth_ros)
    with pytest.raises(AttributeError, match="levitate"):
        e2e_depth_ros.levitate  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    """Their imports stand under TYPE_CHECKING, which nothing runs."""
    tree = ast.parse(Path(e2e_depth_ros.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in block.body for alias in node.names}
    assert seen == set(e2e_depth_ros.__all__)
