"""The scores of each frame on disk, so that an interrupted evaluation can continue."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.metrics import DepthScores, NormalErrors
from e2e_depth_ros.core.user_file import check_file, json_from_text

FrameScores = DepthScores | NormalErrors

_FILE: Final = "frames.jsonl"


class ScoreStore:
    """One line of JSON a frame, below a first line that says what was evaluated and how.

    Args:
        folder: Made if it is not there.
        settings: All that the scores depend on; what JSON keeps.

    Attributes:
        scores: By name of frame, in the order in which they were scored.

    Raises:
        InvalidInputError: The folder holds scores of other settings, or can't be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.path = folder / _FILE
        self.scores: dict[str, FrameScores] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                check_file(self.path)
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            lines = []
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"cannot read {self.path} as text (UTF-8): {error}") from error
        except OSError as error:
            raise InvalidInputError(f"cannot use {folder}: {error.strerror}") from error
        # A line without its end was being written when the evaluation was interrupted.
        whole = [line for line in lines if line.endswith("\n")]
        wanted = json.loads(json.dumps(settings))
        if whole:
            self._check(self._parse(whole[0]), wanted)
            for line in whole[1:]:
                entry = self._parse(line)
                name = entry.pop("frame")
                self.scores[name] = _scores_from_entry(entry)
        if whole != lines or not whole:
            self._write("w", "".join(whole) or json.dumps(wanted) + "\n")

    def add(self, name: str, scores: FrameScores) -> None:
        """Keep the scores of a frame, at once.

        Raises:
            InvalidInputError: They can't be written.
        """
        self.scores[name] = scores
        self._write("a", json.dumps({"frame": name, **_entry_from_scores(scores)}) + "\n")

    def _write(self, mode: str, text: str) -> None:
        try:
            with self.path.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise InvalidInputError(f"cannot write {self.path}: {error.strerror}") from error

    def _parse(self, line: str) -> dict[str, Any]:
        try:
            return dict(json_from_text(line))
        except (ValueError, TypeError) as error:
            raise InvalidInputError(f"expected one object of JSON a line in {self.path}: {error}") from error

    def _check(self, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        for key in sorted({*found, *wanted}):
            if found.get(key) != wanted.get(key):
                raise InvalidInputError(
                    f"{self.path.parent} holds scores of {key} {found.get(key)!r}, not {wanted.get(key)!r}: "
                    "choose another folder"
                )


def _entry_from_scores(scores: FrameScores) -> dict[str, Any]:
    if isinstance(scores, DepthScores):
        return asdict(scores)
    summary = scores.scores()
    packed = base64.b64encode(zlib.compress(scores.counts.astype("<i8").tobytes()))
    return {
        **({} if summary is None else {"mean_deg": summary.mean_deg, "pixels": summary.pixels}),
        "sum_deg": scores.sum_deg,
        "sum_deg2": scores.sum_deg2,
        "histogram": packed.decode("ascii"),
    }


def _scores_from_entry(entry: Mapping[str, Any]) -> FrameScores:
    if "histogram" not in entry:
        return DepthScores(**entry)
    counts = np.frombuffer(zlib.decompress(base64.b64decode(entry["histogram"])), "<i8").astype(np.int64)
    return NormalErrors(counts, entry["sum_deg"], entry["sum_deg2"])
