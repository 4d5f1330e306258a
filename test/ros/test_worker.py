import itertools
import threading
import time

from e2e_depth_ros.ros.worker import Worker


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
