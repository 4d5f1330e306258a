"""Processes of their own that a command starts, listens to, and ends in order."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e_depth_ros.core.errors import E2EDepthError

_GRACE_S = 10.0


@dataclass
class ModuleProcess:
    """A module that runs in a process of its own.

    Attributes:
        popen: The process.
        log: Where its output goes; None for this process's own.
    """

    popen: subprocess.Popen[bytes]
    log: Path | None

    def last_line(self) -> str:
        """Return the last line that it wrote, or what else is known of its end."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log else ""
        lines = text.strip().splitlines()
        return lines[-1] if lines else f"no output, exit code {self.popen.returncode}"

    def check_alive(self, what: str = "the node") -> None:
        """Make sure that it runs.

        Raises:
            E2EDepthError: It ended; tells its last line.
        """
        if self.popen.poll() is not None:
            where = f" (log: {self.log})" if self.log else ""
            raise E2EDepthError(f"{what} ended early: {self.last_line()}{where}")


@contextmanager
def running_module(module: str, arguments: Sequence[str], log: Path | None = None) -> Iterator[ModuleProcess]:
    """Run a module with this interpreter; interrupt it at the end, and kill it if that does not help.

    Args:
        module: Its full name.
        arguments: Of its command line.
        log: File for its output; None lets it write where this process writes.
    """
    output = None if log is None else log.open("wb")
    try:
        with subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which ends the others in order
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - nothing but one system call
        ) as popen:
            try:
                yield ModuleProcess(popen, log)
            finally:
                if popen.poll() is None:
                    popen.send_signal(signal.SIGINT)
                try:
                    popen.wait(_GRACE_S)
                except subprocess.TimeoutExpired:
                    popen.kill()
    finally:
        if output is not None:
            output.close()


def _heed_interrupts() -> None:
    """Undo what a shell does to commands in the background: they, and their children, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
