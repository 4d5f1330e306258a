"""A training on a GPU that is lent for some minutes: `lent.py pack`, `lent.py train` there, `lent.py join`.

`train` needs nothing of its machine but Python with torch and what else is not in the pieces. All that can be
missing is found before the first minute counts, and all that was learnt comes back at every checkpoint.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from layout import LentError, say
from packing import pack
from pieces import MANIFEST, Arrivals, PieceError
from running import train

PIECE_MB = 60.0


def join(folder: Path, output: Path) -> None:
    """Put a checkpoint together from what came back: the newest of which every file is there and right.

    Args:
        folder: With the files of `back`, in any folders below.
        output: New folder; the training's log, recipe and pictures come to lie in `training/` there.

    Raises:
        LentError: No set is whole.
    """
    if output.exists():
        raise LentError(f"expected a new folder, found {output}")
    steps = sorted({piece.name.split("-")[1] for piece in folder.rglob("back-*.tar")}, reverse=True)
    if not steps:
        raise LentError(f"expected back-*.tar in {folder}, found none")
    output.parent.mkdir(parents=True, exist_ok=True)
    troubles: list[str] = []
    for step in steps:
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as scratch:
            here = Path(scratch)
            arrivals = Arrivals(folder, here, f"**/back-{step}-*.tar")
            troubles += arrivals.take()
            lacking = arrivals.missing() if (here / MANIFEST).exists() else {}
            if not lacking and (here / "checkpoint").is_dir():
                (here / "checkpoint").replace(output)
                for trouble in troubles:
                    say(trouble)
                say(f"{output} is whole, of step {int(step)}: e2e-depth checkpoint verify {output}")
                return
            troubles += [f"{file} is missing, of {piece}" for file, piece in list(lacking.items())[:1]]
    raise LentError("; ".join(troubles))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return 2 where something is missing or wrong."""
    given = _parser().parse_args(arguments)
    try:
        if given.verb == "pack":
            pack(given.recipe, given.output, given.piece_mb, given.wheels)
        elif given.verb == "train":
            folder = given.folder.resolve()
            pieces = (given.pieces or folder / "pieces").resolve()
            back = (given.back or folder / "back").resolve()
            train(folder, given.minutes, pieces, back, given.device, given.call_minutes)
        else:
            join(given.folder, given.output)
    except (LentError, PieceError, OSError, zipfile.BadZipFile) as error:
        print(f"lent {given.verb}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train on a GPU that is lent for some minutes.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verb = verbs.add_parser("pack", help="write recipe, shards, network and package into pieces that travel")
    verb.add_argument("recipe", type=Path, help="recipe of a training on shards, YAML")
    verb.add_argument("--output", type=Path, required=True, help="new folder: all of it is to travel")
    verb.add_argument(
        "--piece-mb", type=float, default=PIECE_MB, help=f"largest piece, 10^6 bytes ({PIECE_MB:g})"
    )
    verb.add_argument("--wheels", type=Path, help="folder of wheels, Python alone, that the machine lacks")
    verb = verbs.add_parser("train", help="there: take the pieces, train, leave what comes back in files")
    verb.add_argument("folder", type=Path, help="where all comes to lie; a training in it goes on")
    verb.add_argument("--minutes", type=_positive, required=True, help="of training, over all calls")
    verb.add_argument("--pieces", type=Path, help="where pieces lie, or arrive meanwhile (FOLDER/pieces)")
    verb.add_argument("--back", type=Path, help="folder for what comes back (FOLDER/back)")
    verb.add_argument("--device", choices=("auto", "cpu", "cuda"), help="instead of the recipe's")
    verb.add_argument(
        "--call-minutes", type=_positive, default=0.0, help="save and end this call after so long"
    )
    verb = verbs.add_parser("join", help="here again: put the checkpoint together from what came back")
    verb.add_argument("folder", type=Path, help="with the files that came back")
    verb.add_argument("--output", type=Path, required=True, help="new folder for the checkpoint")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"expected more than 0, got {text}")
    return number


if __name__ == "__main__":
    sys.exit(main())
