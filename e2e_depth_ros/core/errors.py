"""The package's few exceptions. Every message names what was expected and what was found."""


class E2EDepthError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidInputError(E2EDepthError, ValueError):
    """An image, message, file or argument is not what its reader requires."""


class CheckpointError(E2EDepthError):
    """A checkpoint is missing, incomplete, corrupt, or of an unknown layout."""


class KindError(E2EDepthError, TypeError):
    """A depth map of one kind was handed to a place that takes another, say relative depth as metres."""


class MissingDependencyError(E2EDepthError):
    """Something optional is needed here and not installed; the message says how to install it."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, cut where it is long; its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return one_line(lines[0], 300) if lines else type(error).__name__


def one_line(text: str, most: int = 2000) -> str:
    """Return text as one line of printable characters, at most so many of them."""
    words = " ".join(text[: most + 1].split())
    printable = "".join(char if char.isprintable() else "?" for char in words)
    return printable if len(printable) <= most else f"{printable[: most - 3]}..."
