"""The exponential moving average of weights: what is validated and shipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Follows a model's parameters.

    Args:
        model: In training.
        decay: Share of the old average that stays at each step. Early on it is smaller,
            (1 + n) / (10 + n) after n steps, so that the random start is soon forgotten. 0 averages nothing.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._parameters = dict(model.named_parameters())
        self._decay = decay
        self.tensors: dict[str, Tensor] = {}
        """The averages by parameter name; empty without averaging."""
        if decay > 0:
            self.tensors = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Take in the parameters after the given number of steps."""
        if self.tensors:
            decay = min(self._decay, (1 + steps) / (10 + steps))
            parameters = [p.detach() for p in self._parameters.values()]
            torch._foreach_lerp_(list(self.tensors.values()), parameters, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the model has the averaged weights; afterwards exactly its own again."""
        own = {name: self._parameters[name].detach().clone() for name in self.tensors}
        self._set(self.tensors)
        try:
            yield
        finally:
            self._set(own)

    @torch.no_grad()
    def _set(self, tensors: dict[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self._parameters[name].copy_(tensor)
