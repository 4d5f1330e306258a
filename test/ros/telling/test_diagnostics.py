import pytest

pytest.importorskip("diagnostic_msgs", reason="ROS 2 message packages are not installed")

from diagnostic_msgs.msg import DiagnosticStatus

from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.running.worker import Turn
from e2e_depth_ros.ros.telling.diagnostics import Statistics


def report(statistics, **options):
    status = statistics.status("depth: frames", **{"dropped": 0, **options})
    return status, {entry.key: entry.value for entry in status.values}


def test_counts_last_and_rates_begin_anew():
    statistics = Statistics()
    for _ in range(3):
        statistics.received()
    statistics.processed(["a", "b"], {"read": 0.002}, 0.05, 0)
    statistics.processed(["a"], {"read": 0.004}, 0.25, 7)
    statistics.skipped()
    status, values = report(statistics, dropped=5)
    assert status.level == DiagnosticStatus.OK
    assert (values["images_received"], values["images_processed"], values["images_dropped"]) == (
        "3",
        "2",
        "5",
    )
    assert (values["published/a"], values["published/b"]) == ("2", "1")
    assert values["stage_ms/read"] == "3.00"
    assert values["age_max_ms"] == "250.0"
    assert values["non_finite_pixels"] == "7"
    assert values["images_without_subscriber"] == "1"
    _, values = report(statistics)
    assert (values["images_received"], values["rate_in_hz"], values["rate_out_hz"]) == ("3", "0.00", "0.00")
    assert "stage_ms/read" not in values


def test_refusals_warn_and_are_counted_by_reason():
    statistics = Statistics()
    for reason in ("image: step", "image: step", "cloud: fields"):
        statistics.refused(RefusedMessageError(reason, "expected 1, got 2"))
    status, values = report(statistics)
    assert status.level == DiagnosticStatus.WARN
    assert status.message == "refused 3: image: step: expected 1, got 2; also 1 of cloud: fields"
    assert (values["refused/image: step"], values["refused/cloud: fields"]) == ("2", "1")
    status, values = report(statistics)
    assert status.level == DiagnosticStatus.OK
    assert values["last_refusal"] == "cloud: fields: expected 1, got 2"


def test_unexpected_error_is_an_error():
    statistics = Statistics()
    statistics.failed(ValueError("boom"))
    status, values = report(statistics)
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, "ValueError: boom")
    assert values["refused/internal error"] == "1"


def test_ever_new_reasons_do_not_fill_memory_or_diagnostics():
    statistics = Statistics()
    for index in range(5000):
        statistics.refused(RefusedMessageError(f"reason {index}", "x" * 10_000))
    status, values = report(statistics)
    assert values["refused/others"] == "4900"
    assert sum(key.startswith("refused/") for key in values) == 101
    assert len(status.message) < 600
    assert len(statistics._refusals) == 101


def test_texts_of_strangers_are_one_printable_line():
    statistics = Statistics()
    statistics.failed(ValueError("boom\n[INFO] all is well \x1b[2J \ud800" + "A" * 2_000_000))
    statistics.processed(["topic\n"], {"stage\n": 1.0}, 0.0, 0)
    status, values = report(statistics)
    texts = [status.message, *values, *values.values()]
    assert all(text.isprintable() and len(text) <= 1000 for text in texts)
    assert status.message.startswith(r"ValueError: boom\n[INFO] all is well \x1b[2J \ud800AAA")


def test_silence_is_told_only_when_nothing_came():
    statistics = Statistics()
    assert report(statistics, silence="no image on /x")[0].message == "no image on /x"
    statistics.received()
    assert report(statistics, silence="no image on /x")[0].level == DiagnosticStatus.OK


def test_turns_of_the_worker_are_told():
    statistics = Statistics()
    for turn in (Turn(age_s=0.03, period_s=0.02), Turn(age_s=0.01, period_s=0.04)):
        statistics.turn(turn)
    _, values = report(statistics)
    assert (values["age_since_arrival_max_ms"], values["worker_period_max_ms"]) == ("30.0", "40.0")
    assert report(statistics)[1]["worker_period_max_ms"] == "0.0"
