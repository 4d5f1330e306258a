"""Where the scenes are not installed, as in a ROS workspace, their tests are left out, and pytest says so."""

import importlib.util

_IS_INSTALLED = importlib.util.find_spec("e2e_depth_scenes") is not None
collect_ignore_glob = [] if _IS_INSTALLED else ["*"]


def pytest_report_header():
    return None if _IS_INSTALLED else "scenes/test: left out, as e2e_depth_scenes is not installed"
