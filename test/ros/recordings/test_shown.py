"""What the pipeline makes of a frame, as a display gets it."""

import numpy as np

from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.messages.images import depth_from_message, rgb_from_message
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from e2e_depth_ros.ros.recordings.bag_reader import BagReader
from e2e_depth_ros.ros.recordings.input_topics import choose_topics
from e2e_depth_ros.ros.recordings.playback import Playback
from e2e_depth_ros.ros.recordings.shown import show_image, show_output
from helpers import bags


class Notes:
    """A display that remembers what it is shown."""

    def __init__(self):
        self.seen = {}

    def __getattr__(self, name):
        return lambda *shown: self.seen.setdefault(name, shown)


def test_each_output_is_shown_as_what_it_is(bag, estimator):
    with BagReader(bag) as reader:
        topics = choose_topics(reader, {"image": "/left/image_raw/compressed"})
        frame = next(Playback(reader, {"": topics}, lambda: estimator, Parameters()).play(set(Output)))
    notes = Notes()
    show_image(notes, frame.image)
    for output, message in frame.result.messages.items():
        show_output(notes, output, message)
    assert {*notes.seen} == {"image", "camera", "depth", "points", "status", "relative", "normals"}
    np.testing.assert_array_equal(notes.seen["image"][0], rgb_from_message(frame.image))
    np.testing.assert_array_equal(notes.seen["image"][0], bags.frame_picture(0))
    assert (notes.seen["camera"][0].fx, notes.seen["camera"][0].fy) == (60, 62)
    depth = depth_from_message(frame.result.messages[Output.DEPTH])
    np.testing.assert_array_equal(notes.seen["depth"][0], depth)
    points, colours = notes.seen["points"]
    shown = np.isfinite(points).all(axis=1)
    np.testing.assert_allclose(points[shown, 2], depth.ravel()[shown], rtol=1e-6)
    np.testing.assert_array_equal(colours, bags.frame_picture(0).reshape(-1, 3))
    level, words, values = notes.seen["status"]
    assert level in (0, 1)
    assert values["state"] in words
    np.testing.assert_allclose(np.linalg.norm(notes.seen["normals"][0], axis=-1), 1, atol=1e-4)
