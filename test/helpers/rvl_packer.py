"""A packer of RVL, one number at a time: slow and plain, to test the reader against."""

import numpy as np


def pack_rvl(depth):
    """Pack an image of uint16, (H, W); see `e2e_depth_ros.core.rvl` for the format."""
    groups = []

    def write(number):
        while True:
            number, three_bits = divmod(number, 8)
            groups.append(three_bits + (8 if number else 0))
            if not number:
                return

    values = [int(value) for value in np.asarray(depth).ravel()]
    at = previous = 0
    while at < len(values):
        begin = at
        while at < len(values) and values[at] == 0:
            at += 1
        write(at - begin)
        begin = at
        while at < len(values) and values[at] != 0:
            at += 1
        write(at - begin)
        for value in values[begin:at]:
            difference = value - previous
            write(2 * difference if difference >= 0 else -2 * difference - 1)
            previous = value
    groups += [0] * (-len(groups) % 8)
    words = [
        sum(group << (28 - 4 * place) for place, group in enumerate(groups[i : i + 8]))
        for i in range(0, len(groups), 8)
    ]
    return np.array(words, dtype="<u4").tobytes()
