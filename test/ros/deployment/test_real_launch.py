"""The launch files under the real launch, with real processes, which are counted.

launch and launch_ros are not on PyPI; their public sources run with `PYTHONPATH` alone. Most tests put small
programs in place of the nodes, which write down how they were started and wait to be stopped; the last ones
start the real nodes.
"""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
import yaml

from e2e_depth_ros.ros.deployment.middleware import image_environment, local_environment
from helpers.robot import ROOT, START_S

if importlib.util.find_spec("launch_ros") is None:
    pytest.skip(
        "launch_ros is not on PyPI: it needs a ROS 2 distribution, or its sources", allow_module_level=True
    )

pytestmark = pytest.mark.timeout(900)

# As `ros2 launch FILE name:=value ...` does.
LAUNCHER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

path, *given = sys.argv[1:]
service = LaunchService(argv=[])
service.include_launch_description(
    LaunchDescription([
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(path),
            launch_arguments=[tuple(argument.split(":=", 1)) for argument in given],
        )
    ])
)
sys.exit(service.run())
"""
# Writes down how it was started, with its parameter files, and waits.
RECORDER = """
import json, os, signal, sys, time
files = [sys.argv[at + 1] for at, word in enumerate(sys.argv) if word == "--params-file"]
record = {
    "program": os.path.basename(sys.argv[0]),
    "arguments": sys.argv[1:],
    "parameters": [open(file, encoding="utf-8").read() for file in files],
    "environment": dict(os.environ),
}
folder = os.environ["RECORDS"]
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
name = f"{time.time_ns()}-{os.getpid()}.json"
with open(os.path.join(folder, name + ".part"), "w", encoding="utf-8") as file:
    json.dump(record, file)
os.rename(os.path.join(folder, name + ".part"), os.path.join(folder, name))
if "ends_at_once" in os.environ:
    sys.exit(3)
while True:
    time.sleep(0.1)
"""
# An integrator's own launch file: a driver before the depth node, and one behind.
BRINGUP = """
from launch import LaunchDescription
from launch.actions import ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

def generate_launch_description():
    driver = ["{driver}"]
    depth = PythonLaunchDescriptionSource("{launch}/depth.launch.py")
    return LaunchDescription([
        ExecuteProcess(cmd=driver),
        IncludeLaunchDescription(depth, launch_arguments={{"rviz": "maybe"}}.items()),
        ExecuteProcess(cmd=driver),
    ])
"""
# Two cameras by hand, the second without what is said of the first.
TWICE = """
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

def camera(**arguments):
    depth = PythonLaunchDescriptionSource("{launch}/depth.launch.py")
    return GroupAction([IncludeLaunchDescription(depth, launch_arguments=arguments.items())])

def generate_launch_description():
    first = {{"mask": "true", "mask_model": "painter", "image_transport": "compressed", "log_level": "debug"}}
    return LaunchDescription([
        camera(namespace="left", name="eye", image="/left/image", **first),
        camera(namespace="right", name="eye", image="/right/image"),
    ])
"""
NODES = {"depth_node", "mask_node", "demo_camera"}


def until(condition, timeout_s=120):
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


class Installation:
    """A prefix in which this package lies, with programs in place of its nodes."""

    def __init__(self, folder, recorder):
        self.prefix = folder / "prefix"
        self.records = folder / "records"
        self.records.mkdir()
        self.folder = folder
        self._recorder = recorder
        self._mark = f"{uuid.uuid4()}"
        self._log = folder / "launch.log"
        share = self.prefix / "share" / "e2e_depth_ros"
        share.mkdir(parents=True)
        for name in ("launch", "config"):
            (share / name).symlink_to(ROOT / name)
        for name in NODES:
            self.install("e2e_depth_ros", name)

    def install(self, package, executable, program=None):
        index = self.prefix / "share" / "ament_index" / "resource_index" / "packages"
        index.mkdir(parents=True, exist_ok=True)
        (index / package).touch()
        path = self.prefix / "lib" / package / executable
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{program or self._recorder}", encoding="utf-8")
        path.chmod(0o755)
        return path

    def start(self, path, *arguments, **environment):
        """Start launch in a process group of its own, as a terminal does."""
        own = {name: value for name, value in os.environ.items() if "PROFILES_FILE" not in name}
        own |= {
            "AMENT_PREFIX_PATH": str(self.prefix),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "RECORDS": str(self.records),
            "ROS_LOG_DIR": str(self.folder / "log"),
            "MARK": self._mark,
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", LAUNCHER, str(path), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=own,
            )

    @property
    def output(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def started(self):
        """What the programs wrote down, in their order."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.records.glob("*.json"))]

    def alive(self):
        """All processes that launch has started and that run, whatever became of launch."""
        found = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                marked = process.name.isdecimal() and f"MARK={self._mark}".encode() in (
                    process / "environ"
                ).read_bytes().split(b"\0")
                if marked and b"zombie" not in (process / "status").read_bytes():
                    found.append(int(process.name))
        return found

    def end(self, launch, *, number=signal.SIGINT):
        """Stop launch as Ctrl-C does: all of the terminal's processes hear it."""
        if launch.poll() is None:
            os.killpg(launch.pid, number)
        return launch.wait(timeout=60)


@pytest.fixture
def installation(tmp_path):
    installation = Installation(tmp_path, RECORDER)
    yield installation
    for pid in installation.alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def launch_file(name):
    return ROOT / "launch" / name


def parameters_of(record):
    """The parameters that a program gets, the last file's going first."""
    given = {}
    for text in record["parameters"]:
        for node in yaml.safe_load(text).values():
            given |= node["ros__parameters"]
    return given


def option_of(record, option):
    words = record["arguments"]
    return [words[at + 1] for at, word in enumerate(words) if word == option]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("depth", ["rviz:=true"], "rviz:=true needs the package rviz2"),
        ("depth", ["rviz:=maybe"], "rviz:=maybe: expected one of true, 1, false, 0"),
        ("depth", ["mask:=yes"], "mask:=yes: expected one of"),
        ("depth", ["mask:=true"], "mask:=true needs a checkpoint"),
        ("depth", ["mask:=1", "mask_model:=m", "mask_name:=a-b"], "mask_name:=a-b"),
        ("depth", ["mask:=1", "mask_model:=m", "mask_params_file:=/nowhere"], "no such file"),
        ("depth", ["params_file:=/nowhere"], "no such file"),
        ("depth", ["use_sim_time:=sim"], "use_sim_time:=sim"),
        ("depth", ["respawn:=2"], "respawn:=2"),
        ("depth", ["log_level:=loud"], "log_level:=loud"),
        ("depth", ["image_transport:=theora"], "image_transport:=theora"),
        ("depth", ["name:=a b"], "name:=a b"),
        ("depth", ["namespace:=/a//b"], "namespace:=/a//b"),
        ("demo", [], "needs the package tf2_ros"),
        ("demo", ["rviz:=maybe"], "rviz:=maybe"),
        ("cameras", [], "cameras:=: expected"),
        ("cameras", ["cameras:=left right", "rviz:=maybe"], "rviz:=maybe"),
    ],
)
def test_what_cannot_be_started_is_told_and_nothing_runs_on(installation, name, arguments, words):
    launch = installation.start(launch_file(f"{name}.launch.py"), *arguments)
    assert launch.wait(timeout=120) == 1, installation.output
    assert installation.alive() == []
    assert installation.started() == []
    errors = [line for line in installation.output.splitlines() if "[ERROR]" in line]
    assert words in errors[0]
    assert "Traceback" not in installation.output


def test_demo_without_rviz_is_told(installation):
    installation.install("tf2_ros", "static_transform_publisher")
    launch = installation.start(launch_file("demo.launch.py"))
    assert launch.wait(timeout=120) == 1
    assert "rviz:=true needs the package rviz2" in installation.output
    assert (installation.alive(), installation.started()) == ([], [])


def test_a_refusal_ends_what_an_integrator_has_started_around_it(installation):
    driver = installation.install("driver", "driver")
    bringup = installation.folder / "bringup.launch.py"
    bringup.write_text(BRINGUP.format(driver=driver, launch=ROOT / "launch"), encoding="utf-8")
    launch = installation.start(bringup)
    assert launch.wait(timeout=120) == 1, installation.output
    assert "rviz:=maybe: expected one of" in installation.output
    assert installation.alive() == []
    assert {record["program"] for record in installation.started()} <= {"driver"}


def test_nodes_are_started_with_what_was_asked_for(installation):
    installation.install("rviz2", "rviz2")
    launch = installation.start(
        launch_file("depth.launch.py"),
        *("image:=/cam/image_raw", "image_transport:=compressed", "sparse_depth:=/tof/depth", "model:=1234"),
        *("namespace:=front", "name:=eye", "use_sim_time:=true", "log_level:=warn", "device:=cpu"),
        "enclave:=/e2e_depth_ros",
        *("rviz:=true", "mask:=true", "mask_model:=5678", "mask_object:=no", "mask_name:=veil"),
    )
    assert until(lambda: len(installation.started()) == 3), installation.output
    records = {record["program"]: record for record in installation.started()}
    depth, mask, rviz = (records[name] for name in ("depth_node", "mask_node", "rviz2"))
    shared = {"device": "cpu", "image_transport": "compressed", "use_sim_time": True}
    masked = {"remove_masked_points": True, "remove_masked_samples": True}
    assert (shared | masked | {"model": "1234"}).items() <= parameters_of(depth).items()
    assert (shared | {"model": "5678", "object": "no"}).items() <= parameters_of(mask).items()
    assert parameters_of(rviz) == {"use_sim_time": True}
    remaps = option_of(depth, "-r")
    assert {"__node:=eye", "__ns:=/front"} <= set(remaps)
    assert {"image_raw:=/cam/image_raw", "sparse_depth:=/tof/depth"} <= set(remaps)
    assert {"__node:=veil", "__ns:=/front", "image_raw:=/cam/image_raw"} <= set(option_of(mask, "-r"))
    assert option_of(depth, "--log-level") == option_of(mask, "--log-level") == ["warn"]
    assert option_of(depth, "--enclave") == ["/e2e_depth_ros/depth"]
    assert option_of(mask, "--enclave") == ["/e2e_depth_ros/mask"]
    profile = image_environment({})
    assert profile
    for record in (depth, mask, rviz):
        assert profile.items() <= record["environment"].items()
    installation.end(launch)
    assert installation.alive() == []


def test_a_profile_of_the_user_stays(installation):
    name = next(iter(image_environment({})))
    launch = installation.start(launch_file("depth.launch.py"), **{name: "/mine.xml"})
    assert until(installation.started), installation.output
    (depth,) = installation.started()
    given = {key: value for key, value in depth["environment"].items() if "PROFILES_FILE" in key}
    assert given == {name: "/mine.xml"}
    assert parameters_of(depth)["model"] == "embedded"
    installation.end(launch)
    assert installation.alive() == []


def test_included_twice_each_has_its_own(installation):
    both = installation.folder / "both.launch.py"
    both.write_text(TWICE.format(launch=ROOT / "launch"), encoding="utf-8")
    launch = installation.start(both)
    assert until(lambda: len(installation.started()) == 3), installation.output
    found = {(one["program"], *option_of(one, "-r")[:2]): one for one in installation.started()}
    left = found["depth_node", "__node:=eye", "__ns:=/left"]
    right = found["depth_node", "__node:=eye", "__ns:=/right"]
    assert ("mask_node", "__node:=mask", "__ns:=/left") in found
    assert "image_raw:=/left/image" in left["arguments"]
    assert "image_raw:=/right/image" in right["arguments"]
    assert parameters_of(left)["remove_masked_points"]
    assert not parameters_of(right)["remove_masked_points"]
    assert parameters_of(right)["image_transport"] == "raw"
    assert option_of(right, "--log-level") == ["info"]
    installation.end(launch)
    assert installation.alive() == []


def test_cameras_by_name(installation):
    arguments = ["cameras:=left right", "namespace:=robot", "image:=image_color", "device:=cpu"]
    launch = installation.start(launch_file("cameras.launch.py"), *arguments)
    assert until(lambda: len(installation.started()) == 2), installation.output
    records = installation.started()
    namespaces = {word for record in records for word in option_of(record, "-r") if word.startswith("__ns")}
    assert namespaces == {"__ns:=/robot/left", "__ns:=/robot/right"}
    for record in records:
        assert "image_raw:=image_color" in record["arguments"]
        assert parameters_of(record)["device"] == "cpu"
    installation.end(launch)
    assert installation.alive() == []


@pytest.mark.parametrize("respawn", ["true", "false"])
def test_respawn(installation, respawn):
    launch = installation.start(launch_file("depth.launch.py"), f"respawn:={respawn}", ends_at_once="1")
    if respawn == "true":
        assert until(lambda: len(installation.started()) >= 2), installation.output
        installation.end(launch)
    else:
        launch.wait(timeout=120)
        assert len(installation.started()) == 1
    assert installation.alive() == []


def test_demo_is_apart_and_ends_with_its_camera(installation):
    for package, executable in (("tf2_ros", "static_transform_publisher"), ("rviz2", "rviz2")):
        installation.install(package, executable)
    launch = installation.start(launch_file("demo.launch.py"), ROS_DOMAIN_ID="5", ROS_STATIC_PEERS="robot")
    assert until(lambda: len(installation.started()) == 5), installation.output
    domains = set()
    for record in installation.started():
        assert local_environment().items() <= record["environment"].items()
        domains.add(record["environment"]["ROS_DOMAIN_ID"])
    (domain,) = domains
    assert domain != "5"
    assert f"ROS domain {domain}" in installation.output
    camera = next(
        pid for pid in installation.alive() if b"demo_camera" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(camera, signal.SIGKILL)
    launch.wait(timeout=60)
    assert installation.alive() == []


REAL = "from e2e_depth_ros.{module} import {function}\nimport sys\nsys.exit({function}())\n"


def test_the_real_node_starts_works_and_ends(installation, model_folder):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    real = REAL.format(module="ros.nodes.executables", function="depth_node")
    installation.install("e2e_depth_ros", "depth_node", real)
    launch = installation.start(launch_file("depth.launch.py"), f"model:={model_folder}", "namespace:=front")
    assert until(lambda: "ready: " in installation.output, START_S), installation.output
    assert "[front.depth]" in installation.output
    installation.end(launch)
    assert "process has finished cleanly" in installation.output
    assert "Traceback" not in installation.output
    assert installation.alive() == []


def test_the_real_demo_ends_without_a_word_too_many(installation, model_folder):
    """Ctrl-C while the camera shows frames; no scene refuses the calibration of another one."""
    for package in ("rclpy", "imgviz", "skimage"):
        pytest.importorskip(package)
    for name, module, function in (
        ("depth_node", "ros.nodes.executables", "depth_node"),
        ("demo_camera", "cli.demo.camera", "main"),
    ):
        installation.install("e2e_depth_ros", name, REAL.format(module=module, function=function))
    installation.install("tf2_ros", "static_transform_publisher")
    arguments = [f"model:={model_folder}", "rviz:=false", "rate:=50"]
    launch = installation.start(launch_file("demo.launch.py"), *arguments)
    assert until(lambda: "ready: " in installation.output, START_S), installation.output
    # Rounds of two scenes, each of 30 frames and a second.
    shown = time.monotonic() + 8
    assert until(lambda: time.monotonic() > shown or launch.poll() is not None)
    assert launch.poll() is None, installation.output
    installation.end(launch)
    assert installation.output.count("process has finished cleanly") >= 2, installation.output
    assert "Traceback" not in installation.output
    assert "refused" not in installation.output
    assert installation.alive() == []
