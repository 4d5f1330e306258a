"""What strangers write must not forge log lines, flood diagnostics or fill memory."""

import contextlib

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.refusal import Kinds, RefusedMessageError, Throttle, one_line, refused_as


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rgb8", "rgb8"),
        ("größer 中 ≤ 5 °", "größer 中 ≤ 5 °"),
        ("x\n[ERROR] [depth]: all is lost", r"x\n[ERROR] [depth]: all is lost"),
        ("a\r\tb\0", r"a\r\tb\x00"),
        ("\x1b[2J\x9b31m", r"\x1b[2J\x9b31m"),
        ("line\u2028paragraph\u2029\x85", r"line\u2028paragraph\u2029\x85"),
        ("\u202egnp.\u200b", r"\u202egnp.\u200b"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_does_not_print_is_escaped(text, expected):
    assert one_line(text) == expected
    assert str(RefusedMessageError("cloud: fields", text)) == f"cloud: fields: {expected}"


@pytest.mark.parametrize("character", ["A", "\n", "\U000e0001", "\ud800"])
def test_long_text_loses_its_middle(character):
    detail = f"expected rgb8, got {character * 2_000_000!r} of 3"
    refusal = str(RefusedMessageError("image: encoding", detail))
    assert len(refusal) <= 330
    assert refusal.startswith("image: encoding: expected rgb8, got '")
    assert refusal.endswith("of 3")
    assert refusal.isprintable()
    assert len(one_line(character * 5000, 200)) <= 200


def test_a_reason_is_short_and_printable():
    refusal = RefusedMessageError("field\n" * 1000, "expected x")
    assert len(refusal.reason) <= 60
    assert refusal.reason.isprintable()


def fail_within(error, *refusals):
    with contextlib.ExitStack() as stack:
        for refusal in refusals:
            stack.enter_context(refusal)
        raise error


def test_what_is_invalid_is_refused_by_its_reason_and_a_refusal_within_keeps_its_own():
    invalid, data = InvalidInputError("expected a JPEG"), refused_as("image: data", " (of camera)")
    with pytest.raises(RefusedMessageError, match=r"^image: data: expected a JPEG \(of camera\)$") as refusal:
        fail_within(invalid, data)
    assert refusal.value.reason == "image: data"
    with pytest.raises(RefusedMessageError, match=r"^image: size: expected a JPEG$"):
        fail_within(invalid, refused_as("image: data"), refused_as("image: size"))
    with pytest.raises(KeyError):
        fail_within(KeyError(), refused_as("image: data"))


def test_kinds_are_bounded():
    kinds = Kinds(most=3)
    assert [kinds.kind_of(name) for name in "abcdea"] == ["a", "b", "c", "others", "others", "a"]


def test_each_kind_passes_on_its_own_and_again_after_the_period():
    now_s = 100.0
    throttle = Throttle(period_s=5.0, clock=lambda: now_s)
    assert [throttle.passes(kind) for kind in ("step", "fields", "step", "fields")] == [
        True,
        True,
        False,
        False,
    ]
    now_s = 104.9
    assert not throttle.passes("step")
    now_s = 105.0
    assert throttle.passes("step")
    assert throttle.passes("fields")
    assert not throttle.passes("step")


def test_ever_new_kinds_share_one_place():
    throttle = Throttle(most_kinds=10)
    assert sum(throttle.passes(f"kind {index}") for index in range(10_000)) == 11
    assert len(throttle._passed_s) == 11
