"""A request to end is noted, and nobody who repeats it ends a training before its state is saved."""

import signal

import pytest

from e2e_depth_ros.training.stopping import StopRequest


@pytest.fixture
def heard():
    """The signals that come through to who handled them before."""
    signals = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda got, _: signals.append(got)) for number in numbers]
    yield signals
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def send(number):
    """Python runs the handlers of signals to its own thread before this returns."""
    signal.raise_signal(number)


def test_nothing_comes_through_of_two_that_timeout_sends(heard):
    with StopRequest() as stop:
        assert stop.reason == ""
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert stop.reason == "SIGTERM"
        assert heard == []
    send(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_a_second_interruption_comes_through(heard):
    with StopRequest() as stop:
        send(signal.SIGINT)
        assert (stop.reason, heard) == ("SIGINT", [])
        send(signal.SIGINT)
        assert heard == [signal.SIGINT]
