"""Threads of the numeric libraries: what a frame asks of them is too small to share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Let BLAS and OpenMP use this thread alone for a while.

    On matrices of a few hundred rows further threads gain next to nothing, and on a busy machine they wait
    for each other by spinning: on two busy cores an alignment to 500 samples took 25 times as long with them.
    """
    limited: AbstractContextManager[object] = _pools().limit(limits=1)
    return limited


@cache
def _pools() -> ThreadpoolController:
    """Find the libraries once: looking takes two milliseconds, setting a hundredth of one."""
    return ThreadpoolController()
