"""Messages as nobody should send them: mutations that keep a message a message, drawn by hypothesis.

A fuzz test takes a correct message, lets `mutated` change a few of its fields, and calls what reads it. All
it may raise is a refusal. `fuzz` sets how much is tried: a little always, 100,000 with E2E_DEPTH_STRESS=1.
"""

import copy
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 100_000 if os.environ.get("E2E_DEPTH_STRESS") == "1" else 150

# What numbers of messages are set to: edges of their types, and neighbours of sizes.
UINT8 = st.sampled_from([0, 1, 2, 127, 128, 255])
UINT32 = st.one_of(
    st.sampled_from([0, 1, 2, 3, 7, 8, 31, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1]),
    st.integers(0, 4096),
)
WORDS = st.one_of(
    st.sampled_from(["", " ", "\0", "\n", "é", "%s", "{}", "x" * 300, "../../x"]), st.text(max_size=12)
)


def fuzz(strategy, examples=EXAMPLES):
    """Decorate a test of one argument: it is called with so many examples of the strategy.

    The same ones each time, so that a failure comes back; with E2E_DEPTH_STRESS=1 others each time.
    """

    def decorate(test):
        limits = settings(
            max_examples=examples,
            deadline=None,  # others use the machine too
            derandomize=EXAMPLES < 1000,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.timeout(4 * 3600 if EXAMPLES > 1000 else 300)(limits(given(strategy)(test)))

    return decorate


@st.composite
def mutated(draw, messages, fields):
    """Change up to three fields of a message.

    Args:
        draw: Hypothesis's.
        messages: Correct ones to begin with; they stay as they are.
        fields: What each field may become, by name: a strategy, or a function from its value to a strategy.
    """
    message = copy.deepcopy(draw(st.sampled_from(messages)))
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        becomes = fields[name]
        setattr(
            message,
            name,
            draw(becomes if isinstance(becomes, st.SearchStrategy) else becomes(getattr(message, name))),
        )
    return message


@st.composite
def _spoiled(draw, data):
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.sampled_from([1, 2, 4, 16, 400]))
        kind = draw(st.sampled_from(["set", "flip", "cut", "remove", "repeat", "zero", "number"]))
        piece = data[at : at + length]
        if kind == "set":
            data[at : at + length] = draw(st.binary(min_size=length, max_size=length))
        elif kind == "flip":
            data[at : at + 1] = bytes(byte ^ (1 << draw(st.integers(0, 7))) for byte in piece[:1])
        elif kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + length]
        elif kind == "repeat":
            data[at:at] = piece * draw(st.integers(1, 3))
        elif kind == "zero":
            data[at : at + length] = bytes(len(piece))
        else:
            order = draw(st.sampled_from(["little", "big"]))
            data[at : at + 4] = draw(UINT32).to_bytes(4, order)
    return bytes(data)


def spoiled(data):
    """Strategy: bytes that begin as `data` and were overwritten, cut, shifted or padded at a few places."""
    return st.one_of(_spoiled(bytes(data)), st.binary(max_size=64), st.just(b""))
