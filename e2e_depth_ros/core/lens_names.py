"""The many names of the few lens models, and how many coefficients come with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from e2e_depth_ros.core.distortion import COEFFICIENT_COUNTS, DistortionModel, coefficients_from
from e2e_depth_ros.core.errors import InvalidInputError

_ALIASES: Final[dict[DistortionModel, tuple[str, ...]]] = {
    # What has coefficients and no name is what ROS's own parser of calibration files takes it for.
    DistortionModel.PLUMB_BOB: (
        *("", "plumb bob", "radtan", "pinhole radtan", "radial tangential", "brown conrady"),
        *("opencv", "opencv pinhole"),
    ),
    DistortionModel.RATIONAL_POLYNOMIAL: (
        *("rational polynomial", "rational", "radtan 8", "pinhole radtan 8", "full opencv"),
    ),
    DistortionModel.EQUIDISTANT: (
        *("equidistant", "equi", "pinhole equi", "pinhole equidistant", "fisheye", "opencv fisheye"),
        *("kannala brandt", "kannala brandt 4", "kannala brandt 8", "kb 4"),
    ),
}
_MODELS: Final = {re.sub("[^a-z0-9]", "", name): model for model, names in _ALIASES.items() for name in names}
_LEAST_PLUMB_BOB: Final = 4  # of three it is not said whether the last is p1 or k3
_FULL_PLUMB_BOB: Final = 5


def lens_from_calibration(
    name: str, coefficients: Sequence[float]
) -> tuple[DistortionModel, tuple[float, ...]]:
    """Find the lens that a driver or a calibration file means.

    Case, blanks, hyphens and underscores in the name do not matter. Without a coefficient that is not zero
    there is no distortion, whatever the name: so ROS's image_geometry has it, and drivers that publish
    rectified images leave the name of the lens. Zeros at the end are dropped or filled in, as the model needs
    them; plumb_bob with more than five is OpenCV's rational model, whose first five are the same.

    Args:
        name: The distortion model, as CameraInfo or a file names it.
        coefficients: D, in the order of ROS and OpenCV.

    Returns:
        The model, and as many coefficients as it has.

    Raises:
        InvalidInputError: The name is unknown, or the model has no such number of coefficients.
    """
    known = coefficients_from(coefficients)
    count = len(known)
    while count and known[count - 1] == 0:
        count -= 1
    if count == 0:
        return DistortionModel.NONE, ()
    model = _MODELS.get(re.sub(r"[\s_-]", "", name.casefold()))
    if model is None:
        names = ", ".join(repr(each.value) for each in _ALIASES)
        raise InvalidInputError(f"expected a distortion model of {names}, got {name!r:.60}")
    if model is DistortionModel.PLUMB_BOB:
        if len(known) < _LEAST_PLUMB_BOB:
            raise InvalidInputError(f"expected 4 or 5 coefficients for plumb_bob, got {len(known)}")
        if count > _FULL_PLUMB_BOB:
            model = DistortionModel.RATIONAL_POLYNOMIAL
    counts = COEFFICIENT_COUNTS[model]
    if count > max(counts):
        raise InvalidInputError(f"expected up to {max(counts)} coefficients for {model.value}, got {count}")
    needed = _FULL_PLUMB_BOB if model is DistortionModel.PLUMB_BOB else min(n for n in counts if n >= count)
    return model, (*known[:count], *[0.0] * (needed - count))
