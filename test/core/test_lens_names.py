"""The names that drivers, calibrators and people give to lens models, and the coefficients they send."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from e2e_depth_ros.core.distortion import DistortionModel
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.lens_names import lens_from_calibration

NONE, PLUMB_BOB, RATIONAL, FISHEYE = DistortionModel
EIGHT = (0.5, -0.2, 0.001, -0.0005, 0.03, 0.8, -0.1, 0.02)
FIVE, FOUR = EIGHT[:5], EIGHT[:4]
PRISM, TILT = (0.001, -0.0002, 0.0007, 0.0001), (0.01, -0.02)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("plumb_bob", PLUMB_BOB),
        ("PLUMB_BOB", PLUMB_BOB),
        ("Plumb Bob", PLUMB_BOB),
        ("plumb-bob ", PLUMB_BOB),
        ("radtan", PLUMB_BOB),
        ("radial-tangential", PLUMB_BOB),
        ("Brown-Conrady", PLUMB_BOB),
        ("OPENCV", PLUMB_BOB),
        ("opencvPinhole", PLUMB_BOB),
        ("", PLUMB_BOB),
        ("rational_polynomial", RATIONAL),
        ("rational", RATIONAL),
        ("RATIONAL_POLYNOMIAL", RATIONAL),
        ("pinhole-radtan8", RATIONAL),
        ("equidistant", FISHEYE),
        ("Equidistant", FISHEYE),
        ("equi", FISHEYE),
        ("fisheye", FISHEYE),
        ("OPENCV_FISHEYE", FISHEYE),
        ("opencvFisheye", FISHEYE),
        ("kannala_brandt", FISHEYE),
        ("Kannala Brandt4", FISHEYE),
        ("KannalaBrandt8", FISHEYE),
    ],
)
def test_known_names_are_aliases(name: str, model: DistortionModel) -> None:
    assert lens_from_calibration(name, FOUR)[0] is model


@pytest.mark.parametrize(
    "name", ["none", "pinhole", "fisheye", "radtan", "", "equidistant", "whatever", "x" * 10**6]
)
@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 12, 14, 30])
def test_without_coefficients_the_name_does_not_matter(name: str, count: int) -> None:
    assert lens_from_calibration(name, [0.0] * count) == (NONE, ())
    assert lens_from_calibration(name, [-0.0] * count) == (NONE, ())


@pytest.mark.parametrize(
    "name",
    [
        "fov",
        "ftheta",
        "omnidirectional",
        "inverse_brown_conrady",
        "none",
        "pinhole",
        "modified_brown_conrady",
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(
        InvalidInputError, match=f"'plumb_bob', 'rational_polynomial', 'equidistant', got '{name}'"
    ):
        lens_from_calibration(name, FIVE)


def test_a_long_name_is_cut() -> None:
    with pytest.raises(InvalidInputError) as refusal:
        lens_from_calibration("x" * 2_000_000, FIVE)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("name", "sent", "model", "meant"),
    [
        ("plumb_bob", (*FIVE, 0, 0, 0), PLUMB_BOB, FIVE),  # Orbbec
        ("plumb_bob", FOUR, PLUMB_BOB, (*FOUR, 0)),
        ("plumb_bob", (0.1, 0.2, 0, 0), PLUMB_BOB, (0.1, 0.2, 0, 0, 0)),
        ("plumb_bob", EIGHT, RATIONAL, EIGHT),
        ("plumb_bob", EIGHT[:6], RATIONAL, (*EIGHT[:6], 0, 0)),
        ("plumb_bob", (*EIGHT, *[0] * 6), RATIONAL, EIGHT),
        ("plumb_bob", (*FIVE, *[0] * 9), PLUMB_BOB, FIVE),
        ("plumb_bob", (*EIGHT, *PRISM), RATIONAL, (*EIGHT, *PRISM)),
        ("rational_polynomial", FIVE, RATIONAL, (*FIVE, 0, 0, 0)),
        ("rational_polynomial", EIGHT[:7], RATIONAL, (*EIGHT[:7], 0)),
        ("rational_polynomial", (0.1,), RATIONAL, (0.1, *[0] * 7)),
        ("rational_polynomial", (*EIGHT, *[0] * 4), RATIONAL, EIGHT),
        ("rational_polynomial", (*EIGHT, *PRISM), RATIONAL, (*EIGHT, *PRISM)),
        ("rational_polynomial", (*EIGHT, *PRISM, 0, 0), RATIONAL, (*EIGHT, *PRISM)),
        ("rational_polynomial", (*EIGHT, *PRISM[:2]), RATIONAL, (*EIGHT, *PRISM[:2], 0, 0)),
        ("rational_polynomial", (*EIGHT, *PRISM, *TILT), RATIONAL, (*EIGHT, *PRISM, *TILT)),
        ("rational_polynomial", (*EIGHT, *[0] * 4, *TILT), RATIONAL, (*EIGHT, *[0] * 4, *TILT)),
        ("equidistant", (0.1, 0.2), FISHEYE, (0.1, 0.2, 0, 0)),
        ("equidistant", (*FOUR, 0), FISHEYE, FOUR),
        ("equidistant", (*FOUR, *[0] * 10), FISHEYE, FOUR),
    ],
)
def test_zeros_at_the_end_come_and_go(
    name: str, sent: tuple[float, ...], model: DistortionModel, meant: tuple[float, ...]
) -> None:
    assert lens_from_calibration(name, sent) == (model, meant)


@pytest.mark.parametrize(
    ("name", "sent", "message"),
    [
        ("plumb_bob", (0.1, 0.2), "4 or 5 coefficients for plumb_bob, got 2"),
        ("plumb_bob", (0.1, 0.2, 0.3), "4 or 5 coefficients for plumb_bob, got 3"),
        ("plumb_bob", [0.1] * 15, "up to 14 coefficients for rational_polynomial, got 15"),
        ("rational_polynomial", [0.1] * 100_000, "up to 14 coefficients for rational_polynomial, got 100000"),
        ("equidistant", FIVE, "up to 4 coefficients for equidistant, got 5"),
    ],
)
def test_other_numbers_of_coefficients_are_refused(name: str, sent: list[float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        lens_from_calibration(name, sent)


def test_what_is_not_finite_is_no_zero() -> None:
    model, coefficients = lens_from_calibration("plumb_bob", (*FOUR, math.nan))
    assert model is PLUMB_BOB
    assert math.isnan(coefficients[4])


def test_the_names_that_the_documentation_gives_are_known() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cameras.md").read_text(encoding="utf-8")
    table = page.partition("| model | other names |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()[2:]]
    assert [row[0].strip("`") for row in rows] == [model.value for model in (PLUMB_BOB, RATIONAL, FISHEYE)]
    for model, names, _ in rows:
        expected = DistortionModel(model.strip("`"))
        said = names.replace("no name", "").replace("(4 or 8)", "").split(",")
        for name in (expected.value, *said):
            assert lens_from_calibration(name.strip(), FOUR)[0] is expected
