"""The instances that the ingest benches send: (UID, encoded data set)."""

from __future__ import annotations

import random

LARGE_FRAMES = 95  # of 0.5 MB
SIZES = ((256, 0.62), (512, 0.38))  # side of the slice in pixels, share: 137 and 530 kB, 288 kB on average


def corpus(count: int, *, seed: int = 1, suffix: str = "") -> list[tuple[str, bytes]]:
    """(UID, encoded data set) of MR slices. suffix: makes the UIDs those of other instances."""
    from tests.workers.reading.data_sets import a_data_set, encoded

    chance = random.Random(seed)
    found = []
    for number in range(count):
        side = chance.choices([size for size, _ in SIZES], [share for _, share in SIZES])[0]
        data_set = a_data_set(number, pixels=chance.randbytes(2 * side * side), Rows=side, Columns=side)
        data_set.SOPInstanceUID += suffix
        data_set.ImageComments = "x" * 5000  # a header of realistic length
        found.append((str(data_set.SOPInstanceUID), encoded(data_set)))
    return found


def tiny(count: int = 2000) -> list[tuple[str, bytes]]:
    """(UID, encoded data set) of instances that are nearly all header."""
    from tests.workers.reading.data_sets import a_data_set, encoded

    found = [a_data_set(number, pixels=bytes(2 * 32 * 32), Rows=32, Columns=32) for number in range(count)]
    return [(str(one.SOPInstanceUID), encoded(one)) for one in found]


def large(count: int) -> list[tuple[str, bytes]]:
    """(UID, encoded data set) of multi-frame objects of 50 MB each."""
    from tests.workers.reading.data_sets import a_data_set, encoded

    pixels = random.Random(1).randbytes(2 * 512 * 512 * LARGE_FRAMES)
    found = [
        a_data_set(number, pixels=pixels, Rows=512, Columns=512, NumberOfFrames=LARGE_FRAMES) for number in range(count)
    ]
    return [(str(one.SOPInstanceUID), encoded(one)) for one in found]
