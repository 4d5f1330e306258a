"""The painter from end to end on a tiny checkpoint, and with a network that paints as it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.instruct.network import SEGMENTATION, InstructNetwork
from e2e_depth_ros.model.instruct.painter import (
    Painter,
    Painting,
    keypoint_instruction,
    mask_instruction,
)
from helpers.painting import blend, ellipse, overlap, scene
from helpers.processors import need_bfloat16_attention

SIZE = (90, 150)
RGB = scene(0, SIZE).astype(np.uint8)


@pytest.fixture(scope="module")
def painter(converted) -> Painter:
    return Painter.load(converted.folder, steps=2, processing_resolution=96)


def test_the_checkpoint_says_steps_and_resolution(converted):
    painter = Painter.load(converted.folder)
    assert (painter.steps, painter.processing_resolution) == (100, 512)
    assert painter.text_encoder.length == 77


def test_impossible_steps_are_refused_at_once(converted):
    with pytest.raises(InvalidInputError, match="expected 1 to 1000 denoising steps, got 0"):
        Painter.load(converted.folder, steps=0)


def test_painting_is_repeatable_and_depends_on_what_it_should(painter):
    seen: list[int] = []
    first = painter.paint(RGB, "make it red", on_step=seen.append)
    assert seen == [0, 1]
    assert first.painted.shape == first.original.shape == (64, 96, 3)  # 57 rows, padded
    assert first.framing.content_size == (57, 96)
    assert first.image.shape == (*SIZE, 3)
    np.testing.assert_array_equal(first.painted, painter.paint(RGB, "make it red").painted)
    for other in (
        painter.paint(RGB, "make it blue"),
        painter.paint(RGB, "make it red", seed=1),
        painter.paint(RGB, "make it red", guidance=SEGMENTATION),
        painter.paint(RGB[:, ::-1], "make it red"),
    ):
        assert np.abs(other.painted - first.painted).max() > 0.01


def test_passes_one_by_one_give_the_same(painter, converted):
    one = Painter.load(converted.folder, steps=2, processing_resolution=96)
    one.passes_at_once = 1
    np.testing.assert_allclose(
        one.paint(RGB, "make it red").painted, painter.paint(RGB, "make it red").painted, atol=0.05
    )


@pytest.mark.parametrize(("dtype", "levels"), [("float16", 1.0), ("bfloat16", 8.0)])
def test_half_precision_stays_close(painter, converted, dtype, levels):
    if dtype == "bfloat16":
        need_bfloat16_attention()
    half = Painter.load(converted.folder, steps=2, processing_resolution=96, device="cpu", dtype=dtype)
    difference = half.paint(RGB, "make it red").painted - painter.paint(RGB, "make it red").painted
    assert 0 < np.abs(difference).mean() < levels


def test_narrow_images_in_bfloat16_are_refused(converted):
    coarse = Painter.load(
        converted.folder, steps=1, processing_resolution=192, device="cpu", dtype="bfloat16"
    )
    with pytest.raises(InvalidInputError, match=r"wider images .*bfloat16.*, got \d+x192"):
        coarse.paint(np.zeros((400, 40, 3), np.uint8), "make it red")


def test_the_caller_may_word_the_instruction(painter, obedient):
    told = obedient(lambda original, _: original)
    mask = painter.segment(RGB, "the box", colour="blue", instruction="Lay blue over the box.")
    assert told == ["Lay blue over the box."]
    assert not mask.values.any()


def test_the_threshold_is_the_caller_s(painter):
    sizes = [painter.segment(RGB, "the box", threshold=t).values.mean() for t in (0.01, 0.5, 0.99)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_a_step_may_stop_it(painter):
    def stop(number: int) -> None:
        if number == 1:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        painter.paint(RGB, "make it red", on_step=stop)


def test_a_long_instruction_is_refused_rather_than_cut(painter):
    with pytest.raises(InvalidInputError, match="at most 75 tokens, got 80"):
        painter.paint(RGB, "a" * 80)


def test_wrong_images_are_refused(painter):
    with pytest.raises(InvalidInputError, match=r"expected an image \(H, W, 3\), uint8"):
        painter.paint(RGB.astype(np.float32), "make it red")


@pytest.fixture
def obedient(monkeypatch):
    """Let sampling paint what the test says, on pixels that the VAE leaves as they are."""

    def make(paint) -> list[str]:
        told: list[str] = []

        def painted(self: Painter, rgb, instruction, **options) -> Painting:
            told.append(instruction)
            made = honest(self, rgb, instruction, **options)
            original = np.float32(made.framing.apply(torch.tensor(rgb).permute(2, 0, 1)[None].float())[0])
            original = original.transpose(1, 2, 0)
            return Painting(np.float32(paint(original, made.framing)), original, made.framing)

        honest = Painter.paint
        monkeypatch.setattr(Painter, "paint", painted)
        return told

    return make


def test_the_mask_comes_back_at_the_image_s_size(painter, obedient):
    where = ellipse(SIZE, (90, 40), (45, 25))

    def paint(original, framing):
        small = framing.apply(torch.tensor(where)[None, None].float())[0, 0].numpy() > 0.5
        return blend(original, small, (0, 0, 255), 0.5)

    told = obedient(paint)
    mask = painter.segment(RGB, "the box", colour="blue")
    assert told == [mask_instruction("the box", "blue")]
    assert mask.values.shape == mask.confidence.shape == SIZE
    assert overlap(mask.values, where) > 0.95
    with pytest.raises(InvalidInputError, match="got 'pink'"):
        painter.segment(RGB, "the box", colour="pink")


def test_keypoints_come_back_in_the_image_s_pixels(painter, obedient):
    def paint(original, framing):
        height, width = framing.content_size
        centre = ((100 + 0.5) * width / SIZE[1] - 0.5, (30 + 0.5) * height / SIZE[0] - 0.5)
        circle = ellipse(original.shape[:2], centre, (height * 10 / 256,) * 2)
        return blend(original, circle, (0, 0, 255), 1.0)

    told = obedient(paint)
    (found,) = painter.find_keypoints(RGB, "the left knee", colour="blue")
    assert told == [keypoint_instruction("the left knee", "blue")]
    assert (found.u_px, found.v_px) == pytest.approx((100, 30), abs=0.8)


def test_infinite_pixels_are_an_error(painter, monkeypatch):
    monkeypatch.setattr(
        InstructNetwork, "decode", lambda _, latents: latents.new_full((1, 3, 64, 96), torch.inf)
    )
    with pytest.raises(InvalidInputError, match="finite image"):
        painter.paint(RGB, "make it red")
