"""What was said about who a patient is, in; the identity that is in force, out. Pure; the index and its fake use it.

A merge says that two patient IDs are one person. It changes no image and no earlier statement: the identity of a study
is computed from what its images state and from the events, so that a split undoes a merge completely.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from triage.identity import SameId, id_form, is_placeholder, issuer_form, one_person, same_form, stated_sex
from workers.identities import PatientKey, StudyFacts

OF_BIRTH_DATE = "birth date or sex of the patient of this study corrected on "
MERGED_INTO = " merged into "


class Change(StrEnum):
    """MERGE: ``old`` is ``new`` from now on. SPLIT: that does not hold any more.

    CORRECT: the images of one study carry ``old`` and belong to ``new``. REJECT: they do not.
    """

    MERGE = "merge"
    SPLIT = "split"
    CORRECT = "correct"
    REJECT = "reject"


@dataclass(frozen=True)
class IdentityEvent:
    """One statement. source: who made it. at: when this node heard of it, UTC.

    study_instance_uid, birth_date, sex: of CORRECT and REJECT; None or empty: not stated.
    """

    change: Change
    old: PatientKey
    new: PatientKey
    source: str
    at: datetime
    study_instance_uid: str = ""
    birth_date: date | None = None
    sex: str = ""

    @property
    def sentence(self) -> str:
        """What the history of a patient says. It names patient IDs: see ``without_ids``."""
        day = self.at.date().isoformat()
        if self.change is Change.CORRECT and self.old == self.new:
            return f"{OF_BIRTH_DATE}{day}"
        words = {
            Change.MERGE: f"patient {_name(self.old)}{MERGED_INTO}{_name(self.new)} on {day}",
            Change.SPLIT: f"patient {_name(self.old)} split from {_name(self.new)} on {day}",
            Change.CORRECT: f"patient {_name(self.old)} of this study corrected to {_name(self.new)} on {day}",
            Change.REJECT: f"the correction of this study to patient {_name(self.new)} was rejected on {day}",
        }
        return words[self.change]


def without_ids(said: str) -> str:
    """A sentence about an identity for the reasons of a decision, which leave the node in subjects of mails, in labels
    and in pictures.

    Args:
        said: ``IdentityEvent.sentence`` of a merge or a correction, as it is stored with a decision.
    """
    if said.startswith(OF_BIRTH_DATE):
        return said
    day = said.rpartition(" on ")[2]
    return f"the patient's identity was {'merged' if MERGED_INTO in said else 'corrected'} on {day}"


class IdentityRefusedError(Exception):
    """The statement contradicts what is in force; the text says what and what to do first."""


def to_json(event: IdentityEvent) -> dict[str, Any]:
    """JSON types only."""
    birth_date = None if event.birth_date is None else event.birth_date.isoformat()
    return asdict(event) | {"change": event.change.value, "at": event.at.isoformat(), "birth_date": birth_date}


def from_json(read: Mapping[str, Any]) -> IdentityEvent:
    """The event that was written by ``to_json``.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    birth_date = read.get("birth_date")
    return IdentityEvent(
        change=Change(read["change"]),
        old=PatientKey(**read["old"]),
        new=PatientKey(**read["new"]),
        source=str(read["source"]),
        at=datetime.fromisoformat(read["at"]),
        study_instance_uid=str(read.get("study_instance_uid", "")),
        birth_date=None if birth_date is None else date.fromisoformat(birth_date),
        sex=str(read.get("sex", "")),
    )


class Persons:
    """Who is who, by the events.

    Args:
        events: oldest first. Those about the IDs at hand, and about every ID that they are connected with.
        shared: patient IDs that two issuers use. Such an ID means a person only with its issuer.
        spelled: patient ID as images state it -> the spelling of it that a merge names.
        stated: what the images of studies state.
    """

    def __init__(
        self,
        events: Sequence[IdentityEvent],
        shared: Collection[str] = (),
        spelled: Mapping[str, str] | None = None,
        stated: Iterable[StudyFacts] = (),
    ) -> None:
        self.events = tuple(events)
        self._spelled = dict(spelled or {})
        self._shared = frozenset(shared)
        self._merges = _in_force(events)
        self._corrections = _corrections(events)
        self._stated: defaultdict[str, set[tuple[str, date | None, str]]] = defaultdict(set)  # by patient ID
        for one in stated:
            self._stated[one.patient_id].add((issuer_form(one.issuer), one.birth_date, stated_sex(one)))

    @property
    def patient_ids(self) -> frozenset[str]:
        """Every patient ID that an event names."""
        return frozenset(one for event in self.events for one in (event.old.patient_id, event.new.patient_id))

    @property
    def merges(self) -> list[IdentityEvent]:
        """Those in force, by date."""
        return sorted(self._merges.values(), key=lambda one: (one.at, one.old))

    def in_force(self, key: PatientKey) -> PatientKey:
        """The ID that stands for the person now; the key itself when nothing was said about it."""
        passed = {key}
        while (merge := self._merge_of(key)) is not None:
            key = PatientKey(merge.new.patient_id, merge.new.issuer or key.issuer)
            if key in passed:
                return key
            passed.add(key)
        return key

    def merges_of(self, key: PatientKey) -> list[IdentityEvent]:
        """The merges in force among the IDs of the person, by date."""
        person = self.in_force(key)
        return [one for one in self.merges if _same(self.in_force(one.old), person)]

    def answer_about(self, study_instance_uid: str) -> IdentityEvent | None:
        """What was last said about the correction of a study."""
        return self._corrections.get(study_instance_uid)

    def correction_of(self, study_instance_uid: str) -> IdentityEvent | None:
        """The accepted correction of a study; None: there is none."""
        found = self._corrections.get(study_instance_uid)
        return found if found is not None and found.change is Change.CORRECT else None

    def facts_in_force(self, study_instance_uid: str, stated: StudyFacts) -> StudyFacts:
        """The identity of a study whose images state ``stated``.

        A merge says who the patient is, whatever birth date and sex an emergency admission gave to the old ID: what
        images under the ID in force state takes their place.
        """
        found = self.correction_of(study_instance_uid)
        if found is not None:
            stated = replace(
                stated,
                patient_id=found.new.patient_id,
                issuer=found.new.issuer,
                birth_date=found.birth_date or stated.birth_date,
                sex=found.sex or stated.sex,
            )
        if not stated.patient_id:
            return stated
        key = self.in_force(PatientKey(stated.patient_id, stated.issuer.strip()))
        if key == PatientKey(stated.patient_id, stated.issuer.strip()):
            return stated
        birth_date, sex = self._born_and_sex(key, stated)
        birth_date, sex = (birth_date, sex) if found is None else (found.birth_date or birth_date, found.sex or sex)
        return replace(stated, patient_id=key.patient_id, issuer=key.issuer, birth_date=birth_date, sex=sex)

    def _born_and_sex(self, key: PatientKey, stated: StudyFacts) -> tuple[date | None, str]:
        """Of a study that is merged into the person of ``key``. What contradicts two images of that person which
        contradict each other is not known."""
        issuer = issuer_form(key.issuer)
        own = [said for said in self._stated.get(key.patient_id, ()) if len({said[0], issuer} - {""}) < 2]
        births, sexes = {born for _, born, _ in own if born}, {sex for _, _, sex in own if sex}
        birth_date, sex = stated.birth_date, stated.sex
        if births and birth_date not in births:
            birth_date = next(iter(births)) if len(births) == 1 else None
        if sexes and stated_sex(stated) not in sexes:
            sex = next(iter(sexes)) if len(sexes) == 1 else ""
        return birth_date, sex

    def known_as(self, event: IdentityEvent) -> IdentityEvent | None:
        """The event that said the same and holds; None: this one is news.

        Raises:
            IdentityRefusedError: it must not be taken over: a circle, a second target, a split of what is not merged.
        """
        if event.change in (Change.CORRECT, Change.REJECT):
            return _same_correction(self._corrections.get(event.study_instance_uid), event)
        if not event.old.patient_id or not event.new.patient_id:
            raise IdentityRefusedError("an empty patient ID is nobody")
        if event.change is Change.SPLIT:
            known = self._merges.get(event.old)
            if known is None or known.new != event.new:
                raise IdentityRefusedError(f"{_name(event.old)} is not merged into {_name(event.new)}")
            return None
        return self._known_merge(event)

    def _known_merge(self, event: IdentityEvent) -> IdentityEvent | None:
        if event.old == event.new:
            raise IdentityRefusedError("both IDs are the same")
        if event.old.patient_id in self._shared and not event.old.issuer:
            raise IdentityRefusedError(f"two issuers use the ID {event.old.patient_id}: name the issuer")
        if is_placeholder(event.old.patient_id) or is_placeholder(event.new.patient_id):
            raise IdentityRefusedError("the ID is a placeholder and names no patient")
        known = self._merges.get(event.old)
        if known is not None:
            if known.new == event.new:
                return known
            raise IdentityRefusedError(f"{known.sentence}: split that first")
        back = self._merge_of(event.new)
        if _same(self.in_force(event.new), event.old) and not (back is not None and _turns_round(event, back)):
            said = "" if back is None else f": {back.sentence}"
            raise IdentityRefusedError(f"the merge would be a circle{said}")
        return None

    def _merge_of(self, key: PatientKey) -> IdentityEvent | None:
        """The merge that applies to the key. An issuer that only one side states does not tell two people apart,
        unless two issuers use the ID."""
        if key.patient_id in self._shared:
            return self._merges.get(key) if key.issuer else None
        if key in self._merges:
            return self._merges[key]
        key = PatientKey(self._spelled.get(key.patient_id, key.patient_id), key.issuer)
        found = [one for old, one in self._merges.items() if _same(old, key)]
        return found[0] if len(found) == 1 else None


def persons_among(events: Sequence[IdentityEvent], stated: Sequence[StudyFacts], tolerance: SameId) -> Persons:
    """Who is who, where the images of studies state this.

    What merges two IDs states no birth date. An ID that images spell in another way is meant when everybody whose ID
    has that form may be one person, and no merge names the very spelling.

    Args:
        stated: of every study whose patient ID has the form of one that an event names.
    """
    given: dict[str, set[str]] = {}
    of_form: dict[str, list[StudyFacts]] = {}
    for one in stated:
        given.setdefault(one.patient_id, set()).add(issuer_form(one.issuer))
        of_form.setdefault(id_form(one.patient_id), []).append(one)
    shared = [patient_id for patient_id, issuers in given.items() if len(issuers - {""}) > 1]
    merged = {key.patient_id for key in _in_force(events)}
    spelled = {}
    for patient_id in set(given) - merged:
        meant = sorted(one for one in merged if same_form(one, patient_id))
        if len(meant) == 1 and tolerance is not SameId.EXACT and one_person(of_form[id_form(patient_id)]):
            spelled[patient_id] = meant[0]
    return Persons(events, shared, spelled, stated)


def events_in_turn(recorded: Sequence[IdentityEvent], kept: Sequence[IdentityEvent]) -> list[IdentityEvent]:
    """What was recorded, and of the kept events those that say more, each where it was said.

    Nothing is left out of ``recorded``, and its order stays. A clock that was set back may give a split an earlier time
    than its merge: it comes right after it.

    Args:
        kept: events that are not among ``recorded``.
    """
    found: list[IdentityEvent] = []
    merges: dict[PatientKey, IdentityEvent] = {}
    corrections: dict[str, IdentityEvent] = {}
    early: dict[tuple[PatientKey, PatientKey], IdentityEvent] = {}  # splits that no merge preceded so far

    def take(event: IdentityEvent) -> None:
        found.append(event)
        _put_merge(merges, event)
        if event.change in (Change.CORRECT, Change.REJECT):
            corrections[event.study_instance_uid] = event
        split = early.pop((event.old, event.new), None) if event.change is Change.MERGE else None
        if split is not None:
            take(split)

    def is_news(event: IdentityEvent) -> bool:
        if event.change in (Change.CORRECT, Change.REJECT):
            return _same_correction(corrections.get(event.study_instance_uid), event) is None
        merge = merges.get(event.old)
        if event.change is Change.MERGE:
            return merge is None
        return merge is not None and merge.new == event.new

    def replay(event: IdentityEvent) -> None:
        if is_news(event):
            take(event)
        elif event.change is Change.SPLIT:
            early[event.old, event.new] = event

    left = deque(sorted(kept, key=lambda one: one.at))
    latest = None
    for event in recorded:
        latest = event.at if latest is None else max(latest, event.at)
        while left and left[0].at < latest:
            replay(left.popleft())
        take(event)
    for event in left:
        replay(event)
    return found


def connected_ids(events: Iterable[IdentityEvent], patient_ids: Collection[str]) -> frozenset[str]:
    """These patient IDs, and every one that an event connects with them."""
    said = [{one.old.patient_id, one.new.patient_id} for one in events]
    found = set(patient_ids)
    while more := [pair for pair in said if pair & found and not pair <= found]:
        found |= set().union(*more)
    return frozenset(found)


def _in_force(events: Sequence[IdentityEvent]) -> dict[PatientKey, IdentityEvent]:
    found: dict[PatientKey, IdentityEvent] = {}
    for event in events:
        _put_merge(found, event)
    return found


def _put_merge(found: dict[PatientKey, IdentityEvent], event: IdentityEvent) -> None:
    if event.change is Change.MERGE:
        found[event.old] = event
        if event.new in found and _turns_round(event, found[event.new]):
            del found[event.new]
    elif event.change is Change.SPLIT:
        found.pop(event.old, None)


def _turns_round(event: IdentityEvent, merge: IdentityEvent) -> bool:
    """Whether one merges back what the other merged: the first was said in the wrong direction, and the last counts."""
    return (event.old, event.new) == (merge.new, merge.old)


def _corrections(events: Sequence[IdentityEvent]) -> dict[str, IdentityEvent]:
    """Study UID -> what was last said."""
    said = (Change.CORRECT, Change.REJECT)
    return {one.study_instance_uid: one for one in events if one.change in said}


def _same_correction(known: IdentityEvent | None, event: IdentityEvent) -> IdentityEvent | None:
    """What was last said about a study, when the event says the very same."""
    return known if known is not None and replace(known, at=event.at, source=event.source) == event else None


def _same(one: PatientKey, other: PatientKey) -> bool:
    issuers = {issuer_form(one.issuer), issuer_form(other.issuer)}
    return one.patient_id == other.patient_id and (len(issuers) == 1 or "" in issuers)


def _name(key: PatientKey) -> str:
    return f"{key.patient_id} ({key.issuer})" if key.issuer else key.patient_id
