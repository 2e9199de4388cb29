"""Series headers in, what each series shows out, with reasons; and the best series of each kind, with reasons.

The rules stand in triage/sequence_rules.py, the facts they ask for in sequence_facts.py, the words of descriptions in
sequence_words.py. Here is what needs more than one series: whether a T1 was acquired after contrast, and which of
several series of one kind is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from triage.model import Identification, SequenceKind, Series, SeriesHeader
from triage.sequences import words
from triage.sequences.facts import timing
from triage.sequences.rules import ORDER

_REFORMAT_TOKENS = frozenset({"MPR", "REFORMATTED", "RESAMPLED", "MPR_THIN", "MPR_THICK"})
_REFORMAT_PENALTY = 0.8  # a reformat shows the same contrast, resampled once more
WHOLE_BRAIN_MM = 100.0  # an adult brain is 120-140 mm high; cut-off stacks (orbit, posterior fossa) are 60-90 mm
USUAL_B_RANGE = (800.0, 1200.0)  # b 1000 is what restricted-diffusion thresholds are published for


def identify(header: SeriesHeader) -> Identification:
    """What one series shows, from its own header alone; T1 becomes T1_GD by its agent or its description.

    Returns:
        The kind, a confidence to rank by, and the reasons with the figures read. UNKNOWN when no rule recognises the
        header.
    """
    for rule in ORDER:
        found = rule(header)
        if found is not None:
            return _with_contrast(_as_reformat(found, header), header)
    return Identification(SequenceKind.UNKNOWN, 0.0, (f"{timing(header)}: no rule recognises this header",))


def identify_study(headers: Sequence[SeriesHeader]) -> tuple[Identification, ...]:
    """What every series of one study shows, in the order given.

    Adds what only the study tells: a T1 without an agent that was acquired after a series with one is T1_GD; an agent
    that stands in every series (entered at registration) proves nothing about any single one; a FLAIR after contrast
    says so.
    """
    found = [identify(header) for header in headers]
    order = sorted((i for i in range(len(headers)) if _is_acquired(found[i])), key=lambda i: _when(headers[i]))
    with_agent = [i for i in order if words.contrast_agent(headers[i])]
    if len(with_agent) == len(order) > 1:
        return tuple(_agent_at_registration(f, header) for f, header in zip(found, headers, strict=True))
    for i in order[order.index(with_agent[0]) + 1 :] if with_agent else ():
        if not words.says_pre_contrast(headers[i]):
            found[i] = _after_agent(found[i], headers[i], headers[with_agent[0]])
    return tuple(found)


def _as_reformat(found: Identification, header: SeriesHeader) -> Identification:
    if not is_reformat(header):
        return found
    return replace(
        found, confidence=found.confidence * _REFORMAT_PENALTY, reasons=(*found.reasons, "a reformat of another series")
    )


def is_reformat(header: SeriesHeader) -> bool:
    return (
        any(token.upper() in _REFORMAT_TOKENS for token in header.image_type)
        or header.vendor.get("volume_calculation") == "MPR"
    )


def _with_contrast(found: Identification, header: SeriesHeader) -> Identification:
    if found.kind is not SequenceKind.T1:
        return found
    agent = words.contrast_agent(header)
    if words.says_pre_contrast(header):
        return replace(found, reasons=(*found.reasons, "the description says before contrast"))
    if agent is not None:
        return replace(found, kind=SequenceKind.T1_GD, reasons=(*found.reasons, "a contrast agent is stated"))
    if words.says_post_contrast(header):
        reasons = (*found.reasons, "the description says after contrast")
        return Identification(SequenceKind.T1_GD, found.confidence * 0.9, reasons)
    return found


def _agent_at_registration(found: Identification, header: SeriesHeader) -> Identification:
    """All series carry the agent: only the description tells before from after."""
    if found.kind is not SequenceKind.T1_GD or words.says_post_contrast(header):
        return found
    reason = "every series of the study states the agent, so it may have been entered before it was given"
    return replace(found, confidence=found.confidence * 0.6, reasons=(*found.reasons, reason))


def _after_agent(found: Identification, header: SeriesHeader, agent_header: SeriesHeader) -> Identification:
    where = f"acquired after series {agent_header.series_number}, which states a contrast agent"
    if found.kind is SequenceKind.T1 and not words.contrast_agent(header):
        return Identification(SequenceKind.T1_GD, found.confidence * 0.7, (*found.reasons, where))
    if found.kind is SequenceKind.FLAIR:
        return replace(found, reasons=(*found.reasons, where))
    return found


def _is_acquired(found: Identification) -> bool:
    return found.kind not in (SequenceKind.NOT_IMAGE, SequenceKind.DERIVED)


def _when(header: SeriesHeader) -> tuple[float, int]:
    clock = header.acquisition_time
    number = header.series_number if header.series_number is not None else 10**9
    seconds = clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6 if clock else float("inf")
    return seconds, number


# --- choosing ---


@dataclass(frozen=True)
class Choice:
    """The series to measure for one kind. passed_over: (series UID, why) of every other series of that kind."""

    series: Series
    reasons: tuple[str, ...]
    passed_over: tuple[tuple[str, str], ...] = ()


# Asked in this order; the first question that two series answer differently decides between them.
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
    """All series of a kind, best first: whole-brain coverage, original over derived, before contrast over after
    (FLAIR), usual b-value and trace over single directions (DWI), 3-D or axial, scanner-normalised, more slices,
    surer identification, then the later repeat (a sequence is repeated because the first one failed).
    """
    return tuple(sorted((s for s in series if s.identification.kind is kind), key=_answers, reverse=True))


def _answers(series: Series) -> tuple[float, ...]:
    h, kind = series.header, series.identification.kind
    tokens = {token.upper() for token in h.image_type}
    diffusion = kind in (SequenceKind.DWI, SequenceKind.ADC)
    return (
        float(_covers_brain(h)),
        float(diffusion or not (is_reformat(h) or "DERIVED" in tokens)),
        float(kind is not SequenceKind.FLAIR or not any("contrast agent" in r for r in series.identification.reasons)),
        float(kind is not SequenceKind.DWI or USUAL_B_RANGE[0] <= max(h.b_values, default=1000.0) <= USUAL_B_RANGE[1]),
        float(
            kind is not SequenceKind.DWI
            or bool(tokens & {"TRACEW", "TRACE", "ISO"})
            or h.vendor.get("isotropic") == "YES"
        ),
        float(h.mr_acquisition_type == "3D" or h.orientation in ("axial", "")),
        float("NORM" in tokens),
        float(_slices(h)),
        round(series.identification.confidence, 1),
        _when(h)[0] if h.acquisition_time else 0.0,
        float(h.series_number or 0),
    )


def _slices(h: SeriesHeader) -> int:
    """Slices of one volume: a series with several b-values holds several volumes."""
    volumes = max(len(h.b_values), 1)
    return max(h.frame_count, h.instance_count) // volumes


def _covers_brain(h: SeriesHeader) -> bool:
    """True unless the header's own figures show a slab thinner than the brain. Gaps between slices are not in the
    header: 20 % is allowed.
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
