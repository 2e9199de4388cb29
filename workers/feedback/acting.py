"""A reader's word about a decision in, a stored act out; an acknowledgement stops the escalation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triage.errors import Misconfigured
from workers.act_ports import LONGEST_NOTE, OF_A_FINDING, Act, ActKind, Acts
from workers.deliveries.escalation import acknowledge
from workers.delivery_ports import Decided, Deliveries


@dataclass(frozen=True)
class Said:
    """What a reader says. revision and stage: the decision that he sees; None: the newest. finding: a pattern."""

    kind: ActKind
    finding: str | None = None
    note: str = ""
    revision: int | None = None
    stage: str | None = None


@dataclass(frozen=True)
class Acting:
    """Takes what readers say."""

    acts: Acts
    deliveries: Deliveries

    def say(
        self, study_instance_uid: str, said: Said, versions: Sequence[Mapping[str, Any]], *, by: str, now: datetime
    ) -> Act:
        """Store it. Who acknowledges an older decision has not seen the newest: its escalation goes on.

        Args:
            versions: of StudyIndex.assessments, the newest last.

        Raises:
            Misconfigured: there is no such decision or finding, or the note is too long.
            Transient: the index is away.
        """
        version = _version(versions, said)
        if len(said.note) > LONGEST_NOTE:
            raise Misconfigured(f"note: at most {LONGEST_NOTE} characters")
        about = _patterns(version["document"], said)
        where = (study_instance_uid, version["revision"], version["stage"])
        act = Act(*where, said.kind, by, now, patterns=about, note=said.note.strip())
        if act.kind is ActKind.ACKNOWLEDGED and version is versions[-1]:
            acknowledge(self.deliveries, study_instance_uid, by=by, now=now, seen=Decided(*where))
        self.acts.add_act(act)
        return act


def _version(versions: Sequence[Mapping[str, Any]], said: Said) -> Mapping[str, Any]:
    fitting = [
        one for one in versions if said.revision in (None, one["revision"]) and said.stage in (None, one["stage"])
    ]
    if not fitting:
        raise Misconfigured("revision, stage: the study has no such decision")
    return fitting[-1]


def _patterns(document: Mapping[str, Any], said: Said) -> tuple[str, ...]:
    known = [finding["pattern"] for finding in document["findings"]]
    if said.kind in OF_A_FINDING:
        if said.finding is None or said.finding not in known:
            raise Misconfigured(f"finding: one of {', '.join(known) or 'none'} is needed")
        return (said.finding,)
    if said.finding is not None:
        raise Misconfigured(f"finding: only with {', '.join(OF_A_FINDING)}")
    return tuple(one["pattern"] for one in document["findings"] if one["presence"] == "present")
