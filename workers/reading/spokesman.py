"""Objects of one series in, the object and the frame whose header speaks for the series out.

A series may hold a presentation, a capture, a planning image or phase images beside its own. What most images state is
the series; the order in which they arrived says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from triage.sequences import vendors
from workers.reading.frames import Frame
from workers.reading.values import number, strings, text, value_of

# of one acquisition they are equal
_TEXTS = ("SOPClassUID", "Modality", "SeriesDescription", "ProtocolName")
_LISTS = ("ImageType", "ScanningSequence")
# parts of a complex image, and pictures that are made beside or of the images of a series
NOT_MAGNITUDE = frozenset({"R", "I", "REAL", "IMAGINARY"}) | vendors.PHASES
_BESIDE = frozenset({"LOCALIZER"}).union(
    NOT_MAGNITUDE, vendors.FAT_OR_OPPOSED, vendors.ADC_MAPS, vendors.EXPONENTIAL_ADC_MAPS, vendors.TENSOR_MAPS,
    vendors.OTHER_MAPS,
)  # fmt: skip

ValueT = TypeVar("ValueT")


def spokesman(headers: Sequence[Any], frames: Sequence[Sequence[Frame]]) -> int:
    """The position of the object whose header is that of most images; objects without images speak last.

    Args:
        headers: of all objects, at least one. frames: of each of them.
    """
    said = [_said(header) for header in headers]
    images: Counter[tuple[Any, ...]] = Counter()
    for one, some in zip(said, frames, strict=True):
        images[one] += len(some)
    wanted = min(images, key=lambda one: (-images[one], *_later(one[0]), repr(one)))
    own = [n for n, one in enumerate(said) if one == wanted]
    uids = [text(header, "SOPInstanceUID") for header in headers]
    # with images, of these one with a magnitude image
    return min(own, key=lambda n: (not frames[n], all(map(is_part, frames[n])), -_named_b(headers[n]), uids[n]))


def main_type(frames: Sequence[Frame]) -> tuple[str, ...]:
    """The ImageType of most frames; of equally many that of the images that were acquired."""
    images = Counter(frame.image_type for frame in frames)
    return min(images, key=lambda one: (-images[one], *_later(one)), default=())


def main_frame(frames: Sequence[Frame]) -> int:
    """The number in its object of a frame of one object that is like most of them; 0 when there is none."""
    images = Counter(map(_timing, frames))
    if not images:
        return 0
    wanted = min(images, key=lambda one: (one[-1], -images[one], *_later(one[0]), repr(one)))
    return min(frame.number for frame in frames if _timing(frame) == wanted)


def most_common(values: Iterable[ValueT]) -> ValueT | None:
    """The value stated most; of equally many the first in order of their text. None: there is none."""
    counts = Counter(values)
    return min(counts, key=lambda one: (-counts[one], repr(one)), default=None)


def _said(header: Any) -> tuple[Any, ...]:
    """The ImageType first."""
    return (
        *(strings(header, keyword) for keyword in _LISTS),
        *(text(header, keyword) for keyword in _TEXTS),
        _without_b(text(header, "SequenceName").lower()),
        number(value_of(header, "InversionTime")) not in (None, 0.0),
    )


def _without_b(name: str) -> str:
    found = vendors.B_VALUE.search(name)
    return name[: found.start()] if found else name


def _named_b(header: Any) -> float:
    """The b-value in the name of the sequence, s/mm2: images with and without weighting lie in one series."""
    found = vendors.B_VALUE.search(text(header, "SequenceName").lower())
    return float(found[1]) if found else 0.0


def _timing(frame: Frame) -> tuple[tuple[str, ...], float | None, float | None, bool]:
    return frame.image_type, frame.repetition_time_ms, frame.inversion_time_ms, is_part(frame)


def is_part(frame: Frame) -> bool:
    """Whether it is the phase, or the real or imaginary part, of a complex image by its component: where there are
    magnitude images, these are measured."""
    return frame.component not in ("", "MAGNITUDE", "MIXED")


def _later(image_type: Sequence[str]) -> tuple[bool, bool, str]:
    """Sort key: what was acquired, and is an image of its own, first."""
    tokens = {token.upper() for token in image_type}
    return bool(tokens & _BESIDE), "ORIGINAL" not in tokens, repr(tuple(image_type))
