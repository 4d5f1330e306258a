"""A network gets the cores that its process may use, as OMP_NUM_THREADS limits them."""

import os

import pytest

from e2e_depth_ros.model.threads import threads_beside_messages, usable_cores


@pytest.mark.parametrize(
    ("cores", "asked", "all_of_them", "beside"),
    [(8, None, 8, 7), (1, None, 1, 1), (8, "3", 3, 3), (2, "2,1", 2, 1), (4, "16", 4, 3), (3, "many", 3, 2)],
)
def test_all_cores_or_one_less(monkeypatch, cores, asked, all_of_them, beside):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert (usable_cores(), threads_beside_messages()) == (all_of_them, beside)
