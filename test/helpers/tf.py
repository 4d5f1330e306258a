"""TF for the tests: the real one where it is installed, else what stands for it."""

import importlib
import sys
from pathlib import Path

_STAND_IN = str(Path(__file__).parent / "stand_in")


def import_tf2_ros():
    """Import tf2_ros; where it isn't installed, what stands for it."""
    try:
        return importlib.import_module("tf2_ros")
    except ImportError:
        sys.modules["tf2_ros"] = importlib.import_module("helpers.stand_in.tf2_ros")
        return sys.modules["tf2_ros"]


def python_path():
    """Return what a process needs on its PYTHONPATH to import the same; empty where tf2_ros is installed."""
    return _STAND_IN if import_tf2_ros().__file__.startswith(_STAND_IN) else ""
