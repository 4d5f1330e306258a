"""The ROS 2 node. The only room that imports rclpy."""

WITHOUT_ROS = (
    "ROS 2 is needed here: source a ROS 2 distribution, "
    'or on x86_64 Linux: pip install "e2e_depth_ros[ros,demo]"'
)
"""What to tell where rclpy can't be imported."""
