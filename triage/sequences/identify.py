"""Series headers in; what each series shows out, with the reasons.

``rules.py`` holds the rules and their order, ``facts.py`` the facts that they ask for, ``vendors.py`` the names that
vendors use, ``words.py`` the words of descriptions. This file adds contrast: whether a T1 was acquired after an agent
was given can take the other series of the study to tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from triage.model import Identification, SequenceKind, SeriesHeader
from triage.sequences import words
from triage.sequences.contrast import ContrastSaid, said_of_contrast
from triage.sequences.facts import acquired_after, acquired_at, is_reformat, is_synthetic, on_one_calendar, timing
from triage.sequences.rules import ORDER

AFTER_CONTRAST = "after contrast"
SIDE_OPEN = "before or after contrast: the description does not tell, and no agent is stated"
_REFORMAT_PENALTY = 0.8  # a reformat shows the same contrast, resampled once more


def identify(header: SeriesHeader) -> Identification:
    """What one series shows, from its own header alone; T1 becomes T1_GD by its agent or its description.

    Returns:
        The kind, a confidence to rank by, and the reasons with the figures read. UNKNOWN when no rule recognises the
        header.
    """
    for rule in ORDER:
        found = rule(header)
        if found is not None:
            return _with_contrast(_as_synthetic(_as_reformat(found, header), header), header)
    return Identification(SequenceKind.UNKNOWN, 0.0, (f"{timing(header)}: no rule recognises this header",))


def identify_study(
    headers: Sequence[SeriesHeader], by_image: Mapping[str, Identification] | None = None
) -> tuple[Identification, ...]:
    """What every series of one study shows, in the order given. by_image: of those that were looked at, by their UID.

    Adds what only the study tells:

    - A T1 that states no agent is T1_GD when it was acquired after a series that states one. The order also settles
      what a description leaves open.
    - An agent in every series was entered at registration. It proves nothing about any single series.
    - A FLAIR after contrast states so in its reasons.
    """
    seen = by_image or {}
    found = [
        _with_contrast(seen[header.series_instance_uid], header)
        if header.series_instance_uid in seen
        else identify(header)
        for header in headers
    ]
    acquired = [i for i in range(len(headers)) if _is_acquired(found[i])]
    with_agent = [i for i in acquired if words.contrast_agent(headers[i])]
    if len(with_agent) == len(acquired) > 1:
        return tuple(_agent_at_registration(f, header) for f, header in zip(found, headers, strict=True))
    on_calendar = on_one_calendar(headers)
    with_agent.sort(key=lambda i: acquired_at(on_calendar[i]))
    agents = [headers[i] for i in with_agent]
    for i in acquired:
        found[i] = _beside_agents(found[i], headers[i], [one for one in agents if one is not headers[i]])
    return tuple(found)


def _beside_agents(found: Identification, header: SeriesHeader, agents: Sequence[SeriesHeader]) -> Identification:
    """By its place among the series that state an agent."""
    before = next((one for one in agents if acquired_after(header, one)), None)
    if before is not None and said_of_contrast(header) is not ContrastSaid.BEFORE:
        return _after_agent(found, header, before)
    if SIDE_OPEN in found.reasons and agents and all(acquired_after(one, header) for one in agents):
        return _before_agent(found, agents[0])
    return found


def _as_reformat(found: Identification, header: SeriesHeader) -> Identification:
    if not is_reformat(header):
        return found
    return replace(
        found, confidence=found.confidence * _REFORMAT_PENALTY, reasons=(*found.reasons, "a reformat of another series")
    )


def _as_synthetic(found: Identification, header: SeriesHeader) -> Identification:
    if found.kind not in (SequenceKind.FLAIR, SequenceKind.T1, SequenceKind.T2) or not is_synthetic(header):
        return found
    why = "synthetic: computed from a scan of several echoes and delays"
    return replace(found, confidence=found.confidence * _REFORMAT_PENALTY, reasons=(*found.reasons, why))


def _with_contrast(found: Identification, header: SeriesHeader) -> Identification:
    """A stated agent yields only to a description that says before contrast, and not after."""
    agent, said = words.contrast_agent(header) is not None, said_of_contrast(header)
    if found.kind is SequenceKind.FLAIR:
        stated = agent and said is not ContrastSaid.BEFORE
        why = "a contrast agent is stated" if stated else "the description says so"
        return _after(found, why) if stated or said is ContrastSaid.AFTER else found
    return _side_of_t1(found, said, agent=agent) if found.kind is SequenceKind.T1 else found


def _side_of_t1(found: Identification, said: ContrastSaid, *, agent: bool) -> Identification:
    if said is ContrastSaid.BEFORE:
        return replace(found, reasons=(*found.reasons, "the description says before contrast"))
    if agent:
        return replace(found, kind=SequenceKind.T1_GD, reasons=(*found.reasons, "a contrast agent is stated"))
    if said is ContrastSaid.AFTER:
        reasons = (*found.reasons, "the description says after contrast")
        return Identification(SequenceKind.T1_GD, found.confidence * 0.9, reasons)
    if said is ContrastSaid.OPEN:
        return replace(found, kind=SequenceKind.UNKNOWN, reasons=(*found.reasons, SIDE_OPEN))
    return found


def _agent_at_registration(found: Identification, header: SeriesHeader) -> Identification:
    """All series carry the agent: only the description tells before from after."""
    if found.kind is SequenceKind.FLAIR and said_of_contrast(header) is not ContrastSaid.AFTER:
        return replace(found, reasons=tuple(r for r in found.reasons if not r.startswith(AFTER_CONTRAST)))
    if found.kind is not SequenceKind.T1_GD or said_of_contrast(header) is ContrastSaid.AFTER:
        return found
    reason = "every series of the study states the agent, so it may have been entered before it was given"
    return replace(found, confidence=found.confidence * 0.6, reasons=(*found.reasons, reason))


def _before_agent(found: Identification, agent_header: SeriesHeader) -> Identification:
    where = f"acquired before series {agent_header.series_number}, the first that states a contrast agent"
    reasons = (*(r for r in found.reasons if r != SIDE_OPEN), where)
    return replace(found, kind=SequenceKind.T1, reasons=reasons)


def _after_agent(found: Identification, header: SeriesHeader, agent_header: SeriesHeader) -> Identification:
    where = f"acquired after series {agent_header.series_number}, which states a contrast agent"
    if SIDE_OPEN in found.reasons:
        found = replace(found, kind=SequenceKind.T1, reasons=tuple(r for r in found.reasons if r != SIDE_OPEN))
    if found.kind is SequenceKind.T1 and not words.contrast_agent(header):
        return Identification(SequenceKind.T1_GD, found.confidence * 0.7, (*found.reasons, where))
    if found.kind is SequenceKind.FLAIR and not is_after_contrast(found):
        return _after(found, where)
    return found


def _after(found: Identification, why: str) -> Identification:
    return replace(found, reasons=(*found.reasons, f"{AFTER_CONTRAST}: {why}"))


def is_after_contrast(found: Identification) -> bool:
    """Whether a FLAIR was acquired after a contrast agent was given, as far as the headers tell."""
    return any(reason.startswith(AFTER_CONTRAST) for reason in found.reasons)


def _is_acquired(found: Identification) -> bool:
    return found.kind not in (SequenceKind.NOT_IMAGE, SequenceKind.DERIVED)
