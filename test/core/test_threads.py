"""On a robot whose cores are busy, threads that wait for each other cost more than they bring."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from e2e_depth_ros.alignment import align
from e2e_depth_ros.alignment.fitting import field as field_module
from e2e_depth_ros.core import threads as threads_module
from e2e_depth_ros.core.threads import one_thread
from helpers.known_scene import draw, metric_from, scene_relative


@pytest.fixture(autouse=True)
def _look_anew():
    """Other tests have loaded libraries since alignment last looked; its own, numpy's, is always there."""
    threads_module._pools.cache_clear()


def threads_of_libraries():
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}


def test_libraries_use_one_thread_and_get_theirs_back():
    before = threads_of_libraries()
    assert before
    with one_thread():
        assert set(threads_of_libraries().values()) == {1}
    assert threads_of_libraries() == before


def test_alignment_uses_one_thread(monkeypatch):
    seen = []
    conditioned = field_module.condition

    def spied(*arguments):
        seen.append(set(threads_of_libraries().values()))
        return conditioned(*arguments)

    monkeypatch.setattr(field_module, "condition", spied)
    relative = scene_relative()
    u, v, depth_m, _ = draw(metric_from(relative), 50, np.random.default_rng(0))
    with threadpool_limits(2):
        before = threads_of_libraries()
        assert max(before.values()) == 2
        align(relative, u, v, depth_m, correction=True)
        assert threads_of_libraries() == before
    assert seen == [{1}]
