"""The depth node's parameters, declared once.

This declaration yields the descriptors that ROS tools show, the checks, the typed struct that the node reads,
and what `deployment.declaration_docs` writes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from e2e_depth_ros.alignment.samples import MAX_SAMPLES, samples_from_points
from e2e_depth_ros.alignment.tracking.states import TrackerSettings
from e2e_depth_ros.core.cloud_filters import CloudFilterSettings
from e2e_depth_ros.core.colours import COLORMAPS, colours_from_depth
from e2e_depth_ros.model.engine.engine import ENGINES, FASTEST
from e2e_depth_ros.model.task import AUTO, TASK_WORDS
from e2e_depth_ros.model.upsampling import DEFAULT_UPSAMPLING, UPSAMPLINGS
from e2e_depth_ros.ros.declarations.declaration import (
    BadParameterError,
    Changes,
    declarations_from_struct,
    parameter,
    parameter_for,
)
from e2e_depth_ros.ros.declarations.sampling_parameters import SamplingParameters

_QUATERNION_TOLERANCE: Final = 0.05  # one decimal place may be off by as much; a number forgotten is more
_FARTHEST_M: Final = 1e7  # beyond any map's origin

_ORDERED: Final = (("min_depth", "max_depth"), ("sparse_min_depth", "sparse_max_depth"))


@dataclass(frozen=True)
class Parameters(SamplingParameters):
    """The values of all parameters: checked, and read-only.

    Each is described in its declaration, see `DECLARATIONS`.
    """

    task: str = parameter(
        AUTO,
        "What the checkpoint predicts, where its configs don't say. auto: as they or its name say.",
        changes=Changes.UNCONFIGURED,
        choices=TASK_WORDS,
    )
    engine: str = parameter(
        FASTEST,
        "What runs the network. torch: every checkpoint. onnx (ONNX Runtime) and openvino: the embedded model"
        " and those that e2e-depth export wrote; onnx has the device tensorrt too. auto: the fastest that is"
        " there and gives the same result.",
        changes=Changes.UNCONFIGURED,
        choices=ENGINES,
    )
    compiled: bool = parameter(
        False,
        "Compile the network by torch.compile, for engine torch: faster on a GPU, but the first start takes"
        " minutes.",
        changes=Changes.UNCONFIGURED,
    )
    upsampling: str = parameter(
        DEFAULT_UPSAMPLING,
        "How depth comes from the size that the network sees to the image's. bilinear: smoothly. guided: it"
        " jumps where the image does. auto: as the checkpoint says; the embedded one says guided.",
        changes=Changes.UNCONFIGURED,
        choices=UPSAMPLINGS,
    )
    rectify: str = parameter(
        "auto",
        "Whether to remove lens distortion. always: as camera_info says. never: the images are rectified"
        " already. auto: yes, unless the name of the image topic contains image_rect.",
        choices=("auto", "always", "never"),
        # The words of old, which YAML reads as booleans unless they are quoted.
        aliases={"on": "always", "off": "never", True: "always", False: "never"},
    )
    approx_sync_max_interval: float = parameter(
        0.1,
        "How far apart, in seconds, the stamps of an image and its sparse samples may be.",
        bounds=(0.0, 10.0),
    )
    sparse_extrinsics: tuple[float, ...] = parameter(
        (0.0,) * 7,
        "Pose of the sparse points' frame in the camera's optical frame: x y z in metres, quaternion x y z"
        " w of length 1. All zero: ask TF. If it is set, clouds whose frame_id differs from the first"
        " cloud's are refused until ~/reset_alignment.",
    )
    transform_timeout: float = parameter(
        1.0,
        "How long, in seconds of image stamps, sparse samples and the ground wait for a transform that TF"
        " does not have yet. Images never wait.",
        bounds=(0.0, 5.0),
    )
    fixed_frame: str = parameter(
        "",
        "A frame that does not move, such as odom: TF then gives the camera's motion between the stamps of"
        " samples and image, and the node compensates for it. Empty: none.",
    )
    sparse_depth_transport: str = parameter(
        "raw",
        "raw subscribes to sparse_depth, the others to sparse_depth/compressed (PNG) and"
        " sparse_depth/compressedDepth (PNG or RVL).",
        changes=Changes.UNCONFIGURED,
        choices=("raw", "compressed", "compressedDepth"),
    )
    sparse_min_depth: float = parameter_for(
        samples_from_points,
        "min_depth_m",
        "Samples nearer than this, in metres along the optical axis, are dropped.",
        bounds=(0.0, 1000.0),
    )
    sparse_max_depth: float = parameter_for(
        samples_from_points,
        "max_depth_m",
        "Samples farther than this, in metres along the optical axis, are dropped.",
        bounds=(0.0, 10000.0),
    )
    max_samples: int = parameter(
        MAX_SAMPLES,
        "If a frame has more samples than this, about this many are used.",
        bounds=(1, MAX_SAMPLES),
    )
    correction: bool = parameter_for(
        TrackerSettings,
        "correction",
        "Whether to correct, between the samples, the error that one scale and shift leave. It takes tens of"
        " milliseconds of one core for each frame with samples; without it depth is less exact.",
    )
    fresh_duration: float = parameter_for(
        TrackerSettings,
        "fresh_duration_s",
        "How long, in seconds, samples count as recent. A sensor slower than the camera needs at least its"
        " period plus the delay of TF. After that the scale is held, and the node asks other sources.",
        bounds=(0.01, 3600.0),
    )
    hold_duration: float = parameter_for(
        TrackerSettings,
        "hold_duration_s",
        "How long, in seconds, the last scale is used after the last samples; then it is lost, and metric"
        " topics fall silent.",
        bounds=(0.01, 3600.0),
    )
    publish_degraded: bool = parameter(
        True,
        "Whether metric topics publish while the alignment is degraded: samples are too few, too alike or"
        " contradictory.",
    )
    publish_held: bool = parameter(
        True,
        "Whether metric topics publish while the scale is held: no recent samples, or given by fixed_scale.",
    )
    camera_height: float = parameter(
        0.0,
        "Height of the camera above the ground, in metres; without samples, the ground in view gives the"
        " scale. 0: ask TF for ground_frame.",
        bounds=(0.0, 100.0),
    )
    ground_frame: str = parameter(
        "",
        "A frame on the ground with z up, such as base_footprint: TF then gives the camera's height and"
        " tilt. Empty: none.",
    )
    fixed_scale: float = parameter(
        0.0,
        "Metres (for disparity 1 / metres) per unit of the network's depth, used when nothing measures it;"
        " 0: unknown.",
        bounds=(0.0, 10000.0),
    )
    fixed_shift: float = parameter(
        0.0,
        "Metres (for disparity 1 / metres) where the network's depth is 0; goes with fixed_scale.",
        bounds=(-1000.0, 1000.0),
    )
    min_depth: float = parameter_for(
        CloudFilterSettings,
        "min_depth",
        "points leaves out depth nearer than this, in metres.",
        bounds=(0.0, 1000.0),
    )
    max_depth: float = parameter_for(
        CloudFilterSettings,
        "max_depth",
        "points leaves out depth farther than this, in metres.",
        bounds=(0.0, 10000.0),
    )
    confidence_threshold: float = parameter_for(
        CloudFilterSettings,
        "confidence_threshold",
        "points leaves out pixels of lower confidence; 0 keeps all.",
        bounds=(0.0, 1.0),
    )
    remove_edges: bool = parameter_for(
        CloudFilterSettings,
        "remove_edges",
        "Whether points leaves out flying pixels, which lie between two surfaces at depth edges.",
    )
    decimation: int = parameter_for(
        CloudFilterSettings,
        "decimation",
        "points has only every n-th row and column of the image.",
        bounds=(1, 64),
    )
    voxel_size: float = parameter_for(
        CloudFilterSettings,
        "voxel_size",
        "points keeps one point per cube of this edge length, in metres; 0 keeps all.",
        bounds=(0.0, 10.0),
    )
    noise_filter_radius: float = parameter_for(
        CloudFilterSettings,
        "noise_filter_radius",
        "points leaves out points with fewer than noise_filter_min_neighbors others within this distance,"
        " in metres; 0 keeps all.",
        bounds=(0.0, 10.0),
    )
    noise_filter_min_neighbors: int = parameter_for(
        CloudFilterSettings,
        "noise_filter_min_neighbors",
        "How many others a point needs within noise_filter_radius, among the 24 pixels around it.",
        bounds=(1, 24),
    )
    far_returns: bool = parameter_for(
        CloudFilterSettings,
        "far_returns",
        "Whether pixels beyond max_depth give a point at max_depth, so that costmaps clear the space in"
        " front of it.",
    )
    level_ground: bool = parameter(
        False,
        "Whether points lays the floor where TF says that ground_frame is. The floor that the network sees"
        " bends, and costmaps take what rises for obstacles.",
    )
    relative_range: str = parameter(
        "network",
        "Range of depth/image_relative. network: as predicted, steady over time. image: the nearest pixel of"
        " each image is 0 and its farthest 1.",
        choices=("network", "image"),
    )
    colormap: str = parameter_for(
        colours_from_depth,
        "colormap",
        "Colours of depth/image_color, far to near.",
        choices=COLORMAPS,
    )
    remove_masked_points: bool = parameter(
        False,
        "Whether points leaves out what mask/image covers; without a mask from about the image's time there"
        " are no points.",
        changes=Changes.UNCONFIGURED,
    )
    remove_masked_samples: bool = parameter(
        False,
        "Whether to align without the samples that mask/image covers; without a mask from about the image's"
        " time none is used.",
        changes=Changes.UNCONFIGURED,
    )
    mask_max_age: float = parameter(
        10.0,
        "Masks whose stamp is farther than this, in seconds, from the image's are ignored: whatever moves"
        " has left them.",
        bounds=(0.0, 3600.0),
    )
    mask_dilation: int = parameter(
        8,
        "By how many pixels masks are widened, to allow for inexact edges and motion.",
        bounds=(0, 500),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_extrinsics(self.sparse_extrinsics)
        for lower, upper in _ORDERED:
            low, high = getattr(self, lower), getattr(self, upper)
            if low >= high:
                raise BadParameterError(f"parameter {lower}: expected below {upper} {high:g}, got {low:g}")

    @property
    def uses_mask(self) -> bool:
        """Whether anything is to be left out by mask/image."""
        return self.remove_masked_points or self.remove_masked_samples


def _check_extrinsics(numbers: tuple[float, ...]) -> None:
    """Refuse what is no pose. A quaternion of another length than 1 is mistyped: normalised it would lie."""
    if not any(numbers):
        return
    name = "parameter sparse_extrinsics"
    length = math.sqrt(sum(number * number for number in numbers[3:]))
    if abs(length - 1) > _QUATERNION_TOLERANCE:
        raise BadParameterError(
            f"{name}: expected x y z and a quaternion x y z w of length 1, or all zero for TF,"
            f" got a quaternion of length {length:.3g} in {list(numbers)}"
        )
    if max(abs(number) for number in numbers[:3]) > _FARTHEST_M:
        raise BadParameterError(f"{name}: expected x y z of at most {_FARTHEST_M:g} m, got {list(numbers)}")


DECLARATIONS: Final = declarations_from_struct(Parameters)
"""All parameters by name."""
