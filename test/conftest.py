"""Fixtures that every room's tests may use."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import yaml

# Before torch is imported. Tiny networks gain nothing from a second thread; on busy cores they lose by it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Shells start what runs in the background with Ctrl-C ignored, and programs that tests start inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_OF_ROS = ("ROS_", "FASTDDS_", "FASTRTPS_")
_DOMAINS = 100  # Linux's ephemeral ports reach into those of higher ones


def _claim_ros_domain() -> tuple[int, socket.socket]:
    """Find a ROS domain that nobody here has, by a port of it that DDS does not use.

    Demos and benchmarks choose a domain without an open port. So they keep out of this one, even while there
    is no node in it. Closing the socket frees it.
    """
    for step in range(_DOMAINS):
        domain = 1 + (os.getpid() + step) % _DOMAINS
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", 7400 + 250 * domain + 5))
        except OSError:
            claim.close()
        else:
            return domain, claim
    raise RuntimeError(f"all {_DOMAINS} ROS domains are taken by other test processes")


# Before any participant comes to be; nodes and demos that a test starts inherit it.
_domain, _domain_claim = _claim_ros_domain()
os.environ["ROS_DOMAIN_ID"] = str(_domain)


@pytest.fixture(autouse=True)
def same_ros_domain() -> Iterator[None]:
    """Bring this process back: a command that runs nodes takes it to a domain of its own."""
    before = {name: value for name, value in os.environ.items() if name.startswith(_OF_ROS)}
    yield
    for name in [name for name in os.environ if name.startswith(_OF_ROS) and name not in before]:
        del os.environ[name]
    os.environ.update(before)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs ROS by where it lies; keep files in their order whose tests share one node.

    A node takes seconds to start. Plugins may shuffle all else.
    """
    ros = Path(__file__).parent / "ros"
    in_order: dict[Path, list[int]] = {}
    for place, item in enumerate(items):
        if ros in item.path.parents:
            item.add_marker(pytest.mark.ros)
        if item.get_closest_marker("in_order"):
            in_order.setdefault(item.path, []).append(place)
    for places in in_order.values():
        for place, item in zip(
            places, sorted((items[place] for place in places), key=_as_written), strict=True
        ):
            items[place] = item


def _as_written(item: pytest.Item) -> tuple[int, tuple[int, ...]]:
    parameters = getattr(item, "callspec", None)
    return item.location[1] or 0, tuple(parameters.indices.values()) if parameters else ()


def _tiny() -> ModuleType:
    """Import what writes tiny checkpoints, which takes seconds: only where it is needed."""
    from helpers import tiny

    return tiny


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that wants `every_layout` once for each tiny checkpoint."""
    if "every_layout" in metafunc.fixturenames:
        metafunc.parametrize("every_layout", _tiny().LAYOUTS)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`tiny_checkpoint(layout="embedded", seed=0)`: the folder of a checkpoint with tiny random weights.

    It is written once a session: copy it before changing it. The layouts: test/helpers/tiny.py.
    """
    folders: dict[tuple[str, int], Path] = {}

    def write(layout: str = "embedded", seed: int = 0) -> Path:
        if (layout, seed) not in folders:
            folder = tmp_path_factory.mktemp("checkpoints") / f"{layout.replace('_', '-')}-{seed}"
            folders[layout, seed] = _tiny().write_tiny_checkpoint(folder, layout, seed)
        return folders[layout, seed]

    return write


@pytest.fixture(scope="session")
def tiny_export(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Callable[..., Path]
) -> Callable[..., Path]:
    """`tiny_export(layout="embedded", precision="float32", size=None)`: a tiny checkpoint's graphs, a folder.

    They are written once a session: copy them before changing them.
    """
    folders: dict[tuple[object, ...], Path] = {}

    def write(
        layout: str = "embedded", precision: str = "float32", size: tuple[int, int] | None = None
    ) -> Path:
        key = (layout, precision, size)
        if key not in folders:
            from helpers.exporting import write_export

            folder = tmp_path_factory.mktemp("exported") / f"{layout.replace('_', '-')}-{precision}"
            folders[key] = write_export(tiny_checkpoint(layout), folder, precision, size)
        return folders[key]

    return write


@pytest.fixture
def write_frame() -> Callable[..., Path]:
    """`write_frame(folder, depth=None, points=None, ...)`: a frame folder of 40 x 56 pixels, and its path.

    The image is red on the left and blue on the right; the camera has fx = 50, fy = 46, cx = 29, cy = 18.
    """

    def write(folder: Path, *, depth=None, points=None, camera_from_points=None, distortion=()) -> Path:
        folder.mkdir(parents=True)
        bgr = np.zeros((40, 56, 3), np.uint8)
        bgr[:, :28], bgr[:, 28:] = (20, 30, 200), (210, 40, 10)
        assert cv2.imwrite(str(folder / "image.png"), bgr)
        calibration = {
            "image_height": 40,
            "image_width": 56,
            "camera_matrix": {"data": [50.0, 0.0, 29.0, 0.0, 46.0, 18.0, 0.0, 0.0, 1.0]},
            "distortion_model": "plumb_bob",
            "distortion_coefficients": {"data": list(distortion)},
        }
        (folder / "camera_info.yaml").write_text(yaml.safe_dump(calibration), encoding="utf-8")
        if depth is not None:
            np.savez(folder / "depth.npz", depth=np.asarray(depth, np.float32))
        if points is not None:
            pose = np.eye(4) if camera_from_points is None else np.asarray(camera_from_points)
            points = np.asarray(points, np.float32)
            np.savez(folder / "points.npz", points=points, camera_from_points=pose)
        return folder

    return write


@pytest.fixture
def run_within_memory() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_within_memory(imports, code, *arguments, more_mb=100)`: a process that may not grow any further.

    It runs `imports`, then limits its address space to what it has and `more_mb`, then runs `code`.
    """
    if not Path("/proc/self/statm").is_file():
        pytest.skip("the size of a process is read from Linux")

    def run(imports: str, code: str, *arguments: object, more_mb: int = 100):
        limit = f"""
import resource, sys
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + ({more_mb} << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
"""
        return subprocess.run(
            [sys.executable, "-c", f"{imports}\n{limit}\n{code}", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    return run
