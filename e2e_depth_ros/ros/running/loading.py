"""Long work that can be left: a model takes seconds to load, and a signal must not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

_Loaded = TypeVar("_Loaded")
_LOOK_PERIOD_S: Final = 0.05


class StoppedError(Exception):
    """The node ends: what was begun is of no use any more."""


def load_unless(is_off: Callable[[], bool], load: Callable[[], _Loaded]) -> _Loaded:
    """Load in a thread of its own, and leave that thread alone where nobody needs the result any more.

    Args:
        is_off: Asked now and then whether to leave it.
        load: What takes long; it can't be interrupted.

    Returns:
        What `load` returns.

    Raises:
        StoppedError: It was left. Its thread goes on until the process ends.
        BaseException: Whatever `load` raises.
    """
    outcome: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((load(), None))
        except BaseException as error:  # noqa: BLE001 - raised below
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="loading", daemon=True)
    thread.start()
    while thread.is_alive():
        if is_off():
            raise StoppedError
        thread.join(_LOOK_PERIOD_S)
    loaded, error = outcome[0]
    if error is not None:
        raise error
    result: _Loaded = loaded
    return result
