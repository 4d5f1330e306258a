import sys
import threading

import pytest

from e2e_depth_ros.ros.running.loading import StoppedError, load_unless


def test_what_is_loaded_is_returned_and_what_is_raised_is_raised():
    assert load_unless(lambda: False, lambda: "model") == "model"
    with pytest.raises(SystemExit):
        load_unless(lambda: False, lambda: sys.exit(1))


def test_loading_is_left_when_nobody_needs_it():
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def load():
        begun.set()
        may_end.wait(30)
        ended.set()

    with pytest.raises(StoppedError):
        load_unless(begun.is_set, load)
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(5)
