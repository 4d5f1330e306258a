"""Small data sets in exactly the published layouts."""

import pytest

from helpers.protocol_sets import WRITERS, KnownSource


@pytest.fixture
def write_set():
    """`write_set(name, folder)`: a small data set in the layout of a protocol."""
    return lambda name, folder: WRITERS[name](folder)


@pytest.fixture
def known_source():
    """`known_source(predictions)`: a source that predicts them."""
    return KnownSource
