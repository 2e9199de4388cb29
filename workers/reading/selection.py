"""Frames of one series in, those of the volume wanted out: b-values, echoes, types and repeats are told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from triage.model import SequenceKind
from triage.sequences import vendors
from workers.reading.frames import Frame
from workers.reading.spokesman import NOT_MAGNITUDE

# a second one may show what a contrast agent does, rather than repeat what failed
BEFORE_OR_AFTER_CONTRAST = (SequenceKind.T1, SequenceKind.T1_GD)
_ADC = "ADC"


def select(frames: Sequence[Frame], kind: SequenceKind) -> list[list[Frame]]:
    """The frames of the volume wanted; several lists only for DWI directions that are to be averaged into a trace."""
    wanted = [f for f in frames if shows(f, kind)] or list(frames)
    wanted = magnitude_only(wanted)
    if kind is not SequenceKind.ADC:  # a map is displayed in its unit
        wanted = comparable(wanted)
    if kind is SequenceKind.DWI:
        return _diffusion_groups(wanted)
    wanted = _one_echo(wanted, longest=kind is SequenceKind.T2)
    wanted = _one_type(wanted)
    return [wanted if kind in BEFORE_OR_AFTER_CONTRAST else _one_repeat(wanted)]


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
        if frame.component in ("", "MAGNITUDE", "MIXED")
        and NOT_MAGNITUDE.isdisjoint(token.upper() for token in frame.image_type)
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
    """Dixon and similar series hold one volume per ImageType at the same places: keep the type seen first (in phase
    or water).
    """
    if not _repeats(frames) or len({f.image_type for f in frames}) < 2:
        return frames
    for wanted in ("W", "WATER", "IN_PHASE", "IP"):
        found = [f for f in frames if wanted in {t.upper() for t in f.image_type}]
        if found:
            return found
    return [f for f in frames if f.image_type == frames[0].image_type]


def _one_repeat(frames: list[Frame]) -> list[Frame]:
    """Of complete repeats at the same places, the last; unequal repeats are left for the geometry to refuse."""
    if not _repeats(frames):
        return frames
    for key in (lambda f: f.time_key[0], lambda f: f.time_key[1]):
        groups = _split(frames, key)
        if len(groups) > 1 and len({len(g) for g in groups}) == 1:
            return groups[-1]
    return frames


def _diffusion_groups(frames: list[Frame]) -> list[list[Frame]]:
    """The highest b-value: its trace-weighted volume, else its directions."""
    stated = [f.b_value for f in frames if f.b_value is not None]
    if stated:
        frames = [f for f in frames if f.b_value is not None and round(f.b_value) == round(max(stated))]
    isotropic = [
        f
        for f in frames
        if f.direction == "isotropic" or {"TRACEW", "TRACE", "ISO"} & {t.upper() for t in f.image_type}
    ]
    frames = isotropic or frames
    if not _repeats(frames):
        return [frames]
    directions = _split(frames, lambda f: f.gradient or ())
    if len(directions) > 1 and len({len(g) for g in directions}) == 1:
        return [_one_repeat(g) for g in directions]
    return [_one_repeat(frames)]


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
