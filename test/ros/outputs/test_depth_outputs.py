"""Outputs are declared once; what follows from the declaration is tested where it is used."""

import subprocess
import sys

import pytest

pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")


from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output, need_alignment, tasks_for

SIZE = (4, 6)


def test_what_is_needed_is_no_more_than_what_is_asked_for():
    assert tasks_for({Output.DEPTH_INFO}) == set()
    assert tasks_for({Output.NORMALS, Output.STATUS}) == {Task.NORMALS, Task.DEPTH}
    assert tasks_for({Output.COLOR}) == {Task.DEPTH}
    assert [output for output in Output if need_alignment({output})] == [
        *(Output.DEPTH, Output.POINTS, Output.CONFIDENCE, Output.STATUS)
    ]
    assert {Output.DEPTH, Output.POINTS, Output.CONFIDENCE} == METRIC_OUTPUTS


def test_the_node_is_there_before_torch():
    """Signals and parameters are heeded within moments; torch takes seconds and comes with the model."""
    nodes = "e2e_depth_ros.ros.nodes.depth_node, e2e_depth_ros.ros.nodes.mask_node"
    code = f"import sys, {nodes}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
