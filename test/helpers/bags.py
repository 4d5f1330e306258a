"""A recording of a robot: two cameras, a LiDAR in a frame of its own, and TF, all at stamps of their own."""

import sqlite3
from pathlib import Path

import cv2
import numpy as np
import yaml
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy.spatial.transform import Rotation

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.clouds import allocate_cloud
from e2e_depth_ros.ros.messages.images import message_from_array
from helpers.robot import picture

SIZE = (48, 64)
CAMERA = Camera(SIZE, np.array([[60.0, 0, 30], [0, 62, 25], [0, 0, 1]]))
START_NS = 1_700_000_000_000_000_000
FRAME_NS = 33_333_333
SCALE, SHIFT_M = 3.0, 1.0
BASE_FROM_CAMERA = ([0.4, 0.05, 0.9], Rotation.from_quat([-0.5, 0.5, -0.5, 0.5]))
BASE_FROM_RIGHT = ([0.4, -0.01, 0.9], Rotation.from_quat([-0.5, 0.5, -0.5, 0.5]))
BASE_FROM_LIDAR = ([0.1, -0.1, 1.2], Rotation.from_euler("xyz", [0.02, -0.1, 0.3]))
STORE = get_typestore(Stores.LATEST)
IMAGE = "sensor_msgs/msg/Image"


def header(stamp_ns, frame_id):
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    sec, nanosec = divmod(stamp_ns, 10**9)
    return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)


def pose(move, turn):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn.as_matrix(), move
    return matrix


def drive(stamp_ns):
    """Where the base is in odom."""
    phase = (stamp_ns - START_NS) * 1e-9
    return [0.8 * phase, 0.1 * np.sin(phase), 0.0], Rotation.from_euler("z", 0.3 * phase)


def transform(parent, child, stamp_ns, move, turn):
    """geometry_msgs/TransformStamped of the real class."""
    from geometry_msgs.msg import TransformStamped

    message = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    shift, rotation = message.transform.translation, message.transform.rotation
    shift.x, shift.y, shift.z = map(float, move)
    rotation.x, rotation.y, rotation.z, rotation.w = map(float, turn.as_quat())
    return message


def tf_bytes(*transforms):
    """Pack a tf2_msgs/TFMessage, of which PyPI has no class."""
    types = STORE.types
    packed = []
    for one in transforms:
        shift, turn, stamp = one.transform.translation, one.transform.rotation, one.header.stamp
        head = types["std_msgs/msg/Header"](
            types["builtin_interfaces/msg/Time"](stamp.sec, stamp.nanosec), one.header.frame_id
        )
        move = types["geometry_msgs/msg/Vector3"](shift.x, shift.y, shift.z)
        rotation = types["geometry_msgs/msg/Quaternion"](turn.x, turn.y, turn.z, turn.w)
        packed.append(
            types["geometry_msgs/msg/TransformStamped"](
                head, one.child_frame_id, types["geometry_msgs/msg/Transform"](move, rotation)
            )
        )
    message = types["tf2_msgs/msg/TFMessage"](packed)
    return bytes(STORE.serialize_cdr(message, "tf2_msgs/msg/TFMessage"))


def frame_picture(index):
    return np.roll(picture(SIZE), (index, 2 * index), axis=(0, 1))


def lidar_points(depth_m):
    """Points (N, 3) in the LiDAR's frame of a depth image (H, W) of the camera."""
    row, column = np.mgrid[0 : SIZE[0] : 3, 0 : SIZE[1] : 2]
    z = depth_m[row, column]
    x, y = CAMERA.normalized_from_pixels(column.astype(float), row.astype(float))
    optical = np.stack([x * z, y * z, z], axis=-1).reshape(-1, 3)
    lidar_from_camera = np.linalg.inv(pose(*BASE_FROM_LIDAR)) @ pose(*BASE_FROM_CAMERA)
    return (optical @ lidar_from_camera[:3, :3].T + lidar_from_camera[:3, 3]).astype(np.float32)


def robot_messages(count, depth_of):
    """What is recorded: (topic, log_ns, message), in order of log_ns; TF as lists of transforms.

    Args:
        count: Of the images of each camera.
        depth_of: Returns the true depth (H, W), metres, of the picture (H, W, 3) of the left camera.
    """
    from sensor_msgs.msg import CompressedImage

    found = [
        (
            "/tf_static",
            START_NS - 5_000_000,
            [
                transform("base", "left_optical", 0, *BASE_FROM_CAMERA),
                transform("base", "lidar", 0, *BASE_FROM_LIDAR),
                transform("base", "right_optical", 0, *BASE_FROM_RIGHT),
            ],
        )
    ]
    for index in range(count):
        stamp_ns = START_NS + index * FRAME_NS
        for late_ns in (0, FRAME_NS // 2):
            moved = transform("odom", "base", stamp_ns + late_ns, *drive(stamp_ns + late_ns))
            found.append(("/tf", stamp_ns + late_ns + 4_000_000, [moved]))
        rgb = frame_picture(index)
        left = header(stamp_ns, "left_optical")
        _, jpeg = cv2.imencode(".png", rgb[..., ::-1])
        packed = CompressedImage(header=left, format="rgb8; png compressed bgr8", data=jpeg.tobytes())
        found.append(("/left/image_raw/compressed", stamp_ns + 12_000_000, packed))
        found.append(("/left/camera_info", stamp_ns + 12_100_000, message_from_camera(CAMERA, left)))
        if index % 3 == 0:
            points = lidar_points(depth_of(rgb))
            cloud, xyz = allocate_cloud(
                np.zeros((1, len(points), 3), np.uint8), header(stamp_ns + 2_000_000, "lidar")
            )
            xyz[0] = points
            found.append(("/lidar/points", stamp_ns + 30_000_000, cloud))
        right = header(stamp_ns + 1_000_000, "right_optical")
        found.append(("/right/image_raw", stamp_ns + 13_000_000, message_from_array(rgb, "rgb8", right)))
        found.append(("/right/camera_info", stamp_ns + 13_000_000, message_from_camera(CAMERA, right)))
    return sorted(found, key=lambda one: one[1])


def rgbd_messages(views, camera, name="camera"):
    """What an RGB-D camera records, from images (H, W, 3) and depth (H, W) in metres, as `robot_messages`."""
    found = []
    for index, (rgb, depth_m) in enumerate(views):
        stamp_ns = START_NS + index * FRAME_NS
        of_camera = header(stamp_ns, f"{name}_optical")
        depth = message_from_array(depth_m.astype(np.float32), "32FC1", of_camera)
        found.append((f"/{name}/camera_info", stamp_ns, message_from_camera(camera, of_camera)))
        found.append((f"/{name}/image_raw", stamp_ns, message_from_array(rgb, "rgb8", of_camera)))
        found.append((f"/{name}/depth", stamp_ns, depth))
    return found


def type_name(message):
    if isinstance(message, list):
        return "tf2_msgs/msg/TFMessage"
    return f"{type(message).__module__.partition('.')[0]}/msg/{type(message).__name__}"


def write_bag(path: Path, messages, *, storage="mcap", compression=None, extra=None):
    """Write messages as `robot_messages` gives them; `extra` names types of topics without messages.

    What ROS knows no type of comes without a definition.
    """
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    writer = Writer(path, version=8, storage_plugin=plugin)
    if compression:
        writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    with writer:
        for topic, name in (extra or {}).items():
            known = {} if name in STORE.types else {"msgdef": "int32 x", "rihs01": "RIHS01_" + "0" * 64}
            writer.add_connection(topic, name, typestore=STORE, **known)
        connections = {}
        for topic, log_ns, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, type_name(message), typestore=STORE)
            data = tf_bytes(*message) if isinstance(message, list) else serialize_message(message)
            writer.write(connections[topic], log_ns, data)
    return path


def spoil(path: Path, topic: str, data: bytes, which: int = 0) -> None:
    """Overwrite a message of a topic in a recording of SQLite."""
    of_topic = "SELECT m.id FROM messages m JOIN topics t ON m.topic_id = t.id WHERE t.name = ?"
    with sqlite3.connect(path / f"{path.name}.db3") as database:
        ids = [row[0] for row in database.execute(of_topic, (topic,))]
        database.execute("UPDATE messages SET data = ? WHERE id = ?", (data, ids[which]))


def write_split_bag(path: Path, parts):
    """Write a recording of several files, as `ros2 bag record --max-bag-duration` does."""
    key = "rosbag2_bagfile_information"
    path.mkdir()
    found = []
    for index, messages in enumerate(parts):
        part = write_bag(path / f"part_{index}", messages)
        found.append(yaml.safe_load((part / "metadata.yaml").read_text())[key])
        (part / f"part_{index}.mcap").rename(path / f"part_{index}.mcap")
        (part / "metadata.yaml").unlink()
        part.rmdir()
    start_ns, end_ns = parts[0][0][1], parts[-1][-1][1]
    joined = {
        **found[0],
        "relative_file_paths": [f"part_{index}.mcap" for index in range(len(parts))],
        "starting_time": {"nanoseconds_since_epoch": start_ns},
        "duration": {"nanoseconds": end_ns - start_ns},
        "message_count": sum(part["message_count"] for part in found),
        "files": [file for part in found for file in part["files"]],
    }
    (path / "metadata.yaml").write_text(yaml.safe_dump({key: joined}))
    return path


def write_ros1_bag(path: Path, messages, *, broken=()):
    """Write the same as a recording of ROS 1; of messages with these numbers only the first 20 bytes."""
    from rosbags.rosbag1 import Writer as Writer1

    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(
        get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage")
    )
    with Writer1(path) as writer:
        connections = {}
        for number, (topic, log_ns, message) in enumerate(messages):
            name = type_name(message)
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, name, typestore=store)
            data = tf_bytes(*message) if isinstance(message, list) else serialize_message(message)
            data = STORE.cdr_to_ros1(data, name)
            writer.write(connections[topic], log_ns, data[:20] if number in broken else data)
    return path


def read_bag(path: Path):
    """Read a recording back: {topic: [(log_ns, message of rosbags)]}."""
    from rosbags.highlevel import AnyReader

    found = {}
    with AnyReader([path], default_typestore=STORE) as reader:
        for connection, log_ns, data in reader.messages():
            found.setdefault(connection.topic, []).append(
                (log_ns, reader.deserialize(data, connection.msgtype))
            )
    return found


def arrays_of(message):
    """The numbers of an image or a cloud as an array."""
    return np.frombuffer(message.data, np.float32 if "F" in getattr(message, "encoding", "F") else np.uint8)
