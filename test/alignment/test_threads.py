"""On a robot whose cores are busy, threads that wait for each other cost more than they bring."""

import numpy as np
import torch
from known_scene import draw, metric_from, scene_relative
from threadpoolctl import threadpool_info

from e2e_depth_ros.alignment import align
from e2e_depth_ros.alignment import field as field_module
from e2e_depth_ros.alignment.threads import one_thread


def threads_of_libraries():
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}


def test_libraries_use_one_thread_and_get_theirs_back():
    before = threads_of_libraries()
    assert before
    with one_thread():
        assert set(threads_of_libraries().values()) == {1}
        assert torch.get_num_threads() == 1
    assert threads_of_libraries() == before


def test_alignment_uses_one_thread(monkeypatch):
    seen = []
    conditioned = field_module.condition

    def spied(*arguments):
        seen.append(torch.get_num_threads())
        return conditioned(*arguments)

    monkeypatch.setattr(field_module, "condition", spied)
    relative = scene_relative()
    u, v, depth_m, _ = draw(metric_from(relative), 50, np.random.default_rng(0))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        align(relative, u, v, depth_m)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
