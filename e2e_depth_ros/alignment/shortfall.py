"""Why none of a sensor's measurements is of use, and what usually is the mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

_POINTS: Final = ("sparse_points", "points.npz")
_WHERE: Final = {
    "behind_camera": "behind the camera",
    "too_near": "nearer than {0}",
    "too_far": "beyond {1}",
    "outside_image": "outside the image",
    "mixed_pixel": "at depth edges",
    "occluded": "hidden behind others",
    "masked": "masked",
    "no_mask": "left out, as there is no mask of about the image's time",
    "surplus": "beyond max_samples",
}
_MISTAKE: Final = {
    "behind_camera": ": is the frame optical?",
    "too_near": ": metres where millimetres are meant?",
    "too_far": ": millimetres?",
    "outside_image": ": is the pose right?",
}


def shortfall(
    source: str, dropped: Mapping[str, int], limits: tuple[str, str] = ("min_depth_m", "max_depth_m")
) -> str:
    """Describe measurements that yield no sample.

    Args:
        source: What measured them, as `Samples` has it.
        dropped: How many were left out, by reason.
        limits: What the user knows the least and the largest depth by.

    Returns:
        Say "sparse_points: 400 points, all behind the camera: is the frame optical?".
    """
    things = "points" if source in _POINTS else "samples"
    counts = Counter(dropped)
    no_return = counts.pop("not_finite", 0)  # an organised cloud is full of them, and of 0, 0, 0
    total = sum(counts.values())
    if not total:
        none = "no pixel holds a measurement" if source == "sparse_depth" else f"0 {things}"
        return f"{source}: {no_return} {things}, all NaN, infinite or 0" if no_return else f"{source}: {none}"
    (reason, count), *others = counts.most_common()
    places = {name: words.format(*limits) for name, words in _WHERE.items()}
    where = f"{places.get(reason, reason)}{_MISTAKE.get(reason, '')}"
    if others:
        also = ", ".join(f"{count} {places.get(reason, reason)}" for reason, count in others)
        words = f"none of {total} {things} is usable: {count} {where}; {also}"
    elif reason in {"too_near", "too_far"}:
        words = f"all {total} samples {where}"
    else:
        words = f"{total} {things}, all {where}"
    return f"{source}: {words}" + (f" (and {no_return} NaN, infinite or 0)" if no_return else "")
