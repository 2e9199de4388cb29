"""An archive and its searches in memory: the fakes of workers.prior_ports and workers.priors.archive."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pydicom

from triage.errors import Rejected, Transient
from workers.files.intake import Part10Intake
from workers.moments import parse_date
from workers.prior_ports import PriorSearch, SearchState
from workers.prior_settings import PriorSource
from workers.priors.archive import (
    Archive,
    FoundInstance,
    FoundSeries,
    FoundStudy,
    SeriesFailedError,
    Taker,
    instances_of,
)


class FakeArchive:
    """Holds files. breaks_after: so many images are sent, then the connection breaks; None: it holds.

    answers: what it says about its studies, in place of the truth. unsendable: UIDs of objects and series that it does
    not send. says_classes: whether it states SOP classes. pushes: it sends nothing to the taker.
    """

    def __init__(self, files: Sequence[Path] = (), *, answers: Sequence[FoundStudy] | None = None) -> None:
        self.files = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in files}
        self.breaks_after: int | None = None
        self.answers, self.away, self.sent, self.asked = answers, False, 0, 0
        self.unsendable: set[str] = set()
        self.name = ""
        self.says_classes, self.pushes = True, False

    @contextmanager
    def __call__(self, source: PriorSource, _ends_s: float) -> Iterator[Archive]:
        self.name = source.ae_title or source.name
        if self.away:
            raise Transient("the archive is away")
        yield self

    def _heads(self) -> dict[str, Any]:
        return {uid: pydicom.dcmread(path, stop_before_pixels=True) for uid, path in self.files.items()}

    def studies(self, patient_id: str, *, until: date) -> list[FoundStudy]:
        self.asked += 1
        if self.answers is not None:
            return list(self.answers)
        found = {
            str(head.StudyInstanceUID): FoundStudy(
                str(head.StudyInstanceUID),
                parse_date(head.StudyDate),
                head.StudyTime,
                head.PatientID,
                birth_date=parse_date(head.PatientBirthDate),
                sex=head.PatientSex,
                modalities=("MR",),
            )
            for head in self._heads().values()
            if fnmatchcase(head.PatientID, patient_id)
        }
        return list(found.values())

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        heads = [head for head in self._heads().values() if head.StudyInstanceUID == study_instance_uid]
        return [FoundSeries(uid, "MR") for uid in sorted({str(head.SeriesInstanceUID) for head in heads})]

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> list[FoundInstance]:
        heads = self._heads().items()
        return instances_of(
            (uid, str(head.SOPClassUID) if self.says_classes else "")
            for uid, head in heads
            if head.SeriesInstanceUID == series_instance_uid
        )

    def fetch(self, study_instance_uid: str, series_instance_uid: str, instance: str | None, taker: Taker) -> None:
        asked = [one.sop_instance_uid for one in self.instances(study_instance_uid, series_instance_uid)]
        wanted = asked if instance is None else [instance]
        sendable = [uid for uid in wanted if not {uid, series_instance_uid} & self.unsendable]
        for uid in sendable:
            if self.breaks_after is not None and self.sent >= self.breaks_after:
                raise Transient("the archive broke off")
            if not self.pushes:
                self._send(uid, taker)
            self.sent += 1
        if not sendable:
            raise SeriesFailedError("the archive answers the retrieval with status 0xA702")

    def _send(self, uid: str, taker: Taker) -> None:
        try:
            with Part10Intake(taker.begin, sender=self.name) as intake:
                intake.write(self.files[uid].read_bytes())
                taker.finish(intake.spool)
        except Rejected as refusal:
            taker.refused(refusal)


class FakePriorSearches:
    """prior_ports.PriorSearches in a dictionary."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], PriorSearch] = {}
        self._fetched: dict[str, set[str]] = {}
        self._leases: dict[tuple[str, str], tuple[str, datetime]] = {}

    def plan(self, searches: Sequence[PriorSearch]) -> None:
        for one in searches:
            self._all.setdefault(_key(one), one)

    def plan_again(self, search: PriorSearch, *, now: datetime) -> bool:
        known = self._all.get(_key(search))
        _, until = self._leases.get(_key(search), ("", now))
        if known is None or (until > now and not (known.asked_at is not None and known.asked_at > now)):
            return False
        self._end(replace(search, state=SearchState.WAITING, finished_at=None, asked_at=known.asked_at))
        return True

    def take(self, *, owner: str, now: datetime, for_s: float, without: Collection[str] = ()) -> PriorSearch | None:
        set_back = {key for key, one in self._all.items() if one.asked_at is not None and one.asked_at > now}
        leased = [key for key, (_, until) in self._leases.items() if until > now and key not in set_back]
        running = {self._all[key].patient for key in leased}
        waiting = [one for one in self._all.values() if one.state is SearchState.WAITING]
        due = [one for one in waiting if one.due_at <= now or one.asked_at is None or _key(one) in set_back]
        free = [one for one in due if one.patient not in running and one.source not in without]
        first = min(free, key=lambda one: (one.due_at, one.position, *_key(one)), default=None)
        if first is None:
            return None
        self._leases[_key(first)] = (owner, now + timedelta(seconds=for_s))
        return self._put(replace(first, attempts=first.attempts + 1, asked_at=now))

    def finish(self, search: PriorSearch, state: SearchState, answer: Mapping[str, Any], *, now: datetime) -> None:
        done = {"finished_at": now, "failure": None}
        self._end(replace(self._all[_key(search)], state=state, answer=answer, **done))
        others = [one for one in self.of_study(search.study_instance_uid) if one.state is SearchState.WAITING]
        for one in others if state is SearchState.FOUND else ():
            self._end(replace(one, state=SearchState.NOT_NEEDED, finished_at=now))

    def put_off(self, search: PriorSearch, *, failure: str, answer: Mapping[str, Any], due_at: datetime) -> None:
        self._end(replace(self._all[_key(search)], failure=failure, answer=answer, due_at=due_at))

    def give_up(self, search: PriorSearch, *, failure: str, answer: Mapping[str, Any], now: datetime) -> None:
        gone = replace(self._all[_key(search)], state=SearchState.GAVE_UP, failure=failure)
        self._end(replace(gone, answer=answer, finished_at=now))

    def release(self, owner: str, *, now: datetime) -> int:
        mine = [key for key, (name, _) in self._leases.items() if name == owner]
        for key in mine:
            self._end(replace(self._all[key], due_at=now))
        return len(mine)

    def of_study(self, study_instance_uid: str) -> list[PriorSearch]:
        found = [one for one in self._all.values() if one.study_instance_uid == study_instance_uid]
        return sorted(found, key=lambda one: (one.position, one.source))

    def of_studies(self, study_instance_uids: Sequence[str]) -> dict[str, list[PriorSearch]]:
        return {uid: found for uid in study_instance_uids if (found := self.of_study(uid))}

    def note_fetched(self, study_instance_uid: str, sender: str) -> None:
        self._fetched.setdefault(study_instance_uid, set()).add(sender)

    def fetched(self, study_instance_uids: Sequence[str]) -> set[str]:
        return set(self._fetched) & set(study_instance_uids)

    def _put(self, one: PriorSearch) -> PriorSearch:
        self._all[_key(one)] = one
        return one

    def _end(self, one: PriorSearch) -> None:
        self._leases.pop(_key(one), None)
        self._put(one)


def _key(one: PriorSearch) -> tuple[str, str]:
    return one.study_instance_uid, one.source


class FakeOrderPriorities:
    """prior_ports.OrderPriorities in a dictionary."""

    def __init__(self, **known: str) -> None:
        self.known = dict(known)

    def put_priority(self, study_instance_uid: str, priority: str, *, now: datetime) -> None:
        self.known[study_instance_uid] = priority

    def priorities(self, study_instance_uids: Sequence[str]) -> dict[str, str]:
        return {uid: self.known[uid] for uid in study_instance_uids if uid in self.known}
