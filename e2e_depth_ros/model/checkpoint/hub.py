"""The Hugging Face hub: asked with the patience of seconds, and without its bars and warnings."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from e2e_depth_ros.core.errors import CheckpointError, first_line

PATIENCE_S: Final = 4.0
"""How long the hub may take to say what a repository has, names and connections included."""

_LOGGER = logging.getLogger(__name__)

# huggingface_hub is imported where it is used: only checkpoints from the hub need it, and it is slow.


class HubError(CheckpointError):
    """The hub has no such thing, or doesn't answer; the message says why and nothing else."""


def cached(repo: str, revision: str | None) -> Path | None:
    """Return the folder of a repository in the cache, whole or not; None where it has none.

    Raises:
        CheckpointError: The repository can't have such a name.
    """
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise CheckpointError(f"expected a hub id like org/name, got {repo!r} ({error})") from error


def is_switched_off() -> bool:
    """Tell whether the user forbids downloads."""
    from huggingface_hub import constants  # noqa: PLC0415

    return bool(constants.HF_HUB_OFFLINE) or os.environ.get("TRANSFORMERS_OFFLINE") == "1"


def download(repo: str, revision: str | None, choose: Callable[[list[str]], list[str]]) -> Path:
    """Download files of a repository into the cache; the log gets one line that says how many.

    Args:
        repo: Its id.
        revision: Branch, tag or commit; None for the default branch.
        choose: Which of its files.

    Returns:
        The folder.

    Raises:
        HubError: It is not there, or the hub can't be reached.
    """
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    with _quiet():
        try:
            sizes = _within(PATIENCE_S, lambda: _sizes(repo, revision))
            files = choose(list(sizes))
            if not files:  # nothing chosen would mean everything
                raise HubError("it has no file of a checkpoint in diffusers' layout")
            megabytes = sum(sizes[name] for name in files) / 1e6
            _LOGGER.warning("downloading %s: %d files, %.0f MB", repo, len(files), megabytes)
            return Path(snapshot_download(repo, revision=revision, allow_patterns=files))
        except _errors() as error:
            raise HubError(first_line(error)) from error


def _sizes(repo: str, revision: str | None) -> dict[str, int]:
    """Return the size of each file, bytes."""
    from huggingface_hub import HfApi  # noqa: PLC0415

    found = HfApi().model_info(repo, revision=revision, timeout=PATIENCE_S, files_metadata=True)
    return {file.rfilename: file.size or 0 for file in found.siblings or ()}


def _within(seconds: float, ask: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Ask in a thread, which is left behind if it takes too long: resolving a name can't be cut short."""
    answer: dict[str, int] = {}
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.update(ask())
        except Exception as error:  # noqa: BLE001 - raised again below
            failure.append(error)

    thread = threading.Thread(target=run, name="hub", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if thread.is_alive():
        raise TimeoutError(f"no answer from the hub within {seconds:g} s")
    return answer


def _errors() -> tuple[type[Exception], ...]:
    """What may be raised where the hub refuses, or can't be reached.

    The library's HTTP client was requests, whose errors are OSErrors; later it is httpx, whose are not.
    """
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    clients = (sys.modules.get(name) for name in ("httpx", "httpx2"))
    return (HfHubHTTPError, OSError, *(client.HTTPError for client in clients if client is not None))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's bars and warnings off stderr for a while."""
    import huggingface_hub.utils  # noqa: PLC0415

    utils: Any = huggingface_hub.utils  # it doesn't export them as typed packages do
    shows_bars, verbosity = not utils.are_progress_bars_disabled(), utils.logging.get_verbosity()
    utils.disable_progress_bars()
    utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        utils.logging.set_verbosity(verbosity)
        if shows_bars:
            utils.enable_progress_bars()
