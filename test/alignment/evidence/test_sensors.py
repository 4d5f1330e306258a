"""Two sensors that contradict each other are told apart from two that see different parts of a scene."""

import numpy as np
import pytest

from e2e_depth_ros.alignment.evidence.sensors import sensors_contradiction
from e2e_depth_ros.alignment.samples import Samples, joined

SIZE = (90, 120)


def measured(count, seed, factor=1.0, columns=(0, SIZE[1]), source="lidar", noise=0.02):
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(*columns, count), rng.uniform(0, SIZE[0], count)
    depth_m = (2 + 0.03 * u) * np.exp(noise * rng.standard_normal(count)) * factor
    return Samples(u, v, depth_m, source=source)


def contradiction(*found):
    found = sensors_contradiction(joined(found), SIZE)
    assert bool(found) == (found.log_error > 0)
    return found.reason


@pytest.mark.parametrize(("many", "few"), [(5000, 200), (300, 9000)])
def test_the_many_do_not_outvote_the_few(many, few):
    tof = measured(few, 1, factor=2, source="tof")
    assert contradiction(measured(many, 0), tof) == "tof measures 2 times the depth that lidar does"
    assert contradiction(tof, measured(many, 0)) == "tof measures 2 times the depth that lidar does"
    assert contradiction(measured(many, 0), measured(few, 1, source="tof")) == ""


def test_one_sensor_contradicts_nobody():
    assert contradiction(measured(300, 0)) == ""
    assert contradiction(measured(300, 0), measured(300, 1), measured(200, 2, 0.5)) != ""


def test_where_both_see_nothing_in_common_they_cannot_contradict_each_other():
    left, right = measured(100, 0, columns=(0, 40)), measured(80, 1, 5, columns=(70, 119), source="tof")
    assert contradiction(left, right) == ""
    assert contradiction(left, right.select(np.zeros(80, bool), "masked")) == ""


def test_parts_follow_what_is_left_out():
    both = joined([measured(40, 0), measured(30, 1, source="tof")])
    kept = both.select(np.arange(70) % 2 == 0, "odd")
    assert kept.sensors == ["lidar", "tof"]
    np.testing.assert_array_equal(kept.parts, np.repeat([0, 1], [20, 15]))
