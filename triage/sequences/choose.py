"""Identified series in, the one to measure of each kind out, with the reason why each of the others is passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triage.model import SequenceKind, Series, SeriesHeader
from triage.sequences import vendors
from triage.sequences.facts import acquired_at, is_reformat
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


# (said of the better series, said of the worse one), asked in this order.
# The first question that two series answer differently decides between them.
_QUESTIONS: tuple[tuple[str, str], ...] = (
    ("covers the whole brain", "does not cover the whole brain"),
    ("original or 3-D source", "a reformat or otherwise derived"),
    ("before contrast", "after contrast"),
    ("usual b-value", "unusual b-value"),
    ("trace weighted", "single direction"),
    ("3-D or axial", "not axial"),
    ("intensity normalised by the scanner", "not intensity normalised"),
    ("more slices", "fewer slices"),
    ("surer identification", "less sure identification"),
    ("the later repeat", "an earlier repeat"),
)


def choose(series: Sequence[Series], kind: SequenceKind) -> Choice | None:
    """The best series of a kind with reasons, or None where the study has none. See :func:`rank` for the order."""
    ordered = rank(series, kind)
    if not ordered:
        return None
    best, *others = ordered
    reasons = _reasons_for(best, others[0] if others else None)
    return Choice(best, reasons, tuple((o.header.series_instance_uid, _passed_over(best, o)) for o in others))


def rank(series: Sequence[Series], kind: SequenceKind) -> tuple[Series, ...]:
    """All series of a kind, best first. The order of preference:

    1. the whole brain over a part of it
    2. original images over derived ones
    3. before contrast over after contrast (FLAIR)
    4. the usual b-value, then trace images over single directions (DWI)
    5. 3-D or axial over other orientations
    6. normalised by the scanner
    7. more slices
    8. the surer identification
    9. the later repeat, because a sequence is repeated when the first one failed
    """
    return tuple(sorted((s for s in series if s.identification.kind is kind), key=_answers, reverse=True))


def _answers(series: Series) -> tuple[float, ...]:
    h, kind = series.header, series.identification.kind
    tokens = {token.upper() for token in h.image_type}
    diffusion = kind in (SequenceKind.DWI, SequenceKind.ADC)
    return (
        float(_covers_brain(h)),
        float(diffusion or not (is_reformat(h) or "DERIVED" in tokens)),
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
        acquired_at(h)[0] if h.acquisition_time else 0.0,
        float(h.series_number or 0),
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


def _question(better: Series, worse: Series) -> tuple[str, str] | None:
    for n, (a, b) in enumerate(zip(_answers(better), _answers(worse), strict=True)):
        if a != b:
            return _QUESTIONS[min(n, len(_QUESTIONS) - 1)]
    return None


def _reasons_for(best: Series, second: Series | None) -> tuple[str, ...]:
    if second is None:
        return (*best.identification.reasons, "the only series of its kind")
    decided = _question(best, second)
    return (
        *best.identification.reasons,
        decided[0] if decided else "equal to another series of its kind; taken in the order received",
    )


def _passed_over(best: Series, other: Series) -> str:
    decided = _question(best, other)
    return decided[1] if decided else "equal to the chosen series"
