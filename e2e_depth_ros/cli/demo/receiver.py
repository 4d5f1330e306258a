"""The demo's consumer: takes what the node publishes, and scores it against the measured depth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from e2e_depth_ros.cli.demo.clouds import ColoredCloud
from e2e_depth_ros.cli.demo.scenes import DemoScene
from e2e_depth_ros.cli.demo.scores import HeldOutPoints
from e2e_depth_ros.cli.pictures import Rgb
from e2e_depth_ros.core.metrics import abs_rel, delta1
from e2e_depth_ros.ros.messages.camera_info import camera_from_message
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.images import depth_from_message, rgb_from_message
from e2e_depth_ros.ros.messages.stamps import stamp_ns
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from e2e_depth_ros.ros.recordings.shown import show_image, show_output

if TYPE_CHECKING:
    from e2e_depth_ros.offline.viewer import Viewer

RELATIVE: Final = Output.RELATIVE.value
METRIC: Final = Output.DEPTH.value
COLOR: Final = Output.COLOR.value
NORMALS: Final = Output.NORMALS.value
POINTS: Final = Output.POINTS.value

_IMAGE: Final = "image_raw"
_SPARSE_POINTS: Final = "sparse_points"
_OUTPUTS: Final = {output.value: output for output in Output}
_QUEUE: Final = 5
_STAGE: Final = "stage_ms/"


@dataclass
class SceneRecord:
    """What was received of one scene.

    Attributes:
        scene: The frame that was published.
        counts: Messages received, by topic.
        latencies_s: From the stamp of a frame to the receipt of its relative depth.
        abs_rels: AbsRel of each received metric depth image, at points that were not samples.
        delta1s: delta1 of the same.
        image: The last image, RGB.
        color: The last coloured relative depth, RGB.
        depth_m: The last metric depth, (H, W), NaN where invalid.
        normals: The last normals, (H, W, 3), optical frame.
        cloud: The last cloud.
        alignment: The last alignment status while this scene was on, key by key.
    """

    scene: DemoScene
    counts: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    abs_rels: list[float] = field(default_factory=list)
    delta1s: list[float] = field(default_factory=list)
    image: Rgb | None = None
    color: Rgb | None = None
    depth_m: NDArray[np.float32] | None = None
    normals: NDArray[np.float32] | None = None
    cloud: ColoredCloud | None = None
    alignment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        camera = self.scene.camera
        self.held_out = HeldOutPoints(self.scene.points_m, camera) if camera is not None else None


@dataclass(frozen=True)
class _Unscored:
    """A depth image and its camera_info, as far as they have come."""

    depth: Image | None = None
    info: CameraInfo | None = None

    def __or__(self, other: _Unscored) -> _Unscored:
        return _Unscored(self.depth or other.depth, self.info or other.info)


class Receiver:
    """Subscribes to the camera and to every output of the node; sorts all by scene.

    Attributes:
        records: What was received of each scene, by its frame id.
        diagnostics: The node's last diagnostics, by status and key.
        stages_ms: Latency of each stage as the node reported it, a number for each second.
    """

    def __init__(self, node: Node, scenes: list[DemoScene], viewer: Viewer | None = None) -> None:
        """Subscribe.

        Args:
            node: Where.
            scenes: What the camera publishes.
            viewer: Shows all that is received; by default nothing does.
        """
        self.records = {scene.frame_id: SceneRecord(scene) for scene in scenes}
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.stages_ms: defaultdict[str, list[float]] = defaultdict(list)
        self._node = node
        self._viewer = viewer
        self._sender = f"{node.get_namespace()}/depth".lstrip("/")
        self._current: SceneRecord | None = None
        self._unscored: dict[int, _Unscored] = {}
        for message_type, topic, callback in (
            (Image, _IMAGE, self._on_image),
            (PointCloud2, _SPARSE_POINTS, self._on_sparse_points),
            (CameraInfo, Output.DEPTH_INFO.value, self._on_depth_camera_info),
            (Image, METRIC, self._on_metric),
            (Image, RELATIVE, self._on_relative),
            (Image, COLOR, self._on_color),
            (Image, NORMALS, self._on_normals),
            (PointCloud2, POINTS, self._on_points),
            (DiagnosticStatus, Output.STATUS.value, self._on_alignment),
            (DiagnosticArray, "/diagnostics", self._on_diagnostics),
        ):
            node.create_subscription(message_type, topic, self._seen(topic, callback), _QUEUE)

    @property
    def images_received(self) -> int:
        """Camera images so far, for the progress bar."""
        return sum(record.counts[_IMAGE] for record in self.records.values())

    def _seen(self, topic: str, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a callback that shows a message too, where there is a viewer."""
        viewer = self._viewer
        if viewer is None:
            return callback

        def take_and_show(message: Any) -> None:
            callback(message)
            if hasattr(message, "header"):  # the status has none, and follows its image
                viewer.at(stamp_ns(message.header))
            if topic == _IMAGE:
                show_image(viewer, message)
            elif topic == _SPARSE_POINTS:
                viewer.points(points_from_message(message), name=topic)
            elif topic in _OUTPUTS:
                show_output(viewer, _OUTPUTS[topic], message)

        return take_and_show

    def _count(self, topic: str, message: Any) -> SceneRecord | None:
        record = self.records.get(message.header.frame_id)
        if record is not None:
            record.counts[topic] += 1
        return record

    def _on_image(self, message: Image) -> None:
        if record := self._count(_IMAGE, message):
            self._current = record
            record.image = rgb_from_message(message)

    def _on_sparse_points(self, message: PointCloud2) -> None:
        record = self._count(_SPARSE_POINTS, message)
        if record and record.held_out:
            record.held_out.exclude(points_from_message(message))

    def _on_depth_camera_info(self, message: CameraInfo) -> None:
        self._score(_Unscored(info=message), message)

    def _on_metric(self, message: Image) -> None:
        if record := self._count(METRIC, message):
            record.depth_m = np.asarray(depth_from_message(message), np.float32)
            self._score(_Unscored(depth=message), message)

    def _score(self, part: _Unscored, message: Any) -> None:
        """Score a depth image once its camera_info, which comes by another topic, is here too."""
        whole = part | self._unscored.pop(stamp_ns(message.header), _Unscored())
        record = self.records.get(message.header.frame_id)
        if whole.depth is None or whole.info is None:
            self._unscored[stamp_ns(message.header)] = whole
            if len(self._unscored) > _QUEUE:  # the other part was lost
                del self._unscored[min(self._unscored)]
        elif record and record.held_out:
            depth_m = np.asarray(depth_from_message(whole.depth), np.float32)
            prediction, target = record.held_out.pairs(depth_m, camera_from_message(whole.info))
            if len(target):
                record.abs_rels.append(abs_rel(prediction, target))
                record.delta1s.append(delta1(prediction, target))

    def _on_relative(self, message: Image) -> None:
        if record := self._count(RELATIVE, message):
            age_ns = self._node.get_clock().now().nanoseconds - stamp_ns(message.header)
            record.latencies_s.append(age_ns * 1e-9)

    def _on_color(self, message: Image) -> None:
        if record := self._count(COLOR, message):
            record.color = rgb_from_message(message)

    def _on_normals(self, message: Image) -> None:
        if record := self._count(NORMALS, message):
            values = np.frombuffer(message.data, np.float32)
            record.normals = values.reshape(message.height, message.width, 3)

    def _on_points(self, message: PointCloud2) -> None:
        if record := self._count(POINTS, message):
            record.cloud = _colored_cloud(message)

    def _on_alignment(self, message: DiagnosticStatus) -> None:
        if self._current is not None:
            self._current.alignment = _entries(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.partition(":")[0] == self._sender:
                entries = _entries(status)
                for key in [key for key in entries if key.startswith(_STAGE)]:
                    self.stages_ms[key.removeprefix(_STAGE)].append(float(entries.pop(key)))
                self.diagnostics[status.name] = entries


def _entries(status: DiagnosticStatus) -> dict[str, str]:
    return {"message": status.message, **{entry.key: entry.value for entry in status.values}}


def _colored_cloud(message: PointCloud2) -> ColoredCloud:
    points = points_from_message(message)
    offset = next(field.offset for field in message.fields if field.name == "rgb")
    octets = np.frombuffer(message.data, np.uint8).reshape(-1, message.point_step)
    rgb = octets[:, offset : offset + 3][:, ::-1]  # 0x00RRGGBB, little-endian
    finite = np.isfinite(points).all(axis=1)
    return ColoredCloud(points[finite], rgb[finite])
