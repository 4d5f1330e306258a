"""A room with a floor, and a robot that feeds an aligner frame by frame."""

import numpy as np
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.ros.aligning.aligner import Aligner
from e2e_depth_ros.ros.aligning.transforms import TransformError, Transforms
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.images import message_from_array
from helpers.robot import picture

SIZE = (120, 176)
CAMERA = Camera(SIZE, np.array([[150.0, 0, 80], [0, 145, 50], [0, 0, 1]]))
HEIGHT_M, TILT_DEG, WALL_M = 0.8, 10.0, 4.0
PERIOD_NS = 33_000_000


def down():
    tilt = np.deg2rad(TILT_DEG)
    return np.array([0.0, np.cos(tilt), np.sin(tilt)])


def room():
    """Depth of a floor with a wall at its end, seen from above the floor: metres."""
    x, y = CAMERA.normalized_grid
    along = x * down()[0] + y * down()[1] + down()[2]
    return np.minimum(HEIGHT_M / np.maximum(along, 1e-3), WALL_M).astype(np.float32)


DEPTH_M = room()


SCALE, SHIFT_M = float(np.ptp(DEPTH_M)), float(DEPTH_M.min())


RELATIVE = DepthMap((DEPTH_M - SHIFT_M) / SCALE, np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT)


class KnownTransforms(Transforms):
    """TF that knows one pose."""

    def __init__(self, **poses):
        super().__init__()
        self.poses = poses

    def pose(self, target, source, *, fixed_frame=""):  # noqa: ARG002 - its own signature
        if source.frame_id not in self.poses:
            raise TransformError(f"{source.frame_id!r} is unknown", may_come=False)
        return self.poses[source.frame_id]


class Robot:
    """Feeds an aligner frame by frame."""

    def __init__(self, transforms=None, *, stamps=True, **parameters):
        self.aligner = Aligner(transforms or Transforms())
        self.parameters = Parameters(**parameters)
        self.frame = 0
        self.stamps = stamps

    def header(self, frame_id="camera", offset_ns=0):
        sec, nanosec = divmod(10**12 + self.frame * PERIOD_NS + offset_ns, 10**9) if self.stamps else (0, 0)
        return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)

    def sense(self, values=DEPTH_M, frame_id="camera", offset_ns=0):
        """A low-resolution depth camera: every fourth pixel of the view."""
        header = self.header(frame_id, offset_ns)
        coarse = values.reshape(SIZE[0] // 4, 4, SIZE[1] // 4, 4).mean(axis=(1, 3))
        self.aligner.sparse.depth.put(message_from_array(coarse.astype(np.float32), "32FC1", header))

    def look(self, relative=RELATIVE, camera=CAMERA, count=1):
        for _ in range(count):
            view = FrameView(picture(SIZE), camera)
            alignment, self.refusals = self.aligner.align(
                relative, self.header(), view, self.parameters, arrived_ns=10**15 + self.frame * PERIOD_NS
            )
            self.frame += 1
        return alignment


def error(alignment):
    return float(np.mean(np.abs(alignment.depth_m / DEPTH_M - 1)))
