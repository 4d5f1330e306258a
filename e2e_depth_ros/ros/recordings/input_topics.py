"""Which topics of a recording are the depth node's inputs: as given, else by type, frame and name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.compressed import packed_encoding
from e2e_depth_ros.ros.messages.frames import may_be_same_frame, same_frame
from e2e_depth_ros.ros.messages.images import COLOR_ENCODINGS, DEPTH_ALONE
from e2e_depth_ros.ros.recordings.bag_reader import TF_TYPE, BagReader

NONE: Final = "none"
"""Given as a topic, it says that there is none."""

TYPES_OF_INPUTS: Final = {
    "image": ("Image", "CompressedImage"),
    "camera_info": ("CameraInfo",),
    "sparse_points": ("PointCloud2",),
    "sparse_depth": ("Image", "CompressedImage"),
    "mask": ("Image",),
}
"""Types of each input, of sensor_msgs."""

_STATIC_TF: Final = "tf_static"  # as the name ends, in any namespace
_BY_PREFERENCE: Final = ("image_rect_color", "image_rect", "image_color", "image_raw", "image")


@dataclass(frozen=True)
class InputTopics:
    """The topic of each input; empty where there is none."""

    image: str
    camera_info: str = ""
    sparse_points: str = ""
    sparse_depth: str = ""
    mask: str = ""

    @property
    def roles(self) -> dict[str, str]:
        """What each topic is used as."""
        named = ((getattr(self, field.name), field.name) for field in fields(self))
        return {topic: role for topic, role in named if topic}


def transform_topics(reader: BagReader) -> tuple[list[str], list[str]]:
    """Return the topics of transforms: those that change with time, and the static ones."""
    names = [topic.name for topic in reader.topics.values() if topic.type_name == TF_TYPE]
    static = [name for name in names if name.endswith(_STATIC_TF)]
    return [name for name in names if name not in static], static


def choose_cameras(
    reader: BagReader, given: Mapping[str, Sequence[str]], namespaces: Sequence[str] = ()
) -> dict[str, InputTopics]:
    """Find the inputs of one camera, or of several.

    Args:
        reader: The recording.
        given: Topics by input: an image of each camera, and of another input one for each of them, in their
            order, or one for all; see `choose_topics`.
        namespaces: Of the outputs, one for each camera; without any the root for a single camera, and for
            each of several the namespace of its image, or the image's own name where two share that.

    Returns:
        The inputs of each camera, by the namespace of its outputs.

    Raises:
        InvalidInputError: There are not as many topics as cameras, two cameras are one, or as in
            `choose_topics`.
    """
    images = given.get("image") or ("",)
    for what, values in {**given, "namespace": namespaces}.items():
        if len(values) not in ((0, len(images)) if what == "namespace" else (0, 1, len(images))):
            raise InvalidInputError(
                f"expected as many of --{what.replace('_', '-')} as of --image, {len(images)},"
                f" got {len(values)}: {' '.join(values)}"
            )
    bases = [_base(_with_slash(image)) for image in images]
    names = [_with_slash(name) for name in namespaces] or (_namespaces(bases) if len(images) > 1 else [""])
    if len({*bases}) < len(images) or len({*names}) < len(images):
        raise InvalidInputError(
            f"expected different cameras and namespaces, got {', '.join(images)} in {', '.join(names)}"
        )
    return {
        name: choose_topics(
            reader,
            {role: topics[index % len(topics)] for role, topics in given.items() if topics},
        )
        for index, name in enumerate(names)
    }


def frames_of_several(reader: BagReader, cameras: Mapping[str, InputTopics]) -> list[str]:
    """Return the frames that several cameras say they are in: TF has one place for all of them."""
    frames = [reader.first(topics.image).header.frame_id for topics in cameras.values()]
    return sorted({frame for frame in frames if frames.count(frame) > 1})


def choose_topics(reader: BagReader, given: Mapping[str, str | None]) -> InputTopics:
    """Find the inputs of one camera in a recording.

    Args:
        reader: The recording.
        given: Topics by input; `NONE` for no such input, None or nothing to look for it.

    Raises:
        InvalidInputError: A given topic is not there or of another type; or there is no image, or more than
            one and nothing that tells which.
    """
    named = {role: _checked(reader, role, topic) for role, topic in given.items() if topic is not None}
    image = named.get("image") or _image(reader)
    first = reader.first(image)
    if not _shows_colours(first):
        encoding = getattr(first, "format", None) or first.encoding
        raise InvalidInputError(f"expected colour images on {image} in {reader.path}, got {encoding}")
    header = first.header
    chosen = {"image": image, "mask": "", **named}
    if "camera_info" not in chosen:
        chosen["camera_info"] = _camera_info(reader, image, header)
    if "sparse_points" not in chosen:
        chosen["sparse_points"] = _only(_of_role(reader, "sparse_points"), image)
    if "sparse_depth" not in chosen:
        no_points = not chosen["sparse_points"]
        chosen["sparse_depth"] = _only(_depths_of(reader, header), image) if no_points else ""
    topics = InputTopics(**chosen)
    if len(topics.roles) < sum(map(bool, chosen.values())):
        twice = [role for role, topic in chosen.items() if [*chosen.values()].count(topic) > 1 and topic]
        raise InvalidInputError(
            f"expected a topic of its own for each input, got {chosen[twice[0]]} as {' and '.join(twice)}"
        )
    return topics


def _checked(reader: BagReader, role: str, topic: str) -> str:
    if topic == NONE:
        if role == "image":
            raise InvalidInputError("expected an image topic, got none")
        return ""
    name = _with_slash(topic)
    found = reader.topics.get(name)
    types = " or ".join(f"sensor_msgs/msg/{name}" for name in TYPES_OF_INPUTS[role])
    if found is None or not found.count:
        raise InvalidInputError(
            f"expected messages on {name or repr(topic)} as {role} in {reader.path}; it has"
            f" {_named(reader, role)}"
        )
    if found.type_name.rpartition("/")[2] not in TYPES_OF_INPUTS[role]:
        raise InvalidInputError(f"expected {types} on {name} as {role}, got {found.type_name}")
    return name


def _named(reader: BagReader, role: str) -> str:
    return ", ".join(_of_role(reader, role)) or f"no {' or '.join(TYPES_OF_INPUTS[role])}"


def _of_role(reader: BagReader, role: str) -> list[str]:
    return [
        topic.name
        for topic in reader.topics.values()
        if topic.count and topic.type_name.rpartition("/")[2] in TYPES_OF_INPUTS[role]
    ]


def _only(names: Iterable[str], image: str) -> str:
    """Return the only name, or the only one in the namespace of an image.

    Nothing where several are left, as a wrong sensor is worse than none.
    """
    found = [*names]
    own = [name for name in found if name.startswith(f"{_namespace(_base(image))}/")]
    for candidates in (found, own):
        if len(candidates) == 1:
            return candidates[0]
    return ""


def _with_slash(name: str) -> str:
    return f"/{name.strip('/')}".rstrip("/")


def _base(name: str) -> str:
    """The raw topic of one with a transport."""
    for transport in ("/compressed", "/compressedDepth"):
        name = name.removesuffix(transport)
    return name


def _namespace(base: str) -> str:
    return base.rpartition("/")[0]


def _namespaces(bases: Sequence[str]) -> list[str]:
    """Tell cameras apart as their topics do."""
    found = [_namespace(base) for base in bases]
    return [name if found.count(name) == 1 else base for name, base in zip(found, bases, strict=True)]


def _image(reader: BagReader) -> str:
    by_base: dict[str, str] = {}
    for name in sorted(_of_role(reader, "image")):  # the raw topic stands before its transports
        if _shows_colours(reader.first(name)) and not name.endswith("compressedDepth"):
            by_base.setdefault(_base(name), name)
    cameras: dict[str, list[str]] = {}
    for base in by_base:
        cameras.setdefault(_namespace(base), []).append(base)
    if len(cameras) == 1:
        (bases,) = cameras.values()
        preferred = [base for end in _BY_PREFERENCE for base in bases if base.endswith(f"/{end}")]
        if len(bases) == 1 or preferred:
            return by_base[(preferred or bases)[0]]
    found = ", ".join(by_base.values())
    if not found:
        raise InvalidInputError(f"expected colour images in {reader.path}, found none")
    raise InvalidInputError(f"expected image to name one or more of the topics in {reader.path}: {found}")


def _shows_colours(message: Any) -> bool:
    if hasattr(message, "format"):
        return "compressedDepth" not in message.format and packed_encoding(message) not in DEPTH_ALONE
    return message.encoding in COLOR_ENCODINGS


def _shows_depth(message: Any) -> bool:
    if hasattr(message, "format"):
        is_png_of_depth = "png" in message.format and packed_encoding(message) in DEPTH_ALONE
        return "compressedDepth" in message.format or is_png_of_depth
    return message.encoding in DEPTH_ALONE


def _camera_info(reader: BagReader, image: str, header: Any) -> str:
    names = _of_role(reader, "camera_info")
    beside = f"{_namespace(_base(image))}/camera_info"  # as image_transport has it
    if beside in names:
        return beside
    of_frame = [
        name
        for name, message in _readable(reader, names)
        if may_be_same_frame(message.header.frame_id, header.frame_id)
    ]
    return _only(of_frame, image)


def _readable(reader: BagReader, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Each topic with a message of it; another camera's, of which none can be read, is in nobody's way."""
    for name in names:
        message = reader.first_whole(name)
        if message is not None:
            yield name, message


def _depths_of(reader: BagReader, header: Any) -> Iterator[str]:
    """Depth images of the camera's own frame: others are not registered to it."""
    seen: set[str] = set()
    for name, message in _readable(reader, sorted(_of_role(reader, "sparse_depth"))):
        same = same_frame(message.header.frame_id, header.frame_id)
        if _shows_depth(message) and same and _base(name) not in seen:
            seen.add(_base(name))
            yield name
