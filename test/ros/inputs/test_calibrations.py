from types import SimpleNamespace

from e2e_depth_ros.ros.inputs.calibrations import CameraInfos


def message(stamp_ns, frame_id="camera"):
    sec, nanosec = divmod(stamp_ns, 10**9)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)
    )


def test_there_is_none_before_one_came():
    assert CameraInfos().for_image(message(1).header) is None


def test_exact_stamp_goes_before_the_latest():
    infos = CameraInfos()
    messages = {stamp: message(stamp) for stamp in range(1, 30)}
    for item in messages.values():
        infos.put(item)
    assert infos.for_image(message(20).header) is messages[20]
    assert infos.for_image(message(20).header) is messages[20]  # it stays
    assert infos.for_image(message(1).header) is messages[29]  # that of the stamp fell out
    renewed = message(20)
    infos.put(renewed)
    assert infos.for_image(message(20).header) is renewed


def test_without_stamps_the_latest_serves():
    infos = CameraInfos()
    for item in (message(0), message(5), last := message(3)):
        infos.put(item)
    assert infos.for_image(message(0).header) is last


def test_after_time_went_back_the_last_that_came_serves():
    infos = CameraInfos()
    for stamp in (500, 600, 10):
        infos.put(message(stamp))
    assert infos.for_image(message(20).header).header.stamp.nanosec == 10


def test_two_cameras_may_share_a_topic():
    infos = CameraInfos()
    infos.put(message(5, "other"))
    assert infos.for_image(message(10).header).header.frame_id == "other"  # to be refused by its name
    for stamp in range(10, 50, 2):
        infos.put(right := message(stamp))
        infos.put(message(stamp + 1, "other"))
        assert infos.for_image(message(1000).header) is right
    assert infos.for_image(message(1000, "/camera").header) is right


def test_a_camera_that_only_sends_another_frame_by_now_is_not_helped_by_what_it_sent_long_ago():
    infos = CameraInfos()
    infos.put(message(1))
    for stamp in range(2, 50):
        infos.put(message(stamp, "other"))
    assert infos.for_image(message(1000).header).header.frame_id == "other"


def test_that_of_the_stamp_is_meant_for_the_image_even_if_it_is_of_no_use():
    """The driver sends another frame_id from now on: the old calibration may be wrong by now."""
    infos = CameraInfos()
    infos.put(message(1))
    wrong = message(2, "other")
    infos.put(wrong)
    assert infos.for_image(message(2).header) is wrong
    right = message(2)
    infos.put(right)
    infos.put(message(2, "other"))
    assert infos.for_image(message(2).header) is right  # two cameras that are triggered together
    infos.put(nameless := message(3, ""))
    infos.put(message(3, "other"))
    assert infos.for_image(message(3).header) is nameless
