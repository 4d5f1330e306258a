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


def one_line(text: str, most: int = 1000) -> str:
    r"""Make text fit for a log, a status or a terminal, whoever wrote it.

    A frame_id, an encoding or a field name is whatever a stranger sends: megabytes, line breaks that forge
    log lines, escape sequences, lone surrogates that no UTF-8 holds.

    Args:
        text: Any.
        most: Length from which on the middle is left out; the end often says what was got.

    Returns:
        The text with all that does not print as escapes such as \n, of at most `most` characters.
    """
    # An escape takes up to 10 characters. What lies farther inside would be cut away below.
    shown = "".join(map(_printable, _without_middle(text, most)))
    return _without_middle(shown, most)


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _without_middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    gap = " ... "
    head = 2 * (most - len(gap)) // 3
    return text[:head] + gap + text[len(text) - (most - len(gap) - head) :]
