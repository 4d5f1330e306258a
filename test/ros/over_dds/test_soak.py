"""The node under a camera of 60 Hz and a LiDAR of 10 Hz gains no memory, thread or descriptor.

A quarter of a minute runs always, an hour with E2E_DEPTH_STRESS=1, E2E_DEPTH_SOAK_S seconds if that is set.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from e2e_depth_ros.cli.demo.publisher import cloud_from_points
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.images import depth_from_message, message_from_array
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess, picture

STRESS = bool(os.environ.get("E2E_DEPTH_STRESS"))
DURATION_S = float(os.environ.get("E2E_DEPTH_SOAK_S", "3600" if STRESS else "15"))
IS_LONG = DURATION_S > 120
SETTLED_S = 60.0 if IS_LONG else 5.0
PERIOD_S = 1 / 60
CLOUD_EVERY = 6
SIZE = (480, 640)
MOST_GROWTH_MB = 5.0 if IS_LONG else 50.0  # allocators and caches grow for a minute

pytestmark = [pytest.mark.timeout(DURATION_S + 600), pytest.mark.slow, pytest.mark.stress]


def resources(pid):
    """Resident memory in MB, threads, open descriptors."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    memory_mb = int(status["VmRSS"].split()[0]) / 1024
    return memory_mb, int(status["Threads"]), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def what_the_network_sees(robot, camera, count=2000):
    """Points (N, 3), metres, that agree with what the network says of the picture."""
    robot.listen(Output.RELATIVE)
    assert robot.stream_until(lambda: Output.RELATIVE in robot.received, timeout_s=120, size=SIZE)
    relative = depth_from_message(robot.received[Output.RELATIVE][-1])
    rng = np.random.default_rng(0)
    v, u = rng.integers(0, SIZE[0], count), rng.integers(0, SIZE[1], count)
    z = 2 + 4 * relative[v, u]
    return np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], 1).astype(
        np.float32
    )


def test_nothing_piles_up(robot, tmp_path):
    camera = Camera(SIZE, np.array([[520.0, 0, 330], [0, 515, 235], [0, 0, 1]]))
    image = picture(SIZE)
    process = NodeProcess(tmp_path / "log", {"sparse_extrinsics": "[0.0,0.0,0.0,0.0,0.0,0.0,1.0]"})
    try:
        process.wait_until_ready()
        points = what_the_network_sees(robot, camera)
        robot.listen(*Output)
        pid = process.popen.pid
        readings, received, sent = [], 0, 0
        awaited, complete_s = set(Output), DURATION_S
        begin = due = time.monotonic()
        while (elapsed_s := time.monotonic() - begin) < DURATION_S:
            header = robot.header(int(PERIOD_S * 1e9))
            robot.publishers["camera_info"].publish(message_from_camera(camera, header))
            if sent % CLOUD_EVERY == 0:
                cloud = cloud_from_points(points, header)
                robot.publishers["sparse_points"].publish(cloud)
            robot.publishers["image_raw"].publish(message_from_array(image, "rgb8", header))
            sent += 1
            due += PERIOD_S
            robot.spin(max(0.002, due - time.monotonic()))
            due = max(due, time.monotonic())  # what a busy machine missed is not made up for
            if awaited:
                awaited -= set(robot.received)
                complete_s = elapsed_s
            if sent % 60 == 0:
                received += len(robot.received.get(Output.DEPTH, []))
                robot.received.clear()
                readings.append((elapsed_s, *resources(pid)))
        assert not awaited, (robot.statuses, process.output)
        # Until each output has come, graphs are loaded, and a graph has threads.
        settled = [reading for reading in readings if reading[0] >= max(SETTLED_S, complete_s + 1)]
        memory_mb, threads, descriptors = np.array(settled)[:, 1:].T
        quarter = max(1, len(settled) // 4)
        growth_mb = memory_mb[-quarter:].max() - memory_mb[:quarter].max()
        print(f"{sent} images in {elapsed_s:.0f} s, {received} depth images")
        print(f"{memory_mb[-1]:.1f} MB, {growth_mb:+.2f} MB since {SETTLED_S:.0f} s")
        print(f"threads {threads[0]:.0f} -> {threads[-1]:.0f}")
        print(f"descriptors {descriptors[0]:.0f} -> {descriptors[-1]:.0f}")
        assert received > DURATION_S / 10, (robot.statuses, process.output)  # slower would prove nothing
        assert threads[-1] <= threads[0]
        assert descriptors[-1] <= descriptors[0]
        assert growth_mb < MOST_GROWTH_MB
    finally:
        assert process.stop() == 0, process.output
    assert "Traceback" not in process.output
