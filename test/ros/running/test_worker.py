import itertools
import threading
import time

import pytest

from e2e_depth_ros.ros.running.worker import Worker


def test_newest_item_is_next_and_the_rest_is_dropped():
    done, busy, go_on = [], threading.Event(), threading.Event()

    def work(item):
        done.append(item)
        busy.set()
        go_on.wait(5)

    worker = Worker(work, on_error=print)
    worker.put(1)
    assert busy.wait(5)
    for item in (2, 3, 4):
        worker.put(item)
    busy.clear()
    go_on.set()
    assert busy.wait(5)
    worker.stop()
    assert done == [1, 4]
    assert worker.dropped == 2


def test_error_is_handed_on_and_work_goes_on():
    errors, done, arrived = [], [], threading.Event()

    def work(item):
        if item == "bad":
            raise ValueError(item)
        done.append(item)
        arrived.set()

    reported = threading.Event()
    worker = Worker(work, on_error=lambda error: (errors.append(str(error)), reported.set()))
    worker.put("bad")
    assert reported.wait(5)
    worker.put("good")
    assert arrived.wait(5)
    worker.stop()
    assert (errors, done) == (["bad"], ["good"])


def test_stop_waits_for_the_item_at_hand_and_leaves_no_thread():
    started, finished = threading.Event(), threading.Event()

    def work(_):
        started.set()
        threading.Event().wait(0.2)
        finished.set()

    before = threading.active_count()
    worker = Worker(work, on_error=print)
    worker.put(1)
    assert started.wait(5)
    worker.stop()
    assert finished.is_set()
    assert threading.active_count() == before


def test_nothing_is_older_than_its_own_and_its_predecessors_period():
    """Items come four times as fast as they are worked on."""
    turns, done = [], []

    def work(item):
        time.sleep(0.02 + 0.01 * (item % 3))
        done.append(item)

    worker = Worker(work, on_error=print, on_turn=turns.append)
    for item in range(60):
        worker.put(item)
        time.sleep(0.007)
    worker.stop()
    assert len(turns) == len(done) < 40
    assert all(turn.period_s >= 0.02 for turn in turns)
    assert any(turn.age_s > turn.period_s for turn in turns)
    for before, turn in itertools.pairwise(turns):
        assert turn.period_s <= turn.age_s <= before.period_s + turn.period_s + 1e-3


def test_failed_items_have_turns_too():
    turns, told = [], threading.Event()
    worker = Worker(
        lambda item: 1 / item, on_error=lambda _: None, on_turn=lambda turn: (turns.append(turn), told.set())
    )
    worker.put(0)
    assert told.wait(5)
    worker.stop()
    assert len(turns) == 1


class Item:
    """Work that takes as long as a test wants."""

    def __init__(self):
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.results = []

    def work(self, item):
        self.begun.set()
        assert self.may_end.wait(30)
        return lambda: self.results.append(item)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()])
def test_whatever_the_work_raises_the_worker_lives(error):
    def work(item):
        if item == "bad":
            raise error
        return done.set

    errors, done, reported = [], threading.Event(), threading.Event()
    worker = Worker(work, on_error=lambda raised: (errors.append(raised), reported.set()))
    worker.put("bad")
    assert reported.wait(5)
    worker.put("good")
    assert done.wait(5)
    assert worker.is_alive
    assert errors == [error]
    assert worker.stop()
    assert not worker.is_alive


def test_results_are_handed_over_and_errors_of_that_are_reported():
    def hand_over():
        raise ValueError("no publisher")

    errors, reported = [], threading.Event()
    worker = Worker(lambda _: hand_over, on_error=lambda error: (errors.append(str(error)), reported.set()))
    worker.put(1)
    assert reported.wait(5)
    assert worker.stop()
    assert errors == ["no publisher"]


@pytest.mark.parametrize(
    "end", [{"patience_s": 0.1}, {"is_urgent": lambda: True}], ids=["deadline", "urgent"]
)
def test_stop_does_not_wait_for_ever_and_drops_what_comes_too_late(end):
    late = Item()
    worker = Worker(late.work, on_error=late.results.append)
    worker.put("late")
    assert late.begun.wait(5)
    assert not worker.stop(**end)
    late.may_end.set()
    assert worker.stop()
    assert late.results == []


def test_an_error_of_an_abandoned_item_is_nobodys():
    begun, may_end, errors = threading.Event(), threading.Event(), []

    def work(_):
        begun.set()
        may_end.wait(30)
        raise ValueError("too late")

    worker = Worker(work, on_error=errors.append)
    worker.put(1)
    assert begun.wait(5)
    assert not worker.stop(patience_s=0)
    may_end.set()
    assert worker.stop()
    assert errors == []


def test_the_next_worker_begins_after_the_abandoned_one_has_ended():
    old, new = Item(), Item()
    first = Worker(old.work, on_error=print)
    first.put("old")
    assert old.begun.wait(5)
    assert not first.stop(patience_s=0)
    second = Worker(new.work, on_error=print, after=first)
    second.put("new")
    assert not new.begun.wait(0.3)
    assert not second.stop(patience_s=0), "it waits for the first, and is abandoned too"
    third = Worker(new.work, on_error=print, after=second)
    third.put("newest")
    new.may_end.set()
    old.may_end.set()
    assert new.begun.wait(5)
    assert third.stop()
    assert (old.results, new.results) == ([], ["newest"])
