"""What the middleware is told, and that it listens: for whichever Fast DDS is installed here."""

import os
import re
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import metadata
from pathlib import Path

import pytest

from e2e_depth_ros.ros.deployment import middleware

ROOT = Path(__file__).resolve().parents[3]
PROFILES = {"fastdds_shm.xml": {"SHM", "UDPv4"}, "fastdds_shm_local.xml": {"SHM"}}
SEGMENT_BYTES = 64 * 2**20
SHOW_SEGMENTS = """
import re, os, sys
import rclpy
rclpy.init()
node = rclpy.create_node("shows_segments")
# 2.x and 3.x name them differently.
names = set(re.findall("/dev/shm/fast(?:dds|rtps)_[0-9a-f]{16}", open("/proc/self/maps").read()))
print(*(os.stat(name).st_size for name in names))
node.destroy_node()
rclpy.shutdown()
"""


@pytest.fixture
def rclpy_version(monkeypatch):
    def pretend(version):
        def found(_):
            if version is None:
                raise metadata.PackageNotFoundError
            return version

        monkeypatch.setattr(middleware.metadata, "version", found)

    return pretend


@pytest.mark.parametrize(
    ("version", "distribution", "profile", "local"),
    [
        ("3.3.15", "", "FASTRTPS_DEFAULT_PROFILES_FILE", {"ROS_LOCALHOST_ONLY": "1"}),
        ("4.1.7", "", "FASTRTPS_DEFAULT_PROFILES_FILE", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
        ("7.1.6", "", "FASTRTPS_DEFAULT_PROFILES_FILE", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
        ("9.1.2", "", "FASTDDS_DEFAULT_PROFILES_FILE", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
        (None, "humble", "FASTRTPS_DEFAULT_PROFILES_FILE", {"ROS_LOCALHOST_ONLY": "1"}),
        (None, "rolling", "FASTDDS_DEFAULT_PROFILES_FILE", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
        ("unknown", "", "FASTDDS_DEFAULT_PROFILES_FILE", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
    ],
)
def test_each_distribution_is_told_by_the_name_that_it_knows(
    rclpy_version, monkeypatch, version, distribution, profile, local
):
    rclpy_version(version)
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert middleware.image_environment({}) == {profile: str(ROOT / "config" / "fastdds_shm.xml")}
    told = middleware.local_environment()
    assert {name: value for name, value in told.items() if value} == {
        profile: str(ROOT / "config" / "fastdds_shm_local.xml"),
        **local,
    }
    # Whatever else is set reaches other machines, or takes the profile's place.
    assert {"ROS_DISCOVERY_SERVER", "ROS_STATIC_PEERS", "FASTDDS_BUILTIN_TRANSPORTS"} <= set(told)


@pytest.mark.parametrize(
    "given",
    [
        {"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml"},
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "/mine.xml"},
        {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"},
    ],
)
def test_what_the_user_chose_stays(given):
    assert middleware.image_environment(given) == {}
    assert middleware.image_environment(dict.fromkeys(given, ""))


def test_profile_is_found_where_it_is_installed(tmp_path, monkeypatch):
    share = tmp_path / "share" / "e2e_depth_ros" / "config"
    share.mkdir(parents=True)
    (share / "fastdds_shm.xml").write_text("<dds/>", encoding="utf-8")
    monkeypatch.setattr(
        middleware, "__file__", str(tmp_path / "lib" / "e2e_depth_ros" / "ros" / "deployment" / "x.py")
    )
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere{os.pathsep}{tmp_path}")
    assert list(middleware.image_environment({}).values()) == [str(share / "fastdds_shm.xml")]
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    monkeypatch.setattr(middleware.sys, "prefix", str(tmp_path / "nowhere"))
    assert middleware.image_environment({}) == {}


def test_a_domain_is_chosen_in_which_nobody_is():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        for domain in range(101, 0, -1):
            try:
                taken.bind(("127.0.0.1", 7400 + 250 * domain + 10))
            except OSError:
                continue
            break
        assert domain not in {middleware.unused_domain() for _ in range(2000)}
    assert all(1 <= middleware.unused_domain() <= 101 for _ in range(100))


def test_where_all_domains_are_taken_any_serves(monkeypatch):
    monkeypatch.setattr(middleware, "_is_free", lambda _: False)
    assert all(1 <= middleware.unused_domain() <= 101 for _ in range(100))


def test_demos_keep_out_of_the_domain_of_these_tests():
    assert int(os.environ["ROS_DOMAIN_ID"]) not in {middleware.unused_domain() for _ in range(2000)}


@pytest.mark.parametrize(("name", "transports"), PROFILES.items())
def test_profiles_are_consistent(name, transports):
    root = ET.parse(ROOT / "config" / name).getroot()  # noqa: S314 - our own file
    space = {"dds": root.tag.split("}")[0].strip("{")}
    assert {entry.text for entry in root.findall(".//dds:type", space)} == transports
    (segment,) = root.findall(".//dds:segment_size", space)
    assert int(segment.text) == SEGMENT_BYTES
    descriptors = {
        entry.text for entry in root.findall(".//dds:transport_descriptor/dds:transport_id", space)
    }
    assert {
        entry.text for entry in root.findall(".//dds:userTransports/dds:transport_id", space)
    } == descriptors
    assert root.find(".//dds:participant", space).get("is_default_profile") == "true"


@pytest.mark.parametrize("where", ["anywhere", "on this machine"])
def test_fast_dds_reads_the_profile_without_a_warning(where):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    environment = {name: value for name, value in os.environ.items() if "PROFILES_FILE" not in name}
    environment |= middleware.local_environment() if where != "anywhere" else {}
    environment |= middleware.image_environment(environment)
    result = subprocess.run(
        [sys.executable, "-c", SHOW_SEGMENTS],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    assert not re.search("warn|error", result.stderr, re.IGNORECASE), result.stderr
    # Fast DDS adds some for its own use.
    assert max(map(int, result.stdout.split())) >= SEGMENT_BYTES
