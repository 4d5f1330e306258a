"""The pipeline with a network whose answer is known; messages in, messages out."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from e2e_depth_ros.alignment.result import AlignmentState
from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.errors import KindError
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap, farness_from_relative
from e2e_depth_ros.core.upsampling import Outlines
from e2e_depth_ros.model.estimator import Estimate
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.clouds import allocate_cloud, points_from_message
from e2e_depth_ros.ros.messages.images import depth_from_message, message_from_array, rgb_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.nodes.pipeline import Pipeline
from e2e_depth_ros.ros.outputs import products
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output
from e2e_depth_ros.ros.outputs.products import Products
from helpers import aligning as room
from helpers.robot import picture

SIZE = (30, 44)
CAMERA = Camera(SIZE, np.array([[50.0, 0, 20], [0, 52, 16], [0, 0, 1]]))
ROW, COLUMN = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
RELATIVE = (0.1 + 0.8 * (0.7 * ROW / SIZE[0] + 0.3 * COLUMN / SIZE[1])).astype(np.float32)
SCALE, SHIFT_M = 4.0, 1.5
TRUE_DEPTH = SHIFT_M + SCALE * RELATIVE
RGB = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


class KnownEstimator:
    tasks = frozenset(Task)

    def __init__(self, kind=DepthKind.AFFINE_INVARIANT, doubt=None, outlines=None):
        self.kind = kind
        self.doubt = doubt
        self.outlines = outlines
        self.asked = []
        self.forgot = 0

    def forget_last_frame(self):
        self.forgot += 1

    def estimate(self, rgb, *, tasks):
        self.asked.append(set(tasks))
        assert rgb.shape == (*SIZE, 3)
        valid = np.ones(SIZE, bool)
        normals = np.broadcast_to(np.float32([0, 0, -1]), (*SIZE, 3))
        return Estimate(
            DepthMap(RELATIVE, valid, self.kind) if Task.DEPTH in tasks else None,
            NormalMap(normals, valid) if Task.NORMALS in tasks else None,
            {"encode": 0.001},
            3,
            depth_uncertainty=self.doubt,
            outlines=self.outlines,
        )


def header(index=0, frame_id="camera"):
    return Header(stamp=Time(sec=100, nanosec=index * 30_000_000), frame_id=frame_id)


def frame(index=0, camera=CAMERA):
    head = header(index)
    return message_from_array(RGB, "rgb8", head), message_from_camera(camera, head)


def depth_samples(index=0, count=200):
    chosen = np.random.default_rng(index).permutation(TRUE_DEPTH.size).reshape(SIZE) < count
    return message_from_array(np.where(chosen, TRUE_DEPTH, np.float32(0)), "32FC1", header(index))


def point_samples(index=0, frame_id="camera"):
    cloud, points = allocate_cloud(np.zeros((*SIZE, 3), np.uint8), header(index, frame_id))
    points[..., 0] = (COLUMN - CAMERA.cx) / CAMERA.fx * TRUE_DEPTH
    points[..., 1] = (ROW - CAMERA.cy) / CAMERA.fy * TRUE_DEPTH
    points[..., 2] = TRUE_DEPTH
    return cloud


def test_nothing_wanted_nothing_computed():
    estimator = KnownEstimator()
    result = Pipeline(estimator).process(*frame(), set())
    assert not result.messages
    assert not estimator.asked
    assert result.alignment is None


@pytest.mark.parametrize(
    ("wanted", "tasks"),
    [
        ({Output.NORMALS}, [{Task.NORMALS}]),
        ({Output.RELATIVE}, [{Task.DEPTH}]),
        ({Output.STATUS}, [{Task.DEPTH}]),
        ({Output.COLOR, Output.NORMALS}, [{Task.DEPTH, Task.NORMALS}]),
        ({Output.DEPTH_INFO}, []),
    ],
)
def test_network_is_asked_only_for_what_is_wanted(wanted, tasks):
    estimator = KnownEstimator()
    result = Pipeline(estimator).process(*frame(), wanted)
    assert estimator.asked == tasks
    assert set(result.messages) == wanted


def test_without_samples_metric_outputs_are_missing():
    result = Pipeline(KnownEstimator()).process(*frame(), set(Output))
    assert set(result.messages) == set(Output) - METRIC_OUTPUTS
    assert result.alignment.state is AlignmentState.LOST
    assert "no samples from sparse_points or sparse_depth" in result.alignment.reason
    assert result.non_finite == 3


@pytest.mark.parametrize("sensor", ["points", "depth", "both"])
def test_samples_make_every_output(sensor):
    pipeline = Pipeline(KnownEstimator())
    if sensor != "depth":
        pipeline.sparse.points.put(point_samples())
    if sensor != "points":
        pipeline.sparse.depth.put(depth_samples())
    result = pipeline.process(*frame(), set(Output))
    assert not result.refusals
    assert set(result.messages) == set(Output)
    assert result.alignment.scale == pytest.approx(SCALE, rel=0.01)
    assert result.alignment.shift_m == pytest.approx(SHIFT_M, rel=0.01)
    expected = {
        "points": "sparse_points",
        "depth": "sparse_depth",
        "both": "sparse_points + sparse_depth",
    }
    assert result.alignment.source == expected[sensor]
    depth_m = depth_from_message(result.messages[Output.DEPTH])
    np.testing.assert_allclose(depth_m, TRUE_DEPTH, rtol=0.01)
    points = points_from_message(result.messages[Output.POINTS]).reshape(*SIZE, 3)
    np.testing.assert_allclose(points[..., 0], (COLUMN - 20) / 50 * depth_m, atol=1e-5)
    np.testing.assert_allclose(points[..., 1], (ROW - 16) / 52 * depth_m, atol=1e-5)
    np.testing.assert_array_equal(points[..., 2], depth_m)
    confidence = depth_from_message(result.messages[Output.CONFIDENCE])
    assert ((confidence > 0.5) & (confidence <= 1)).all()
    for output, message in result.messages.items():
        if output is not Output.STATUS:
            assert message.header == header()


def test_each_stage_is_timed():
    pipeline = Pipeline(KnownEstimator())
    pipeline.sparse.depth.put(depth_samples())
    result = pipeline.process(*frame(), {Output.DEPTH, Output.POINTS})
    assert list(result.durations_s) == ["read", "rectify", "encode", "align", "depth/image_rect", "points"]
    assert all(seconds >= 0 for seconds in result.durations_s.values())


BOX = np.where(((ROW > 8) & (ROW < 22) & (COLUMN > 14))[..., None], (160, 90, 40), (90, 95, 100))
OUTLINES = Outlines(BOX.astype(np.uint8), 20)


@pytest.mark.parametrize(
    "wanted", [{Output.DEPTH, Output.RELATIVE}, {Output.RELATIVE}, {Output.DEPTH}, {Output.STATUS}]
)
def test_what_is_wanted_follows_outlines_after_the_alignment(wanted):
    def process(outlines):
        pipeline = Pipeline(KnownEstimator(outlines=outlines))
        pipeline.sparse.depth.put(depth_samples())
        return pipeline.process(*frame(), wanted)

    smooth, sharp = process(None), process(OUTLINES)
    assert "outlines" not in smooth.durations_s
    stages = [name for name in sharp.durations_s if name in {"encode", "align", "outlines"}]
    assert stages == ["encode", *(["align"] if wanted != {Output.RELATIVE} else []), "outlines"]
    if smooth.alignment is not None:
        assert sharp.alignment.scale == smooth.alignment.scale
        assert sharp.alignment.shift_m == smooth.alignment.shift_m
        assert sharp.alignment.samples_used == smooth.alignment.samples_used
    if Output.RELATIVE in wanted:
        expected = OUTLINES.followed_by(DepthMap(RELATIVE, np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT))
        np.testing.assert_array_equal(depth_from_message(sharp.messages[Output.RELATIVE]), expected.values)
        assert np.abs(expected.values - RELATIVE).max() > 0.01
    if Output.DEPTH in wanted:
        expected = OUTLINES.followed_by_metric(smooth.alignment.depth)
        np.testing.assert_array_equal(depth_from_message(sharp.messages[Output.DEPTH]), expected.values)
        assert np.abs(expected.values - smooth.alignment.depth_m).max() > 0.01
    if wanted == {Output.STATUS}:  # no map of it is published
        np.testing.assert_array_equal(sharp.alignment.depth_m, smooth.alignment.depth_m)


def test_what_rectification_leaves_empty_does_not_follow_outlines():
    distorted = Camera(SIZE, CAMERA.intrinsics, DistortionModel.PLUMB_BOB, (0.4, 0.1, 0.0, 0.0, 0.0))
    maps = []
    for outlines in (None, OUTLINES):
        pipeline = Pipeline(
            KnownEstimator(outlines=outlines), Parameters(fixed_scale=SCALE, fixed_shift=SHIFT_M)
        )
        messages = pipeline.process(*frame(camera=distorted), {Output.RELATIVE, Output.DEPTH}).messages
        maps.append(
            [np.isfinite(depth_from_message(messages[one])) for one in (Output.RELATIVE, Output.DEPTH)]
        )
    assert 0.02 < 1 - maps[0][0].mean() < 0.5
    np.testing.assert_array_equal(*maps)


def test_a_measurement_serves_one_frame_and_holds_for_the_next():
    pipeline = Pipeline(KnownEstimator())
    pipeline.sparse.depth.put(depth_samples())
    first = pipeline.process(*frame(0), {Output.DEPTH}).alignment
    second = pipeline.process(*frame(1), {Output.DEPTH}).alignment
    assert (first.age_s, second.age_s) == (0, pytest.approx(0.03))
    assert second.depth is not None


def test_reset_forgets_alignment_and_waiting_samples():
    pipeline = Pipeline(KnownEstimator())
    pipeline.sparse.depth.put(depth_samples())
    pipeline.process(*frame(0), {Output.DEPTH})
    pipeline.sparse.depth.put(depth_samples(1))
    pipeline.reset_alignment()
    assert pipeline.process(*frame(1), {Output.DEPTH}).alignment.state is AlignmentState.LOST


def test_nothing_is_carried_over_from_another_scene():
    """After a reset, and where time goes back; in between the estimator carries over as it is told to."""
    estimator = KnownEstimator()
    pipeline = Pipeline(estimator)
    counts = []
    for index in (0, 1, 2, 1, 2):
        pipeline.process(*frame(index), {Output.RELATIVE})
        counts.append(estimator.forgot)
    assert counts == [0, 0, 0, 1, 1]
    pipeline.reset_alignment()
    pipeline.process(*frame(3), {Output.RELATIVE})
    pipeline.process(*frame(4), {Output.RELATIVE})
    assert estimator.forgot == 2


@pytest.mark.parametrize(("relative_range", "stretch"), [("network", False), ("image", True)])
def test_relative_depth_and_its_colours_share_one_computation(monkeypatch, relative_range, stretch):
    asked = []

    def counted(depth, *, stretch):
        asked.append(stretch)
        return farness_from_relative(depth, stretch=stretch)

    monkeypatch.setattr(products, "farness_from_relative", counted)
    pipeline = Pipeline(KnownEstimator(), Parameters(relative_range=relative_range))
    messages = pipeline.process(*frame(), {Output.RELATIVE, Output.COLOR}).messages
    assert set(messages) == {Output.RELATIVE, Output.COLOR}
    assert asked == [stretch]


def test_scale_is_held_as_long_as_the_parameter_says():
    pipeline = Pipeline(KnownEstimator())
    pipeline.sparse.depth.put(depth_samples())
    pipeline.process(*frame(0), {Output.DEPTH})
    assert Output.DEPTH in pipeline.process(*frame(10), {Output.DEPTH}).messages
    pipeline.parameters = Parameters(hold_duration=0.2)
    assert Output.DEPTH not in pipeline.process(*frame(11), {Output.DEPTH}).messages


def test_the_correction_is_the_parameters_choice():
    """A bump that no scale and shift explains is followed only where the correction is on."""
    bump = np.exp(-((ROW - 15) ** 2 + (COLUMN - 30) ** 2) / 60).astype(np.float32)
    true_depth = TRUE_DEPTH * (1 + 0.3 * bump)
    errors = {}
    for correction in (False, True):
        pipeline = Pipeline(KnownEstimator(), Parameters(correction=correction))
        pipeline.sparse.depth.put(message_from_array(true_depth, "32FC1", header()))
        depth_m = depth_from_message(pipeline.process(*frame(), {Output.DEPTH}).messages[Output.DEPTH])
        errors[correction] = float(np.mean(np.abs(depth_m - true_depth) / true_depth))
    assert errors[True] < 0.6 * errors[False]


def test_samples_of_another_time_are_refused():
    pipeline = Pipeline(KnownEstimator())
    pipeline.sparse.depth.put(depth_samples(0))
    result = pipeline.process(*frame(20), {Output.DEPTH, Output.STATUS})
    assert [refusal.reason for refusal in result.refusals] == ["sparse_depth: stale stamp"]
    assert "sparse_depth: stale stamp" in result.messages[Output.STATUS].message


def test_extrinsics_parameter_moves_points():
    pipeline = Pipeline(KnownEstimator())
    pipeline.sparse.points.put(point_samples(0, "lidar"))
    refused = pipeline.process(*frame(0), {Output.DEPTH})
    assert [refusal.reason for refusal in refused.refusals] == ["sparse_points: transform"]
    # half a metre ahead: what the sensor sees at z is at z + 0.5 for the camera
    pipeline.parameters = Parameters(sparse_extrinsics=(0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0))
    pipeline.sparse.points.put(point_samples(1, "lidar"))
    result = pipeline.process(*frame(1), {Output.DEPTH})
    centre = depth_from_message(result.messages[Output.DEPTH])[16, 20]
    assert centre == pytest.approx(TRUE_DEPTH[16, 20] + 0.5, rel=0.03)


def test_points_need_a_calibration_and_relative_depth_does_not():
    pipeline = Pipeline(KnownEstimator(), image_topic="/camera/image_rect")
    pipeline.sparse.points.put(point_samples())
    image, _ = frame()
    result = pipeline.process(image, None, set(Output))
    assert [refusal.reason for refusal in result.refusals] == ["sparse_points: camera_info"]
    assert set(result.messages) == {Output.RELATIVE, Output.COLOR, Output.NORMALS, Output.STATUS}


@pytest.mark.parametrize(("rectify", "topic"), [("never", "/image_raw"), ("auto", "/camera/image_rect")])
def test_registered_depth_of_a_rectified_image_needs_no_calibration_but_the_cloud_does(rectify, topic):
    pipeline = Pipeline(KnownEstimator(), Parameters(rectify=rectify), image_topic=topic)
    pipeline.sparse.depth.put(depth_samples())
    image, _ = frame()
    result = pipeline.process(image, None, set(Output))
    assert not result.refusals
    assert Output.DEPTH in result.messages
    assert Output.POINTS not in result.messages


@pytest.mark.parametrize("rectify", ["always", "auto"])
@pytest.mark.parametrize("source", ["sparse_depth", "sparse_points", "fixed_scale"])
def test_nothing_metric_of_an_image_whose_distortion_nobody_told(rectify, source):
    pipeline = Pipeline(
        KnownEstimator(), Parameters(rectify=rectify, fixed_scale=4.0 * (source == "fixed_scale"))
    )
    if source == "sparse_depth":
        pipeline.sparse.depth.put(depth_samples())
    elif source == "sparse_points":
        pipeline.sparse.points.put(point_samples())
    image, _ = frame()
    result = pipeline.process(image, None, set(Output))
    assert [refusal.reason for refusal in result.refusals] == ["camera_info: missing"]
    assert set(result.messages) == {Output.RELATIVE, Output.COLOR, Output.NORMALS, Output.STATUS}
    assert "camera_info: missing: expected the image's calibration" in result.messages[Output.STATUS].message
    # Who wants nothing metric is not told of it.
    assert not pipeline.process(frame(1)[0], None, {Output.RELATIVE, Output.STATUS}).refusals


LENS = Camera(SIZE, CAMERA.intrinsics, DistortionModel.PLUMB_BOB, (-0.3, 0.0, 0.0, 0.0, 0.0))


def spoilt(message, what):
    if what == "frame":
        message.header = header(0, "another")
    elif what == "size":
        message.width += 1
    elif what == "calibration":
        message.d = [1e308, 0.0, 0.0, 0.0, 0.0]
    return message


@pytest.mark.parametrize("what", ["frame", "size", "calibration"])
@pytest.mark.parametrize("fixed_scale", [0.0, 4.0])
def test_a_calibration_that_becomes_unusable_silences_metric_topics(what, fixed_scale):
    """Though the scale would be held; and alignment goes on, when it is back, as if nothing had been."""
    pipelines = [Pipeline(KnownEstimator(), Parameters(fixed_scale=fixed_scale)) for _ in range(2)]
    for index in range(3):
        for pipeline in pipelines:
            pipeline.sparse.depth.put(depth_samples(index))
            assert Output.DEPTH in pipeline.process(*frame(index, LENS), set(Output)).messages
    interrupted = pipelines[0]
    for index in range(3, 6):
        interrupted.sparse.depth.put(depth_samples(index))
        image, info = frame(index, LENS)
        result = interrupted.process(image, spoilt(info, what), set(Output))
        assert set(result.messages) == {Output.RELATIVE, Output.COLOR, Output.NORMALS, Output.STATUS}
        assert [refusal.reason for refusal in result.refusals] == [f"camera_info: {what}"]
        status = result.messages[Output.STATUS]
        assert status.message.startswith(
            "lost: the image may be distorted and can't be rectified: camera_info"
        )
        assert f"camera_info: {what}" in status.message
    results = []
    for pipeline in pipelines:
        pipeline.sparse.depth.clear()
        pipeline.sparse.depth.put(depth_samples(6))
        results.append(pipeline.process(*frame(6, LENS), {Output.DEPTH}))
    depths = [depth_from_message(result.messages[Output.DEPTH]) for result in results]
    np.testing.assert_array_equal(*depths)
    assert results[0].alignment.scale == results[1].alignment.scale


def test_an_unusable_calibration_of_a_rectified_image_costs_the_cloud_only():
    pipeline = Pipeline(KnownEstimator(), Parameters(rectify="never"))
    pipeline.sparse.depth.put(depth_samples())
    image, info = frame(0, LENS)
    result = pipeline.process(image, spoilt(info, "frame"), set(Output))
    assert [refusal.reason for refusal in result.refusals] == ["camera_info: frame"]
    assert set(result.messages) == set(Output) - {Output.POINTS, Output.DEPTH_INFO}


def test_a_leading_slash_makes_no_other_frame():
    """Of the calibration, of either measurement, and of what the extrinsics describe."""
    for sparse_extrinsics in ((0.0,) * 7, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)):
        pipeline = Pipeline(KnownEstimator(), Parameters(sparse_extrinsics=sparse_extrinsics))
        for index, slash in enumerate(("", "/", "")):
            image, info = frame(index)
            info.header = header(index, f"{slash}camera")
            depth = depth_samples(index)
            depth.header = header(index, f"{slash}camera")
            pipeline.sparse.points.put(point_samples(index, f"{slash}camera"))
            pipeline.sparse.depth.put(depth)
            result = pipeline.process(image, info, set(Output))
            assert not result.refusals
            assert result.alignment.source == "sparse_points + sparse_depth"
            assert set(result.messages) == set(Output)


@pytest.mark.parametrize("kind", ["size", "frame"])
def test_foreign_calibration_is_refused_and_the_frame_goes_on(kind):
    image, info = frame()
    if kind == "size":
        info.width += 1
    else:
        info.header = header(0, "another")
    result = Pipeline(KnownEstimator()).process(image, info, {Output.RELATIVE, Output.DEPTH_INFO})
    assert [refusal.reason for refusal in result.refusals] == [f"camera_info: {kind}"]
    assert set(result.messages) == {Output.RELATIVE}


def test_broken_image_is_refused():
    image, info = frame()
    image.step = 1
    with pytest.raises(RefusedMessageError):
        Pipeline(KnownEstimator()).process(image, info, {Output.RELATIVE})


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (2000, 8)])
def test_an_image_in_which_a_network_sees_nothing_is_refused_and_the_next_serves(size):
    estimator = KnownEstimator()
    pipeline = Pipeline(estimator)
    strip = message_from_array(np.zeros((*size, 3), np.uint8), "rgb8", header())
    with pytest.raises(RefusedMessageError, match=f"got {size[0]} x {size[1]}") as refusal:
        pipeline.process(strip, None, {Output.RELATIVE})
    assert refusal.value.reason == "image: size"
    assert not estimator.asked
    assert pipeline.process(*frame(), {Output.RELATIVE}).messages


def test_pixels_without_image_are_invalid_everywhere():
    pincushion = Camera(SIZE, CAMERA.intrinsics, DistortionModel.PLUMB_BOB, (0.6, 0.2, 0.0, 0.0, 0.0))
    pipeline = Pipeline(KnownEstimator())
    pipeline.sparse.depth.put(depth_samples())
    messages = pipeline.process(*frame(0, pincushion), set(Output)).messages
    for output in (Output.DEPTH, Output.RELATIVE):
        assert np.isnan(depth_from_message(messages[output])[0, 0])
        assert np.isfinite(depth_from_message(messages[output])[15, 20])
    normals = np.frombuffer(messages[Output.NORMALS].data, np.float32).reshape(*SIZE, 3)
    assert np.isnan(normals[0, 0]).all()
    assert np.isnan(points_from_message(messages[Output.POINTS])[0]).all()
    assert depth_from_message(messages[Output.CONFIDENCE])[0, 0] == 0
    assert not rgb_from_message(messages[Output.COLOR])[0, 0].any()


@pytest.mark.parametrize(
    ("rectify", "topic", "rectified"),
    [
        ("auto", "/camera/image_raw", True),
        ("auto", "/camera/image_rect_color", False),
        ("always", "/camera/image_rect", True),
        ("never", "/camera/image_raw", False),
    ],
)
def test_when_images_are_rectified(rectify, topic, rectified):
    projection = np.array([[40.0, 0, 21], [0, 41, 15], [0, 0, 1]])
    lens = Camera(
        SIZE, CAMERA.intrinsics, DistortionModel.PLUMB_BOB, (-0.3, 0.0, 0.0, 0.0, 0.0), projection=projection
    )
    seen = []
    estimator = SimpleNamespace(
        tasks=frozenset(Task),
        forget_last_frame=lambda: None,
        estimate=lambda rgb, tasks: seen.append(rgb) or KnownEstimator().estimate(rgb, tasks=tasks),
    )
    pipeline = Pipeline(estimator, Parameters(rectify=rectify), image_topic=topic)
    result = pipeline.process(*frame(0, lens), {Output.RELATIVE, Output.DEPTH_INFO})
    assert np.array_equal(seen[0], RGB) is not rectified
    assert list(result.messages[Output.DEPTH_INFO].k[[0, 2, 4, 5]]) == [40, 21, 41, 15]


def test_points_out_of_range_are_left_out_but_stay_in_depth():
    pipeline = Pipeline(KnownEstimator(), Parameters(min_depth=2.5, max_depth=4.0))
    pipeline.sparse.depth.put(depth_samples(0, 800))
    messages = pipeline.process(*frame(), {Output.DEPTH, Output.POINTS}).messages
    depth_m = depth_from_message(messages[Output.DEPTH])
    z = points_from_message(messages[Output.POINTS])[:, 2].reshape(SIZE)
    inside = (depth_m >= 2.5) & (depth_m <= 4)
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(np.isfinite(z), inside)
    assert np.isfinite(depth_m).all()


def test_model_without_normals_is_told():
    estimator = KnownEstimator()
    estimator.tasks = frozenset({Task.DEPTH})
    result = Pipeline(estimator).process(*frame(), {Output.NORMALS, Output.RELATIVE})
    assert set(result.messages) == {Output.RELATIVE}
    assert [refusal.reason for refusal in result.refusals] == ["model: task"]


def test_relative_depth_never_reaches_a_metric_topic():
    """Even if an alignment claimed it: the type refuses."""
    relative = DepthMap(RELATIVE, np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT)
    lie = SimpleNamespace(depth=relative, log_std=RELATIVE, state=AlignmentState.FRESH)
    made = Products(header(), FrameView(RGB, CAMERA), relative=relative, alignment=lie)
    for output in METRIC_OUTPUTS:
        with pytest.raises(KindError):
            output.message(made, Parameters())


@pytest.mark.parametrize("colormap", ["turbo", "gray"])
def test_colours_are_bright_near(colormap):
    pipeline = Pipeline(KnownEstimator(), Parameters(colormap=colormap))
    message = pipeline.process(*frame(), {Output.COLOR}).messages[Output.COLOR]
    rgb = rgb_from_message(message).astype(int)
    near, far = rgb[np.unravel_index(RELATIVE.argmin(), SIZE)], rgb[np.unravel_index(RELATIVE.argmax(), SIZE)]
    if colormap == "gray":
        assert near[0] > 200
        assert far[0] < 50
    else:  # turbo runs from blue to red
        assert near[0] > near[2]
        assert far[2] > far[0]


def test_what_the_network_doubts_lowers_confidence():
    def confidence(estimator):
        pipeline = Pipeline(estimator, Parameters(remove_edges=False))
        pipeline.sparse.depth.put(depth_samples())
        message = pipeline.process(*frame(), {Output.CONFIDENCE}).messages[Output.CONFIDENCE]
        return depth_from_message(message)

    doubt = np.zeros(SIZE, np.float32)
    doubt[:, 22:] = 0.1
    plain, doubted = confidence(KnownEstimator()), confidence(KnownEstimator(doubt=doubt))
    np.testing.assert_array_equal(doubted[:, :22], plain[:, :22])
    assert (doubted[:, 24:] < 0.8 * plain[:, 24:]).all()


@pytest.mark.parametrize("level_ground", [False, True])
def test_the_floor_of_points_lies_where_tf_has_it(level_ground):
    bent_m = (room.DEPTH_M * (1 + 0.03 * np.sin(2 * room.DEPTH_M))).astype(np.float32)

    class BentEstimator(KnownEstimator):
        def estimate(self, rgb, *, tasks):  # noqa: ARG002 - its own signature
            relative = (bent_m - room.SHIFT_M) / room.SCALE
            return Estimate(DepthMap(relative, np.ones(room.SIZE, bool), self.kind), None, {})

    up = -room.down()
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross([1.0, 0, 0], up), [1.0, 0, 0], up], axis=1)
    pose[:3, 3] = room.HEIGHT_M * room.down()
    pipeline = Pipeline(
        BentEstimator(),
        Parameters(level_ground=level_ground, ground_frame="base", remove_edges=False, correction=False),
        transforms=room.KnownTransforms(base=pose),
    )
    pipeline.sparse.depth.put(message_from_array(bent_m, "32FC1", header()))
    image = message_from_array(picture(room.SIZE), "rgb8", header())
    result = pipeline.process(image, message_from_camera(room.CAMERA, header()), {Output.POINTS})
    points = points_from_message(result.messages[Output.POINTS])
    height = np.abs(room.HEIGHT_M - points @ room.down()).reshape(room.SIZE)
    is_floor = room.DEPTH_M < room.WALL_M - 0.3
    assert (np.nanmedian(height[is_floor]) < 1e-3) == level_ground
