"""How many threads a network gets on a CPU."""

from __future__ import annotations

import os
from typing import Final

MAX_THREADS: Final = 256
"""The most on a CPU: far beyond what any network here makes use of."""


def usable_cores() -> int:
    """Return how many cores this process may use, up to `MAX_THREADS`.

    OMP_NUM_THREADS lowers it, as it does in most libraries.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    wanted = min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores
    return min(max(1, wanted), MAX_THREADS)


def threads_beside_messages() -> int:
    """Return how many threads leave a core to whatever moves messages: where none is left, both wait.

    torch's threads spin while they wait for each other, so they want a core each.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(usable_cores(), cores - 1))
