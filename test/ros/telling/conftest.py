"""Two nodes of one graph: one that listens, and a driver that it may hear."""

import pytest


@pytest.fixture
def node(context):
    import rclpy

    node = rclpy.create_node("listener", namespace="/front", context=context)
    yield node
    node.destroy_node()


@pytest.fixture
def driver(context):
    import rclpy

    node = rclpy.create_node("driver", namespace="/front/camera", context=context)
    yield node
    node.destroy_node()
