# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Which assets train and which validate: validation shows only things that training never saw."""

from __future__ import annotations

import hashlib

VALIDATION_SHARE = 0.1


def belongs(name: str, split: str) -> bool:
    """Whether the asset of this name is part of a split; stable over machines, versions and other assets.

    Raises:
        ValueError: The split is neither "train" nor "validation".
    """
    if split not in ("train", "validation"):
        raise ValueError(f"expected split train or validation, got {split!r}")
    fraction = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
    return (fraction < VALIDATION_SHARE) == (split == "validation")
