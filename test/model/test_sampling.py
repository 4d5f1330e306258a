from __future__ import annotations

import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.sampling import Sampling


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "1 denoising step, got 0"),
        ({"spacing": "random"}, "trailing, leading, linspace, got 'random'"),
        ({"ensemble_size": 0}, "at least 1, got 0"),
        ({"seed": -1}, "got -1"),
        ({"carry": 1.5}, "0 to 1, got 1.5"),
        ({"carry": float("nan")}, "0 to 1, got nan"),
    ],
)
def test_refuses_impossible_sampling(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Sampling(**arguments)
