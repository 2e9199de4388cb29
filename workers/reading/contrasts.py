"""Frames of one series in, whether they show more than one contrast out.

Some gateways give two series one UID. Their slices lie at the same places, and nothing else tells them apart later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from workers.reading.frames import Frame
from workers.reading.selection import place_of

MOST_ECHOES = 16
SAME_TR_RATIO = 1.2  # repetition times of one series vary by rounding, and with triggering


def mixed_contrasts(frames: Sequence[Frame]) -> str | None:
    """What differs between the images of a series; None: they show one contrast.

    Only part of them is inverted, their repetition times differ by more than SAME_TR_RATIO, or images of two echo times
    were not acquired together. Echoes, b-values and inversion times of one acquisition may differ.
    """
    inverted = {frame.inversion_time_ms not in (None, 0.0) for frame in frames}
    times = [tr for frame in frames if (tr := frame.repetition_time_ms) is not None and tr > 0]
    if len(inverted) > 1:
        return "some of the images have an inversion time and others have none"
    if times and max(times) > SAME_TR_RATIO * min(times):
        return f"repetition times between {min(times):g} and {max(times):g} ms"
    return _echoes_apart([frame for frame in frames if frame.b_value is None and frame.position is not None])


def _echoes_apart(frames: Sequence[Frame]) -> str | None:
    """Which echo times are not of one acquisition: the objects of one were all acquired after those of the other, at
    the same places, and no number calls them echoes."""
    echoes: dict[float, list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.echo_time_ms is not None:
            echoes[round(frame.echo_time_ms, 1)].append(frame)
    if len(echoes) > MOST_ECHOES:  # effective echo times that differ from slice to slice
        return None
    for (one, first), (other, second) in combinations(sorted(echoes.items()), 2):
        same = {place_of(f) for f in first} == {place_of(f) for f in second}
        if same and _numbers(first) == _numbers(second) and _after_each_other(first, second):
            return f"echo times of {one:g} and {other:g} ms, acquired one after the other"
    return None


def _numbers(frames: Sequence[Frame]) -> set[int | None]:
    return {frame.echo_number for frame in frames}


def _after_each_other(one: Sequence[Frame], other: Sequence[Frame]) -> bool:
    if not {f.pixels.path for f in one}.isdisjoint(f.pixels.path for f in other):
        return False
    first, second = [f.acquired_at for f in one if f.acquired_at], [f.acquired_at for f in other if f.acquired_at]
    if len(first) < len(one) or len(second) < len(other):
        return False
    return max(first) < min(second) or max(second) < min(first)
