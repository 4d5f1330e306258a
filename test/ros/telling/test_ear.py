"""Why an input hears nothing, found out in a real graph."""

import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from rclpy.context import Context
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, LaserScan, PointCloud2

from e2e_depth_ros.ros.telling.ear import Ear, incompatibility, type_name
from helpers.robot import until

BEST_EFFORT = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def wait():
    time.sleep(0.02)


def told(ear, words):
    assert until(lambda: ear.silence() is not None and words in ear.silence().words, 20, wait), ear.silence()
    return ear.silence()


@pytest.mark.parametrize("message_type", [Image, CompressedImage, PointCloud2, LaserScan])
def test_types_are_named_as_the_graph_names_them(node, driver, message_type):
    publisher = driver.create_publisher(message_type, "/named", RELIABLE)
    assert until(lambda: node.get_publishers_info_by_topic("/named"), 20, wait)
    assert node.get_publishers_info_by_topic("/named")[0].topic_type == type_name(message_type)
    driver.destroy_publisher(publisher)


def test_no_publisher(node):
    silence = Ear(node, "image", "/nobody", Image, RELIABLE).silence()
    assert "no image on /nobody" in silence.words
    assert (silence.publishers, silence.is_fault) == (0, False)


def test_another_type_is_named_and_no_qos_guessed(node, driver):
    driver.create_publisher(CompressedImage, "/typed", BEST_EFFORT)
    silence = told(
        Ear(node, "image", "/typed", Image, RELIABLE),
        "no image on /typed: /front/camera/driver publishes sensor_msgs/msg/CompressedImage, expected"
        " sensor_msgs/msg/Image",
    )
    assert silence.is_fault
    assert "effort" not in silence.words


def test_incompatible_qos_is_named(node, driver):
    driver.create_publisher(Image, "/weak", BEST_EFFORT)
    silence = told(
        Ear(node, "image", "/weak", Image, RELIABLE), "/front/camera/driver publishes best effort, but"
    )
    assert silence.is_fault
    assert "input_reliability" in silence.words
    told(Ear(node, "image", "/weak", Image, LATCHED), "publishes best effort, but reliable")
    driver.create_publisher(Image, "/volatile", RELIABLE)
    told(
        Ear(node, "camera_info", "/volatile", Image, LATCHED), "with durability volatile, but transient local"
    )


def test_compatible_qos_is_not_suspected(node, driver):
    driver.create_publisher(Image, "/quiet", RELIABLE)
    for asked in (BEST_EFFORT, RELIABLE):
        silence = told(
            Ear(node, "image", "/quiet", Image, asked), "no image on /quiet: its publisher has sent none"
        )
        assert not silence.is_fault


def test_one_that_can_be_heard_is_enough(node, driver):
    driver.create_publisher(Image, "/crowd", BEST_EFFORT)
    driver.create_publisher(Image, "/crowd", RELIABLE)
    context = Context()  # Fast DDS keeps a topic to one type in each
    rclpy.init(context=context)
    other = rclpy.create_node("other", context=context)
    other.create_publisher(CompressedImage, "/crowd", RELIABLE)
    assert until(lambda: len(node.get_publishers_info_by_topic("/crowd")) == 3, 20, wait)
    silence = Ear(node, "image", "/crowd", Image, RELIABLE).silence()
    assert "no image on /crowd" in silence.words
    assert (silence.publishers, silence.is_fault) == (3, False)
    other.destroy_node()
    context.try_shutdown()


def test_many_publishers_are_not_all_listed(context, node):
    drivers = [rclpy.create_node(f"driver_{index}", context=context) for index in range(6)]
    for driver in drivers:
        driver.create_publisher(CompressedImage, "/many", RELIABLE)
    told(Ear(node, "image", "/many", Image, RELIABLE), "/driver_0, /driver_1, /driver_2 and 3 more publishes")
    for driver in drivers:
        driver.destroy_node()


def test_a_pause_is_told_with_its_length_once_it_is_longer_than_usual(node, driver):
    now_s = 100.0
    publisher = driver.create_publisher(Image, "/paused", RELIABLE)
    assert until(lambda: node.get_publishers_info_by_topic("/paused"), 20, wait)
    ear = Ear(node, "image", "/paused", Image, RELIABLE, clock=lambda: now_s)
    for _ in range(3):
        ear.hears()
        now_s += 0.03
    assert ear.silence() is None
    now_s += 1.5
    assert ear.silence() is None
    now_s += 1.67
    assert "3.2 s" in ear.silence().words
    assert "/paused" in ear.silence().words
    driver.destroy_publisher(publisher)
    told(ear, "no publisher")
    ear.hears()  # 3.2 s later: a slow one
    now_s += 9
    assert ear.silence() is None
    now_s += 1
    assert ear.silence() is not None


@pytest.mark.parametrize(
    ("offered", "asked", "is_heard"),
    [
        (RELIABLE, RELIABLE, True),
        (RELIABLE, BEST_EFFORT, True),
        (BEST_EFFORT, BEST_EFFORT, True),
        (BEST_EFFORT, RELIABLE, False),
        (LATCHED, RELIABLE, True),
        (RELIABLE, LATCHED, False),
        (LATCHED, LATCHED, True),
    ],
)
def test_compatibility_is_that_of_dds(offered, asked, is_heard):
    from rclpy.qos import QoSCompatibility, qos_check_compatible

    assert (incompatibility(offered, asked) == "") is is_heard
    assert (qos_check_compatible(offered, asked)[0] != QoSCompatibility.ERROR) is is_heard
