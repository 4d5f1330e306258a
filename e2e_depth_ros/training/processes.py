"""The processes of a training: one, or several that share each optimiser step's batches (HF accelerate).

Each holds all of the network and takes every n-th batch; what they average is the gradient. Since a batch
depends on nothing but the seed and its number, the same batches make a step however many processes there are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import InvalidInputError, MissingDependencyError
from e2e_depth_ros.training.recipe import RunRecipe

# The others wait in the next step while the main one saves and validates.
_PATIENCE = timedelta(hours=3)


class Processes:
    """A single process, which needs no accelerate.

    Args:
        device: What the network runs on.
        precision: "float32" or "bfloat16", of the forward pass.

    Attributes:
        device: See above.
        index: Of this process, 0 .. count - 1; 0 is the main one, which alone writes files and reports.
        count: How many there are.
    """

    def __init__(self, device: torch.device, precision: str) -> None:
        self.device = device
        self.index = 0
        self.count = 1
        self._bfloat16 = precision == "bfloat16"

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.index == 0

    def share(self, module: nn.Module) -> nn.Module:
        """Return what to call instead of a module, so that backward averages gradients over processes."""
        return module

    def keep_gradients(self, shared: nn.Module) -> AbstractContextManager[Any]:  # noqa: ARG002 - none to send
        """Within, gradients add up in this process; the next backward outside averages their sums."""
        return nullcontext()

    def autocast(self) -> AbstractContextManager[Any]:
        """Within, forward passes run in the recipe's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16)

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """Return the numbers of every process, in their order. Each has to ask, with as many numbers."""
        return [list(numbers)]

    def agree(self, reason: str) -> str:
        """Return the reason to stop that any process has, the same for all, or "". Each has to ask."""
        return reason

    def wait(self) -> None:
        """Return once every process is here."""

    def __str__(self) -> str:
        return f"{self.device}" if self.count == 1 else f"{self.count} processes ({self.device.type})"


class AcceleratedProcesses(Processes):
    """One of several processes, of one host or many, that `accelerate launch` or torchrun started.

    Args:
        device: "auto", "cpu" or "cuda".
        precision: See `Processes`.

    Raises:
        InvalidInputError: The launcher asks for a training that splits the network, which this one doesn't.
        MissingDependencyError: accelerate isn't installed.
    """

    def __init__(self, device: str, precision: str) -> None:
        try:
            from accelerate import Accelerator  # noqa: PLC0415 - only needed for several processes
            from accelerate.utils import (  # noqa: PLC0415
                DistributedDataParallelKwargs,
                InitProcessGroupKwargs,
            )
        except ImportError as error:
            raise MissingDependencyError(
                "training in several processes needs accelerate: pip install 'e2e_depth_ros[training]'"
            ) from error
        on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
        self._accelerator: Any = Accelerator(
            cpu=on_cpu,
            mixed_precision="bf16" if precision == "bfloat16" else "no",
            kwargs_handlers=[
                InitProcessGroupKwargs(timeout=_PATIENCE),
                DistributedDataParallelKwargs(gradient_as_bucket_view=True),
            ],
        )
        kind = self._accelerator.distributed_type.value
        if kind not in ("MULTI_CPU", "MULTI_GPU"):
            raise InvalidInputError(
                "expected processes that each hold all of the network (accelerate's MULTI_GPU or MULTI_CPU), "
                f"got {kind}: start them by `accelerate launch --multi_gpu` or torchrun"
            )
        super().__init__(self._accelerator.device, precision)
        self.index = int(self._accelerator.process_index)
        self.count = int(self._accelerator.num_processes)

    def share(self, module: nn.Module) -> nn.Module:
        """See `Processes.share`. All processes begin with the main one's parameters."""
        shared: nn.Module = self._accelerator.prepare_model(module)
        return shared

    def keep_gradients(self, shared: nn.Module) -> AbstractContextManager[Any]:
        """See `Processes.keep_gradients`."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(shared)
        return context

    def autocast(self) -> AbstractContextManager[Any]:
        """See `Processes.autocast`."""
        context: AbstractContextManager[Any] = self._accelerator.autocast()
        return context

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """See `Processes.gather`."""
        own = torch.tensor([numbers], dtype=torch.float64, device=self.device)
        gathered: Tensor = self._accelerator.gather(own)
        rows: list[list[float]] = gathered.tolist()
        return rows

    def agree(self, reason: str) -> str:
        """See `Processes.agree`."""
        from accelerate.utils import gather_object  # noqa: PLC0415

        reasons: list[str] = gather_object([reason])
        return next(filter(None, reasons), "")

    def wait(self) -> None:
        """See `Processes.wait`."""
        self._accelerator.wait_for_everyone()


def join_processes(recipe: RunRecipe) -> Processes:
    """Take this process's place among those that a launcher started; without a launcher it is alone.

    Args:
        recipe: Device and precision.

    Raises:
        InvalidInputError: There is no such device, or the launcher asks for what training can't do.
        MissingDependencyError: There are several processes, and accelerate isn't installed.
    """
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError("expected a CUDA device as the recipe says (run.device), got none")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return AcceleratedProcesses(recipe.device, recipe.precision)
    device = recipe.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Processes(torch.device(device), recipe.precision)
