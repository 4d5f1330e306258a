"""The chart has a bar for each way, as long as its time."""

import numpy as np

from e2e_depth_ros.cli.engine_chart import chart


def way(engine, quiet, busy=None, tasks="depth"):
    moods = {"quiet": {"median": quiet}, **({"busy": {"median": busy}} if busy else {})}
    place = {"engine": engine, "compiled": False, "precision": "float32", "threads": 2, "device": "cpu"}
    return {**place, "ms": {tasks: moods}}


def lengths(picture, colour):
    """Of the bars of a colour, from the top; the legend's square is no bar."""
    found = (picture == np.array(colour)).all(axis=2)[30:].sum(axis=1)
    starts = np.flatnonzero((found > 0) & (np.append(0, found[:-1]) == 0))
    return [int(found[start + 3]) for start in starts]


def test_bars_are_as_long_as_their_times():
    report = {"image size": [48, 64], "ways": [way("torch", 50.0, 200.0), way("onnx", 25.0, 100.0)]}
    picture = chart(report)
    assert picture.dtype == np.uint8
    quiet, busy = lengths(picture, (46, 110, 180)), lengths(picture, (214, 142, 60))
    assert len(quiet) == len(busy) == 2
    np.testing.assert_allclose(np.divide([*quiet, *busy], max(busy)), [0.25, 0.125, 1, 0.5], atol=0.01)


def test_a_way_without_busy_times_has_one_bar():
    report = {"image size": [48, 64], "ways": [way("torch", 50.0, 200.0), way("onnx", 25.0)]}
    assert len(lengths(chart(report), (214, 142, 60))) == 1


def test_models_of_normals_alone_have_bars_of_normals():
    report = {"image size": [48, 64], "ways": [way("torch", 50.0, tasks="normals")]}
    assert len(lengths(chart(report), (46, 110, 180))) == 1
    assert len(lengths(chart({**report, "ways": [*report["ways"], way("onnx", 9.0)]}), (46, 110, 180))) == 1
