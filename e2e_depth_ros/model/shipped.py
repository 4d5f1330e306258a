"""The checkpoint that ships with the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

SHIPPED: Final[Mapping[str, Path]] = {"embedded": Path(__file__).parent / "embedded"}
"""Its folder, by the name that users give."""
