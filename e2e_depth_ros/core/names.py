"""Names that are chosen from a known few: what was probably meant by another one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from e2e_depth_ros.core.errors import InvalidInputError, one_line


def check_name(name: str, names: Iterable[str], what: str) -> str:
    """Return a name that is among those known.

    Args:
        name: Given by the user.
        names: Those known.
        what: What they name, for the message.

    Raises:
        InvalidInputError: It isn't among them; names the closest one, and all.
    """
    known = list(names)
    if name in known:
        return name
    # Who leaves out the end means the first that begins so; who mistypes, the most similar.
    starts = [one for one in known if name and one.startswith(name)]
    close = starts or difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InvalidInputError(f"expected {what} of {', '.join(known)}, got {one_line(name, 100)!r}{hint}")
