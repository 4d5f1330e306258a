import threading
import time

from e2e_depth_ros.ros.running.mailbox import Mailbox


def test_newest_item_wins_and_drops_are_counted():
    mailbox = Mailbox()
    for item in (1, 2, 3):
        mailbox.put(item)
    assert mailbox.dropped == 2
    assert mailbox.take() == 3
    assert mailbox.take(timeout_s=0) is None


def test_taken_item_is_not_dropped():
    mailbox = Mailbox()
    mailbox.put(1)
    assert mailbox.take() == 1
    mailbox.put(2)
    assert mailbox.dropped == 0


def test_take_waits_for_an_item():
    mailbox = Mailbox()
    threading.Timer(0.05, mailbox.put, ["late"]).start()
    start = time.monotonic()
    assert mailbox.take(timeout_s=5) == "late"
    assert time.monotonic() - start < 4


def test_close_wakes_the_one_who_waits_and_lets_items_go():
    mailbox = Mailbox()
    taken = []
    worker = threading.Thread(target=lambda: taken.append(mailbox.take()))
    worker.start()
    mailbox.close()
    worker.join(timeout=5)
    assert not worker.is_alive()
    assert taken == [None]
    mailbox.put(1)
    assert mailbox.take() is None


def test_every_item_is_either_taken_or_dropped():
    mailbox = Mailbox()
    taken = []

    def work():
        while (item := mailbox.take(timeout_s=1)) is not None:
            taken.append(item)

    worker = threading.Thread(target=work)
    worker.start()
    for item in range(1, 2001):
        mailbox.put(item)
    worker.join(timeout=10)
    assert taken == sorted(taken)
    assert taken[-1] == 2000
    assert len(taken) + mailbox.dropped == 2000
