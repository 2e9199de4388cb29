"""Identified series in, the one to measure of each kind out, with the reason why each of the others is passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triage.model import SequenceKind, Series, SeriesHeader
from triage.sequences import vendors
from triage.sequences.facts import acquired_at, is_alike, is_reformat, is_synthetic, on_one_calendar
from triage.sequences.identify import is_after_contrast

# An adult brain is 120-140 mm high; cut-off stacks (orbit, posterior fossa) are 60-90 mm
WHOLE_BRAIN_MM = 100.0
# s/mm2; thresholds of restricted diffusion are published for b 1000
USUAL_B_RANGE = (800.0, 1200.0)


@dataclass(frozen=True)
class Choice:
    """The series to measure for one kind. passed_over: (series UID, why) of every other series of that kind."""

    series: Series
    reasons: tuple[str, ...]
    passed_over: tuple[tuple[str, str], ...] = ()


# (code of the worse series, said of the better one, said of the worse one), asked in this order.
# The first question that two series answer differently decides between them.
_QUESTIONS: tuple[tuple[str, str, str], ...] = (
    ("part_of_the_brain", "covers the whole brain", "does not cover the whole brain"),
    ("eight_bits", "stored with more than 8 bits", "8 bits, as copies for display have"),
    ("lossy", "compressed without loss", "compressed with loss"),
    ("derived", "original or 3-D source", "a reformat or otherwise derived"),
    ("unlike_pair", "like the T1 before contrast", "unlike the T1 before contrast"),
    ("after_contrast", "before contrast", "after contrast"),
    ("unusual_b", "usual b-value", "unusual b-value"),
    ("single_direction", "trace weighted", "single direction"),
    ("not_axial", "3-D or axial", "not axial"),
    ("not_normalised", "intensity normalised by the scanner", "not intensity normalised"),
    ("fewer_slices", "more slices", "fewer slices"),
    ("less_sure", "surer identification", "less sure identification"),
    ("earlier_repeat", "the later repeat", "an earlier repeat"),
)
_EQUAL = ("equal", "equal to another series of its kind; taken in the order received", "equal to the chosen series")


def choose(series: Sequence[Series], kind: SequenceKind) -> Choice | None:
    """The best series of a kind with reasons, or None where the study has none. See :func:`rank` for the order."""
    ordered = rank(series, kind)
    if not ordered:
        return None
    best, *others = ordered
    reasons = _reasons_for(best, others[0] if others else None, _partners(series, kind))
    return Choice(
        best, reasons, tuple((o.header.series_instance_uid, why_passed_over(best, o, series)[1]) for o in others)
    )


def rank(series: Sequence[Series], kind: SequenceKind) -> tuple[Series, ...]:
    """All series of a kind, best first. The order of preference:

    1. the whole brain over a part of it
    2. more than 8 bits over the grey levels of a screen, then no loss over compressed with loss
    3. original images over derived and synthetic ones
    4. like the T1 before contrast (T1 after contrast)
    5. before contrast over after contrast (FLAIR)
    6. the usual b-value, then trace images over single directions (DWI)
    7. 3-D or axial over other orientations
    8. normalised by the scanner
    9. more slices
    10. the surer identification
    11. the later repeat, because a sequence is repeated when the first one failed
    """
    own = [s for s in series if s.identification.kind is kind]
    answers = _answers_of(own, _partners(series, kind))
    return tuple(own[n] for n in sorted(range(len(own)), key=lambda n: answers[n], reverse=True))


def _partners(series: Sequence[Series], kind: SequenceKind) -> list[SeriesHeader]:
    """What a T1 after contrast is compared with: the one before it. That one is chosen by itself, since it is compared
    with the T1 of another date, too."""
    return [one.header for one in rank(series, SequenceKind.T1)[:1]] if kind is SequenceKind.T1_GD else []


def _answers_of(series: Sequence[Series], partners: Sequence[SeriesHeader]) -> list[tuple[float, ...]]:
    """Times count only where each series states one."""
    headers = on_one_calendar([one.header for one in series])
    timed = all(header.acquisition_time is not None for header in headers)
    times = [acquired_at(header)[0] if timed else 0.0 for header in headers]
    return [
        (*_answers(one, partners), at, float(one.header.series_number or 0))
        for one, at in zip(series, times, strict=True)
    ]


def _answers(series: Series, partners: Sequence[SeriesHeader]) -> tuple[float, ...]:
    h, kind = series.header, series.identification.kind
    tokens = {token.upper() for token in h.image_type}
    diffusion = kind in (SequenceKind.DWI, SequenceKind.ADC)
    return (
        float(_covers_brain(h)),
        float(h.vendor.get("eight_bits") != "YES"),
        float(h.vendor.get("lossy") != "YES"),
        float(diffusion or not (is_reformat(h) or "DERIVED" in tokens or is_synthetic(h))),
        float(not partners or any(is_alike(h, other) for other in partners)),
        float(kind is not SequenceKind.FLAIR or not is_after_contrast(series.identification)),
        float(kind is not SequenceKind.DWI or USUAL_B_RANGE[0] <= max(h.b_values, default=1000.0) <= USUAL_B_RANGE[1]),
        float(
            kind is not SequenceKind.DWI
            or bool(tokens & vendors.DIFFUSION_TRACES)
            or h.vendor.get("isotropic") == "YES"
        ),
        float(h.mr_acquisition_type == "3D" or h.orientation in ("axial", "")),
        float("NORM" in tokens),
        float(_slices(h)),
        round(series.identification.confidence, 1),
    )


def _slices(h: SeriesHeader) -> int:
    """Slices of one volume: a series with several b-values holds several volumes."""
    volumes = max(len(h.b_values), 1)
    return max(h.frame_count, h.instance_count) // volumes


def _covers_brain(h: SeriesHeader) -> bool:
    """True unless the header's figures show a slab thinner than the brain.

    The header does not state gaps between slices: 20 % is allowed for them.
    """
    if h.slice_thickness_mm is None or _slices(h) == 0:
        return True
    return _slices(h) * h.slice_thickness_mm * 1.2 >= WHOLE_BRAIN_MM


def why_passed_over(used: Series, other: Series, study: Sequence[Series] = ()) -> tuple[str, str]:
    """Code and sentence: why ``other`` was not taken where ``used`` was. study: all of its series."""
    partners = _partners(study, used.identification.kind)
    code, _, worse = _question(used, other, partners)
    own, others = _answers_of((used, other), partners)
    if others > own:
        return "tried_later", "another series of its kind was tried before it and taken"
    return code, worse


def _question(one: Series, other: Series, partners: Sequence[SeriesHeader]) -> tuple[str, str, str]:
    """The one that decides between them."""
    for n, (a, b) in enumerate(zip(*_answers_of((one, other), partners), strict=True)):
        if a != b:
            return _QUESTIONS[min(n, len(_QUESTIONS) - 1)]
    return _EQUAL


def _reasons_for(best: Series, second: Series | None, partners: Sequence[SeriesHeader]) -> tuple[str, ...]:
    better = "the only series of its kind" if second is None else _question(best, second, partners)[1]
    return (*best.identification.reasons, better)
