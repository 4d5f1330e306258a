from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import e2e_depth_ros.model as model_room
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.core.upsampling import follow_outlines
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.engine.torch_engine import TorchEngine
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts
from e2e_depth_ros.model.task import Task

_BOTH = (Task.DEPTH, Task.NORMALS)
_ROOM = Path(model_room.__file__).parent


@pytest.fixture(scope="module")
def estimator(tiny_checkpoint: Callable[..., Path]) -> Estimator:
    return Estimator.load(tiny_checkpoint("embedded"), device="cpu", processing_resolution=32)


def _image(size: tuple[int, int] = (21, 34), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (17, 5), (120, 7)])
def test_maps_have_the_size_of_the_image(estimator: Estimator, size: tuple[int, int]) -> None:
    estimate = estimator.estimate(_image(size), tasks=_BOTH)
    assert estimate.depth is not None
    assert estimate.normals is not None
    assert estimate.depth.size == estimate.normals.size == size
    assert estimate.depth.kind is DepthKind.AFFINE_INVARIANT
    lengths = np.linalg.norm(estimate.normals.values[estimate.normals.valid], axis=-1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_reads_images_that_are_views_or_read_only(estimator: Estimator) -> None:
    image = _image()
    flipped = np.ascontiguousarray(image[:, ::-1])
    frozen = image.copy()
    frozen.flags.writeable = False
    expected = estimator.estimate(flipped).depth
    assert expected is not None
    found = estimator.estimate(image[:, ::-1]).depth
    assert found is not None
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
    unfrozen, from_frozen = estimator.estimate(image).depth, estimator.estimate(frozen).depth
    assert unfrozen is not None
    assert from_frozen is not None
    np.testing.assert_allclose(from_frozen.values, unfrozen.values, atol=1e-5)


def test_the_network_s_range_is_kept_unless_stretching_is_asked_for(estimator: Estimator) -> None:
    plain, stretched = estimator.estimate(_image()).depth, estimator.estimate(_image(), stretch=True).depth
    assert plain is not None
    assert stretched is not None
    assert 0 < plain.values.min() < plain.values.max() < 1
    assert (stretched.values.min(), stretched.values.max()) == (0, 1)
    scale = plain.values.max() - plain.values.min()
    np.testing.assert_allclose(stretched.values * scale + plain.values.min(), plain.values, atol=1e-5)


def test_stretching_a_constant_gives_zeros(estimator: Estimator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        estimator.engine.network, "decode", lambda latents: torch.zeros(len(latents), 3, 20, 32)
    )
    depth = estimator.estimate(_image(), stretch=True).depth
    assert depth is not None
    assert not depth.values.any()


def test_depth_follows_outlines_beside_what_is_aligned(tiny_checkpoint: Callable[..., Path]) -> None:
    """What an alignment is fitted to is the same for all, to the bit."""
    loaded = load_checkpoint(tiny_checkpoint("embedded"))
    assert loaded.facts.upsampling == "guided"
    estimates = {
        name: Estimator(TorchEngine(loaded), processing_resolution=32, upsampling=name).estimate(
            _image((60, 90))
        )
        for name in ("auto", "guided", "bilinear")
    }
    bilinear = estimates["bilinear"].depth
    assert bilinear is not None
    assert estimates["bilinear"].outlined_depth is bilinear
    for name in ("auto", "guided"):
        estimate = estimates[name]
        assert estimate.depth is not None
        np.testing.assert_array_equal(estimate.depth.values, bilinear.values)
        outlined = estimate.outlined_depth
        assert outlined is not None
        assert outlined.kind is bilinear.kind
        expected = follow_outlines(bilinear.values, _image((60, 90)), grid_px=32)
        np.testing.assert_array_equal(outlined.values, expected)
        assert np.abs(expected - bilinear.values).max() > 1e-3
    small = Estimator(TorchEngine(loaded), processing_resolution=96).estimate(_image((60, 90)))
    assert small.outlined_depth is small.depth


def test_checkpoints_that_say_nothing_are_bilinear(tiny_checkpoint: Callable[..., Path]) -> None:
    folder = tiny_checkpoint("marigold_depth")
    assert Estimator.load(folder, device="cpu").upsampling == "bilinear"
    assert Estimator.load(folder, device="cpu", upsampling="guided").upsampling == "guided"


def test_the_embedded_checkpoint_asks_for_outlines() -> None:
    assert read_facts(find_checkpoint("embedded")).upsampling == "guided"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_close(
    tiny_checkpoint: Callable[..., Path], estimator: Estimator, dtype: str
) -> None:
    half = Estimator.load(tiny_checkpoint("embedded"), device="cpu", dtype=dtype, processing_resolution=32)
    assert half.place.precision == dtype
    found, expected = half.estimate(_image()).depth, estimator.estimate(_image()).depth
    assert found is not None
    assert expected is not None
    assert np.abs(found.values - expected.values).mean() < 0.02


def test_narrow_images_in_bfloat16_are_refused(tiny_checkpoint: Callable[..., Path]) -> None:
    """Where a map within the network is one column, kernels of AMX gave NaN, or what looked like depth."""
    coarse = Estimator.load(
        tiny_checkpoint("embedded"), device="cpu", dtype="bfloat16", processing_resolution=160
    )
    with pytest.raises(InvalidInputError, match=r"wider images .*bfloat16.*, got 8x160"):
        coarse.estimate(_image((160, 8)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 5, 3), np.float32), "uint8.*float32"),
        (np.zeros((4, 5), np.uint8), r"\(H, W, 3\), got \(4, 5\)"),
        (np.zeros((4, 5, 4), np.uint8), r"got \(4, 5, 4\)"),
        (np.zeros((0, 5, 3), np.uint8), r"got \(0, 5, 3\)"),
        ("image.png", "uint8.*str"),
    ],
)
def test_refuses_what_is_no_rgb_image(estimator: Estimator, image: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        estimator.estimate(image)


def test_refuses_batches_that_are_none(estimator: Estimator) -> None:
    with pytest.raises(InvalidInputError, match="at least one image"):
        estimator.estimate_batch([])
    with pytest.raises(InvalidInputError, match=r"one size, got \(21, 34\) and \(34, 21\)"):
        estimator.estimate_batch([_image(), _image((34, 21))])
    with pytest.raises(InvalidInputError, match="at least one task"):
        estimator.estimate(_image(), tasks=[])
    for words in (["depth"], "depth", [Task.DEPTH, "normals"]):
        with pytest.raises(InvalidInputError, match=r"each a Task, got .*(depth|normals)"):
            estimator.estimate(_image(), tasks=words)  # type: ignore[arg-type]


def test_refuses_a_task_of_another_checkpoint(tiny_checkpoint: Callable[..., Path]) -> None:
    normals = Estimator.load(tiny_checkpoint("marigold_normals"), device="cpu")
    with pytest.raises(InvalidInputError, match="predicts normals; depth was asked for"):
        normals.estimate(_image())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "tpu"}, "auto, cuda, cuda:N or cpu, got 'tpu'"),
        ({"device": "cuda:99"}, "that is there, got 'cuda:99'"),
        ({"dtype": "int8"}, "got 'int8'"),
        ({"processing_resolution": -1}, "0 to 8192, got -1"),
        ({"upsampling": "nearest"}, "auto, bilinear, guided, got 'nearest'"),
        ({"num_threads": 0}, "1 to 256 threads, got 0"),
        ({"num_threads": 1.5}, "1 to 256 threads, got 1.5"),
        ({"num_threads": 3_000_000_000}, "1 to 256 threads, got 3000000000"),
        ({"processing_resolution": "large"}, "0 to 8192, got 'large'"),
        ({"processing_resolution": 160.5}, "0 to 8192, got 160.5"),
        ({"batch_memory_mb": "all"}, "at least 1 MB for a pass, got 'all'"),
        ({"device": 0}, "the name of a device, got 0"),
        ({"sampling": 4}, "a Sampling or None as sampling, got 4"),
    ],
)
def test_refuses_bad_arguments(
    tiny_checkpoint: Callable[..., Path], arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Estimator.load(tiny_checkpoint("embedded"), **arguments)


@pytest.mark.parametrize("layout", ["embedded", "marigold_depth_v1_1"])
def test_few_files_lie_between_a_checkpoint_s_id_and_its_estimator(
    tiny_checkpoint: Callable[..., Path], layout: str
) -> None:
    """Who wants to know how one becomes the other has to read no more than these."""
    folder = tiny_checkpoint(layout)
    load_checkpoint(folder)  # so that a prompt is encoded, and modules are imported, before
    entered: dict[str, set[str]] = {}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and _ROOM in path.parents:
            entered.setdefault(path.relative_to(_ROOM).as_posix(), set()).add(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        Estimator(TorchEngine(load_checkpoint(find_checkpoint(folder))))
    finally:
        sys.setprofile(before)
    # The registry asks one family after the other; those that say no aren't on the way.
    on_the_way = {name for name, functions in entered.items() if functions != {"recognises"}}
    assert {"checkpoint/locate.py", "families/registry.py", "estimator.py"} < on_the_way
    assert len(on_the_way) <= 14, sorted(on_the_way)


@pytest.mark.parametrize("model", [None, 3, b"embedded"])
def test_refuses_what_names_no_model(model: object) -> None:
    with pytest.raises(InvalidInputError, match="expected the name of a model or its folder, got"):
        Estimator.load(model)  # type: ignore[arg-type]
