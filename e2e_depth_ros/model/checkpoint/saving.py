"""Write tensors as safetensors, readable by whom the umask lets read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file with the permissions of any new file.

    The library would let only the owner read it: a robot's service is often another user.

    Args:
        tensors: Contiguous, none of which shares memory with another.
        path: Where to; a file that is there is replaced.
        metadata: Of the file.

    Raises:
        OSError: It can't be written.
        SafetensorError: It can't be written, in the library's words.
    """
    path.unlink(missing_ok=True)
    path.touch()
    mode = path.stat().st_mode
    save_file(dict(tensors), path, None if metadata is None else dict(metadata))
    path.chmod(mode)
