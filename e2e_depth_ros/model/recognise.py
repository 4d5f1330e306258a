"""The place that tells which kind of checkpoint a folder holds."""

from __future__ import annotations

from pathlib import Path

from e2e_depth_ros.model.facts import CheckpointFacts, read_facts
from e2e_depth_ros.model.instruct.facts import InstructFacts, paints_by_instruction, read_instruct_facts


def recognise(folder: Path) -> CheckpointFacts | InstructFacts:
    """Read what a checkpoint of any family is; its weights aren't opened.

    Raises:
        CheckpointError: The folder is incomplete, broken, or of no known layout.
    """
    return read_instruct_facts(folder) if paints_by_instruction(folder) else read_facts(folder)
