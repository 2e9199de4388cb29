"""Frames of one series in, those of the volume wanted out: b-values, echoes, types and repeats are told apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from triage.errors import NotAssessable
from triage.model import SequenceKind
from triage.sequences import vendors
from workers.reading.frames import Frame
from workers.reading.spokesman import NOT_MAGNITUDE, is_part

# a second one may show what a contrast agent does, rather than repeat what failed
BEFORE_OR_AFTER_CONTRAST = (SequenceKind.T1, SequenceKind.T1_GD)
_ADC = "ADC"
SAME_B = 0.95  # share of the highest b-value; what is played out scatters about what was asked for
# of several images at one place, in this order: what a radiologist would look at
_PREFERRED = ("W", "WATER", "IN_PHASE", "IP", "ORIGINAL", "NORM", "DIS3D", "DIS2D")


def select(frames: Sequence[Frame], kind: SequenceKind, said: list[str] | None = None) -> list[list[Frame]]:
    """The frames of the volume wanted; several lists only for DWI directions that are to be averaged into a trace.

    Args:
        said: a sentence about images of another echo, type or run that are left out is added.

    Raises:
        NotAssessable: mixed_contrasts: nothing says which of several types of image is meant.
    """
    said = [] if said is None else said
    wanted = [f for f in frames if shows(f, kind)] or list(frames)
    wanted = magnitude_only(wanted)
    if kind is not SequenceKind.ADC:  # a map is displayed in its unit
        wanted = comparable(wanted)
    if kind is SequenceKind.DWI:
        return _diffusion_groups(wanted, said)
    one_echo = _one_echo(wanted, longest=kind is SequenceKind.T2)
    _tell(said, wanted, one_echo, "have another echo time")
    one_type = _one_type(one_echo)
    _tell(said, one_echo, one_type, "are of another type")
    if kind in BEFORE_OR_AFTER_CONTRAST:
        return [one_type]
    one_run = _one_repeat(one_type)
    _tell(said, one_type, one_run, "are of an earlier run")
    return [one_run]


def _tell(said: list[str], before: Sequence[Frame], kept: Sequence[Frame], what: str) -> None:
    if len(kept) < len(before):
        said.append(f"{len(before) - len(kept)} of {len(before)} images {what} and are left out")


def comparable(frames: list[Frame]) -> list[Frame]:
    """With the values that images of one scan can be compared by."""
    return [
        frame if frame.comparable is None
        else replace(frame, slope=frame.comparable[0], intercept=frame.comparable[1], rescaled_by="scale slope")
        for frame in frames
    ]  # fmt: skip


def shows(frame: Frame, kind: SequenceKind) -> bool:
    """Frames of other maps in the same series (Philips and XA objects may hold b-values, ADC and FA together) are
    left out.
    """
    maps = maps_in(frame)
    return _ADC in maps if kind is SequenceKind.ADC else not maps


def maps_in(frame: Frame) -> frozenset[str]:
    """The maps that its ImageType names, each by one word."""
    tokens = {token.upper() for token in frame.image_type}
    found = tokens & vendors.TENSOR_MAPS
    if tokens & vendors.ADC_MAPS or any(token.startswith(vendors.ADC_MAP_BEGINNINGS) for token in tokens):
        found |= {_ADC}
    return frozenset(found | {"EADC"} if tokens & vendors.EXPONENTIAL_ADC_MAPS else found)


def magnitude_only(frames: list[Frame]) -> list[Frame]:
    keep = [
        frame
        for frame in frames
        if not is_part(frame) and NOT_MAGNITUDE.isdisjoint(token.upper() for token in frame.image_type)
    ]
    return keep or frames


def _one_echo(frames: list[Frame], *, longest: bool) -> list[Frame]:
    times = {round(f.echo_time_ms, 1) for f in frames if f.echo_time_ms is not None}
    if len(times) < 2:
        return frames
    wanted = max(times) if longest else min(times)
    selected = [f for f in frames if f.echo_time_ms is not None and round(f.echo_time_ms, 1) == wanted]
    # an effective echo time that differs from slice to slice is not a second echo
    return selected if len(frames) - len(selected) >= len(selected) and _repeats(frames) else frames


def _one_type(frames: list[Frame]) -> list[Frame]:
    """Dixon and similar series hold one volume per ImageType at the same places: keep water or in phase, what was
    acquired rather than what was made of it, else the type of most images.

    Raises:
        NotAssessable: mixed_contrasts: as many images are of another type.
    """
    if not _repeats(frames) or len({f.image_type for f in frames}) < 2:
        return frames
    for wanted in _PREFERRED:
        found = [f for f in frames if wanted in {t.upper() for t in f.image_type}]
        if found and set(map(place_of, found)) == set(map(place_of, frames)):
            frames = found
        if len({f.image_type for f in frames}) < 2:
            return frames
    (first, most), (other, count) = Counter(f.image_type for f in frames).most_common(2)
    if most == count:
        types = " and ".join(sorted("\\".join(one) or "none" for one in (first, other)))
        raise NotAssessable("mixed_contrasts", f"images of two types lie at the same places: {types[:120]}")
    return [f for f in frames if f.image_type == first]


def _one_repeat(frames: list[Frame]) -> list[Frame]:
    """Of complete repeats at the same places, the last; unequal repeats are left for the geometry to refuse."""
    return _runs(frames)[-1]


def _runs(frames: list[Frame]) -> list[list[Frame]]:
    """Complete repeats at the same places, in order; one, when nothing tells them apart."""
    if not _repeats(frames):
        return [frames]
    for key in (lambda f: f.time_key[0], lambda f: f.time_key[1]):
        groups = _split(frames, key)
        if len(groups) > 1 and len({len(g) for g in groups}) == 1:
            return groups
    return [frames]


def highest_weighted(frames: Sequence[Frame]) -> list[Frame]:
    """Those of the highest b-value as it was asked for; all where none is stated."""
    stated = [f.b_value for f in frames if f.b_value is not None]
    if not stated:
        return list(frames)
    return [f for f in frames if f.b_value is not None and f.b_value >= SAME_B * max(stated)]


def _diffusion_groups(frames: list[Frame], said: list[str]) -> list[list[Frame]]:
    """The highest b-value: its trace-weighted volume, else its directions."""
    frames = highest_weighted(frames)
    isotropic = [
        f for f in frames if f.direction == "isotropic" or vendors.DIFFUSION_TRACES & {t.upper() for t in f.image_type}
    ]
    if isotropic or not _repeats(frames):
        one_run = _one_repeat(isotropic or frames)
        _tell(said, isotropic or frames, one_run, "are of an earlier run")
        return [one_run]
    directions = _split(frames, lambda f: f.gradient or ())
    if len(directions) > 1:
        if len({len(g) for g in directions}) > 1:
            return [frames]  # the geometry refuses them
        kept = [_one_repeat(g) for g in directions]
        _tell(said, frames, [f for g in kept for f in g], "are of an earlier run")
        return kept
    if not any(f.b_value is not None for f in frames):
        return [_one_repeat(frames)]
    runs = _runs(frames)
    if len(runs) > 1:
        said.append(f"{len(runs)} volumes of one b-value state no direction: their mean is taken")
    return runs


def _split(frames: Iterable[Frame], key: Any) -> list[list[Frame]]:
    groups: dict[Any, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return [groups[k] for k in sorted(groups)]


def _repeats(frames: Sequence[Frame]) -> bool:
    return len({place_of(f) for f in frames if f.position}) < len(frames)


def place_of(frame: Frame) -> tuple[float, ...]:
    """Where a frame lies, to 0.01 mm; empty when its header does not say."""
    return tuple(round(v, 2) for v in frame.position or ())


def complete_repeats(frames: list[Frame]) -> list[list[Frame]]:
    """Frames at the same places dealt out into complete stacks, in the order given."""
    seen: dict[tuple[float, ...], int] = defaultdict(int)
    stacks: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames:
        place = place_of(frame)
        stacks[seen[place]].append(frame)
        seen[place] += 1
    return [stack for stack in stacks.values() if len(stack) == len(stacks[0])]
