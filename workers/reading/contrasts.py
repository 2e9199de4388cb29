"""Frames of one series in, whether they show more than one contrast out.

Some gateways give two series one UID. Their slices lie at the same places, and nothing else tells them apart later.
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.reading.frames import Frame

SAME_TR_RATIO = 1.2  # repetition times of one series vary by rounding, and with triggering


def mixed_contrasts(frames: Sequence[Frame]) -> str | None:
    """What differs between the images of a series; None: they show one contrast.

    Only part of them is inverted, or their repetition times differ by more than SAME_TR_RATIO. Echoes, b-values and
    inversion times of one acquisition may differ.
    """
    inverted = {frame.inversion_time_ms not in (None, 0.0) for frame in frames}
    times = [tr for frame in frames if (tr := frame.repetition_time_ms) is not None and tr > 0]
    if len(inverted) > 1:
        return "some of the images have an inversion time and others have none"
    if times and max(times) > SAME_TR_RATIO * min(times):
        return f"repetition times between {min(times):g} and {max(times):g} ms"
    return None
