import threading

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
