"""How a map comes from the size at which the network works to the image's: the words, and what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.upsampling import Outlines

if TYPE_CHECKING:
    from e2e_depth_ros.core.framing import Framing

UPSAMPLINGS = ("auto", "bilinear", "guided")
"""What the user may choose: as the checkpoint says, smoothly, or so that depth jumps where the image does."""

OWN_UPSAMPLINGS = ("bilinear", "guided")
"""What a checkpoint may say. One that is silent is enlarged bilinearly, as its authors do and as it was
published: whether outlines make it better was not measured."""

DEFAULT_UPSAMPLING = "auto"


def chosen_upsampling(asked: str, own: str) -> str:
    """Tell how a map comes to the image's size.

    Args:
        asked: One of `UPSAMPLINGS`.
        own: What the checkpoint says, one of `OWN_UPSAMPLINGS`.

    Returns:
        One of `OWN_UPSAMPLINGS`.

    Raises:
        InvalidInputError: There is no such upsampling.
    """
    if asked not in UPSAMPLINGS:
        raise InvalidInputError(f"expected upsampling {', '.join(UPSAMPLINGS)}, got {asked!r}")
    return own if asked == "auto" else asked


def outlines_to_follow(image: NDArray[np.uint8], framing: Framing, chosen: str) -> Outlines | None:
    """Find the outlines that depth is to follow.

    Args:
        image: (H, W, 3), uint8, RGB, of the native size.
        framing: How it was fitted to the network.
        chosen: One of `OWN_UPSAMPLINGS`; see `chosen_upsampling`.

    Returns:
        None where depth stays as it is: bilinear, or not enlarged at all.
    """
    network_px = max(framing.content_size)
    if chosen != "guided" or network_px >= max(framing.native_size):
        return None
    return Outlines(image, network_px)
