"""The size at which a network works."""

from __future__ import annotations

from typing import Final

MAX_RESOLUTION: Final = 8192
"""The largest processing resolution, pixels of the longer edge."""
