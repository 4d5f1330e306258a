"""The settings for Nav2 are of one piece: what the node sends, what costmaps mark, and what was measured."""

from pathlib import Path

import pytest
import yaml

from e2e_depth_ros.evaluation.cloud_variants import NAVIGATION, VARIANTS
from e2e_depth_ros.evaluation.costmap import CostmapSettings

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
PAGE = (ROOT / "docs" / "navigation.md").read_text(encoding="utf-8")
NODE = yaml.safe_load((CONFIG / "navigation.yaml").read_text(encoding="utf-8"))["/**"]["ros__parameters"]
COSTMAP = yaml.safe_load((CONFIG / "nav2_costmap.yaml").read_text(encoding="utf-8"))["local_costmap"][
    "local_costmap"
]["ros__parameters"]
LAYERS = [name for name in COSTMAP if name.endswith("_layer") and "observation_sources" in COSTMAP[name]]


def sources(layer):
    """The sources of a layer that mark, and those that clear."""
    named = [COSTMAP[layer][name] for name in COSTMAP[layer]["observation_sources"].split()]
    return [one for one in named if one["marking"]], [one for one in named if one["clearing"]]


def test_the_node_makes_the_cloud_that_was_measured():
    pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")
    from e2e_depth_ros.ros.declarations.depth_parameters import Parameters

    parameters = Parameters(**NODE)
    variant = VARIANTS[NAVIGATION]
    names = ("remove_edges", "noise_filter_radius", "noise_filter_min_neighbors", "confidence_threshold")
    assert [getattr(parameters, name) for name in names] == [getattr(variant.filters, name) for name in names]
    assert (parameters.level_ground, parameters.far_returns) == (variant.level_ground, True)
    assert parameters.correction == variant.correction


def test_layers_are_the_three_of_the_page():
    plugins = [COSTMAP[name]["plugin"].rpartition("::")[2].rpartition("/")[2] for name in LAYERS]
    assert plugins == ["ObstacleLayer", "VoxelLayer", "SpatioTemporalVoxelLayer"]
    assert all(f"`{name}`" in PAGE for name in LAYERS)
    assert set(COSTMAP["plugins"]) <= set(COSTMAP)


@pytest.mark.parametrize("layer", LAYERS)
def test_costmaps_mark_what_was_measured(layer):
    measured = CostmapSettings()
    marking, clearing = sources(layer)
    assert (len(marking), len(clearing)) == (1, 1)
    assert not marking[0]["clearing"]
    assert COSTMAP["resolution"] == measured.resolution
    heights = marking[0]["min_obstacle_height"], marking[0]["max_obstacle_height"]
    assert heights == (measured.min_obstacle_height, measured.max_obstacle_height)
    reach = marking[0].get("obstacle_max_range", marking[0].get("obstacle_range"))
    # Far returns lie at max_depth: they clear as far, and are never marked.
    assert reach == measured.obstacle_max_range < NODE["max_depth"]
    assert clearing[0].get("raytrace_max_range", NODE["max_depth"]) == NODE["max_depth"]


@pytest.mark.parametrize("layer", ["obstacle_layer", "voxel_layer"])
def test_what_clears_has_the_floor_and_what_is_overhead(layer):
    """Nav2 drops points outside of a source's heights before they clear."""
    _, (clearing,) = sources(layer)
    assert clearing["min_obstacle_height"] < -1
    assert clearing["max_obstacle_height"] > 5


def test_rcl_reads_the_files():
    """Its parser takes less than YAML has: no anchors."""
    rclpy = pytest.importorskip("rclpy")
    context = rclpy.Context()
    files = [str(CONFIG / name) for name in ("nav2_costmap.yaml", "navigation.yaml")]
    rclpy.init(
        args=["--ros-args", *(word for file in files for word in ("--params-file", file))], context=context
    )
    try:
        node = rclpy.create_node(
            "local_costmap",
            namespace="/local_costmap",
            context=context,
            automatically_declare_parameters_from_overrides=True,
        )
        assert node.get_parameter("voxel_layer.depth_clear.raytrace_max_range").value == 10.0
        assert node.get_parameter("stvl_layer.depth_mark.obstacle_range").value == 8.0
        assert node.get_parameter("noise_filter_min_neighbors").value == 8
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
