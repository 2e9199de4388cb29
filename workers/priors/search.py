"""One search in, its answer out: an archive is asked for studies before the infusion, and what is needed of them is
retrieved.

Nothing is retrieved that is stored already: a search that broke off goes on with what is missing. Which series are
needed is read from the header of one image, not from a description.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from triage.errors import Rejected, Transient
from triage.identity import SameId, compare_identity, same_form
from triage.model import Patient, SequenceKind
from workers.audit.messages import RemoteNode, Transfer
from workers.audit.spool import Auditor, NoAudit
from workers.dicom_status import CLASS_NOT_SUPPORTED
from workers.files.store import FileStore
from workers.identity_events import Change, IdentityEvent, IdentityRefusedError
from workers.log import get_logger, study_hash
from workers.ports import InstanceRow, PatientKey, StudyIndex, StudyRow
from workers.prior_ports import PriorSearch, SearchState
from workers.prior_settings import PriorSource, PriorsSettings
from workers.priors.archive import Archive, FoundStudy
from workers.priors.needs import Window, window_of
from workers.priors.patient_ids import asked_as, other_spellings
from workers.priors.taking import AnotherPatientError, StoreTaker, TooMuchError

log = get_logger(__name__)

NEEDED = frozenset(
    (
        SequenceKind.FLAIR,
        SequenceKind.T1,
        SequenceKind.T1_GD,
        SequenceKind.T2,
        SequenceKind.DWI,
        SequenceKind.ADC,
    )
)
MR = "MR"
MOST_SERIES = 200  # of one study; a brain study has 10 to 40
PROBE_BYTES = 256 << 20  # largest object whose header is looked at
PUSHED_WITHIN_S = 30.0  # an image that the archive sent to our listener is in the index by then
LOOK_S = 0.1
SAID_CANDIDATES = 20  # in the answer that is shown


@dataclass(frozen=True)
class SearchParts:
    """What a search works with. open_archive: connects; kind_of: what the series of a file shows, from its header."""

    index: StudyIndex
    store: FileStore
    settings: PriorsSettings
    latest_days: int
    open_archive: Callable[[PriorSource], AbstractContextManager[Archive]]
    kind_of: Callable[[Path], SequenceKind]
    scratch: Path
    audited: Auditor = field(default_factory=NoAudit)
    stopping: Callable[[], bool] = lambda: False


@dataclass
class ArchiveAnswer:
    """What an archive said. candidates: JSON types, one for each study it named. patient_id: that it was asked for."""

    patient_id: str = ""
    studies: int = 0
    candidates: list[dict[str, Any]] = field(default_factory=list)
    images: int = 0

    def document(self) -> dict[str, Any]:
        """JSON types."""
        said = {"studies": self.studies, "images": self.images, "candidates": self.candidates[:SAID_CANDIDATES]}
        return {"patient_id": self.patient_id, **said} if self.patient_id else said


def run_search(search: PriorSearch, source: PriorSource, parts: SearchParts, answer: ArchiveAnswer) -> SearchState:
    """Ask one archive for one follow-up; ``answer`` is filled as far as it comes.

    Raises:
        Transient: the archive, the index or the store is away; to be tried again.
    """
    row = parts.index.study(search.study_instance_uid)
    window = None if row is None else window_of(row, parts.index, latest_days=parts.latest_days)
    if row is None or window is None:
        return SearchState.NOT_NEEDED
    deadline_s = time.monotonic() + parts.settings.time_limit_s
    with parts.open_archive(source) as archive:
        asked = asked_as(source, row)
        answer.patient_id = asked.there.patient_id if asked.mapped else ""
        found = archive.studies(asked.there.patient_id, until=window.last)
        wanted = _sorted_out(found, row, window, source, answer, parts.index.same_id)
        if not wanted:
            more = _otherwise_spelled(archive, asked.there.patient_id, window, parts.index.same_id, found)
            wanted = _sorted_out(more, row, window, source, answer, parts.index.same_id)
            found = [*found, *more]
        answer.studies = len(found)
        log.info("prior.asked", study=study_hash(row.study_instance_uid), source=source.name, studies=len(found))
        for one, said in wanted[: parts.settings.max_studies]:
            if _StudyRetrieval(archive, one, row, source, parts, deadline_s).run(said, answer):
                return SearchState.FOUND
        for _, said in wanted[parts.settings.max_studies :]:
            said["said"] = "not retrieved: priors.max_studies are retrieved already"
    return SearchState.NOTHING


def _otherwise_spelled(
    archive: Archive, patient_id: str, window: Window, same_id: SameId, known: Iterable[FoundStudy]
) -> list[FoundStudy]:
    """Studies of the archive whose patient ID is another spelling of this one."""
    seen = {one.study_instance_uid for one in known}
    found: dict[str, FoundStudy] = {}
    for spelling in other_spellings(patient_id, same_id):
        for one in archive.studies(spelling, until=window.last):
            if one.study_instance_uid not in seen and same_form(one.patient_id, patient_id):
                found[one.study_instance_uid] = one
    return list(found.values())


def _sorted_out(
    found: Iterable[FoundStudy],
    row: StudyRow,
    window: Window,
    source: PriorSource,
    answer: ArchiveAnswer,
    same_id: SameId,
) -> list[tuple[FoundStudy, dict[str, Any]]]:
    """The studies worth retrieving, the nearest before the infusion first, each with its place in the answer."""
    wanted = []
    for one in sorted(found, key=lambda f: (str(f.study_date), f.study_time, f.study_instance_uid), reverse=True):
        why = why_not(one, row, window, source, same_id)
        said = {
            "study_instance_uid": one.study_instance_uid,
            "study_date": None if one.study_date is None else one.study_date.isoformat(),
            "said": why or "not retrieved yet",
        }
        answer.candidates.append(said)
        if why is None:
            wanted.append((one, said))
    return wanted


def why_not(  # noqa: PLR0911 - one return per reason
    found: FoundStudy, row: StudyRow, window: Window, source: PriorSource, same_id: SameId = SameId.CONFIRMED
) -> str | None:
    """Why a study of the archive is not retrieved; None: it is. States no identity."""
    if found.study_instance_uid == row.study_instance_uid:
        return "the follow-up itself"
    mismatch = _mismatch(found.patient_id or row.patient_id, found, row, source, same_id)
    if mismatch is not None:
        return f"identity mismatch: {mismatch}"
    if found.modalities and MR not in found.modalities:
        return "not an MR study"
    if found.study_date is None:
        return "its study date is unknown"
    if found.study_date > window.last:
        return "after the infusion" if window.infusion_date else "not earlier than the follow-up"
    if found.study_date < window.first:
        return "too old to compare with"
    if found.study_date == row.study_date and not (found.study_time and found.study_time < row.study_time):
        return "not earlier than the follow-up"
    return None


def _mismatch(
    patient_id: str, said: FoundStudy | InstanceRow, row: StudyRow, source: PriorSource, same_id: SameId
) -> str | None:
    issuer = source.issuers.get(said.issuer.strip(), said.issuer.strip())
    if asked_as(source, row).is_there(patient_id, said.issuer):
        patient_id, issuer = row.patient_id, row.issuer
    theirs = Patient(patient_id, issuer, said.birth_date, said.sex)
    return compare_identity(theirs, row, same_id).mismatch


class _StudyRetrieval:
    """One study of an archive on its way into the store."""

    def __init__(
        self,
        archive: Archive,
        found: FoundStudy,
        row: StudyRow,
        source: PriorSource,
        parts: SearchParts,
        deadline_s: float,
    ) -> None:
        self._archive, self._uid, self._row, self._source = archive, found.study_instance_uid, row, source
        self._asked = asked_as(source, row)
        self._parts, self._deadline_s = parts, deadline_s
        self._bytes = 0

    def run(self, said: dict[str, Any], answer: ArchiveAnswer) -> bool:
        """Whether the store holds a FLAIR of the study afterwards. What happened is written into ``said``."""
        kinds: list[str] = []
        try:
            for series in self._archive.series(self._uid)[:MOST_SERIES]:
                if series.modality not in (MR, ""):
                    continue
                kind, images = self._series(series.series_instance_uid)
                answer.images += images
                if kind in NEEDED:
                    kinds.append(kind.value)
        except AnotherPatientError as error:
            log.error("prior.of_another_patient", study=study_hash(self._uid), source=self._source.name)
            said["said"] = f"refused: {error}"
            return False
        except TooMuchError as error:
            said["said"] = f"not complete: {error}"
            return SequenceKind.FLAIR.value in kinds
        except Transient:
            said["said"] = "not complete yet: the archive broke off, or the time was over"
            raise
        said["kinds"] = sorted(kinds)
        has_flair = SequenceKind.FLAIR.value in kinds
        said["said"] = "retrieved" if has_flair else "no FLAIR among its series"
        return has_flair

    def _series(self, series_uid: str) -> tuple[SequenceKind, int]:
        """(what the series shows, how many images came)."""
        have = {i.sop_instance_uid: i for i in self._stored() if i.series_instance_uid == series_uid}
        self._check_rows(have.values())
        names = self._archive.instances(self._uid, series_uid)
        if not names:
            return SequenceKind.UNKNOWN, 0
        middle = names[len(names) // 2]
        stored = next(iter(have.values()), None)
        kind = self._probe(series_uid, middle) if stored is None else self._kind(self._parts.store.path(stored))
        missing = [name for name in names if name not in have]
        if kind not in NEEDED or not missing:
            return kind, 0
        whole = len(missing) == len(names) or (self._archive.pushes and len(missing) > 1)
        for instance in [None] if whole else missing:
            self._fetch(series_uid, instance)
        left = self._wait_for(missing) if self._archive.pushes else self._missing(missing)
        if left:
            raise Transient(f"{len(left)} of {len(names)} images of a series did not come")
        return kind, len(missing)

    def _probe(self, series_uid: str, instance: str) -> SequenceKind:
        """The kind of a series of which nothing is stored; its patient is checked before anything is kept."""
        if self._archive.pushes:
            self._archive.fetch(self._uid, series_uid, instance, _NothingComes())
            self._wait_for([instance])
            rows = [row for row in self._stored() if row.sop_instance_uid == instance]
            self._check_rows(rows)
            self._say_whose()
            return self._kind(self._parts.store.path(rows[0])) if rows else SequenceKind.UNKNOWN
        apart = FileStore(self._parts.scratch, max_object_bytes=PROBE_BYTES, durable=False)
        taker = self._taker(apart, record=False)
        try:
            self._archive.fetch(self._uid, series_uid, instance, taker)
            return self._kind(taker.taken[0].path) if taker.taken else SequenceKind.UNKNOWN
        finally:
            for path in list(apart.all_files()):
                path.unlink(missing_ok=True)

    def _fetch(self, series_uid: str, instance: str | None) -> None:
        taker = self._taker(self._parts.store, record=True)
        try:
            self._archive.fetch(self._uid, series_uid, instance, taker)
        finally:
            taker.flush()
            self._say_whose()
            self._bytes += sum(one.size_bytes for one in taker.taken)
            self._audit([one.row for one in taker.taken])
        if self._archive.pushes:
            self._bytes = sum(row.size_bytes for row in self._stored())
            if self._bytes > self._parts.settings.max_study_bytes:
                raise TooMuchError("the study has more bytes than priors.max_study_bytes")

    def _say_whose(self) -> None:
        """Images under the ID of the archive are those of the patient of the follow-up: the site says so."""
        stored = self._parts.index.study(self._uid)
        if stored is None or stored.patient_id == self._row.patient_id:
            return
        theirs = PatientKey(stored.patient_id, stored.issuer)
        if not self._asked.is_there(theirs.patient_id, theirs.issuer):
            return
        source = f"patient_ids of archive {self._source.name}"
        said = IdentityEvent(Change.CORRECT, theirs, self._asked.here, source, datetime.now(UTC), self._uid)
        try:
            self._parts.index.record_identity(said)
        except IdentityRefusedError as error:
            raise AnotherPatientError("what is known of its patient contradicts priors.sources.patient_ids") from error

    def _audit(self, rows: list[InstanceRow]) -> None:
        if not rows:  # nothing came, or it went to the listener, which reports it
            return
        peer = RemoteNode(self._source.ae_title or self._source.name, self._source.host or self._source.url or "")
        classes = Counter(row.sop_class_uid for row in rows)
        transfer = Transfer(self._uid, rows[0].patient_id, rows[0].accession_number, classes)
        self._parts.audited.transferred(peer, transfer, complete=True)

    def _taker(self, store: FileStore, *, record: bool) -> StoreTaker:
        return StoreTaker(
            store,
            self._uid,
            record=self._parts.index.record_instances if record else lambda _: None,
            check=self._check,
            left_bytes=self._parts.settings.max_study_bytes - self._bytes,
            deadline_s=self._deadline_s,
            stopping=self._parts.stopping,
        )

    def _check(self, row: InstanceRow) -> None:
        mismatch = _mismatch(
            row.patient_id or self._row.patient_id, row, self._row, self._source, self._parts.index.same_id
        )
        if mismatch is not None:
            raise AnotherPatientError(f"an image contradicts the follow-up ({mismatch})")

    def _check_rows(self, rows: Iterable[InstanceRow]) -> None:
        for row in rows:
            self._check(row)

    def _kind(self, path: Path) -> SequenceKind:
        return self._parts.kind_of(path)

    def _stored(self) -> list[InstanceRow]:
        return self._parts.index.instances(self._uid)

    def _missing(self, names: Iterable[str]) -> list[str]:
        have = {row.sop_instance_uid for row in self._stored()}
        return [name for name in names if name not in have]

    def _wait_for(self, names: list[str]) -> list[str]:
        """What our own listener has not taken within the time."""
        until_s = min(time.monotonic() + PUSHED_WITHIN_S, self._deadline_s)
        while (left := self._missing(names)) and time.monotonic() < until_s and not self._parts.stopping():
            time.sleep(LOOK_S)
        return left


class _NothingComes:
    """Of a retrieval whose objects go to our listener."""

    def begin(self, announced: object) -> Any:
        raise Rejected(CLASS_NOT_SUPPORTED, "not_expected", f"the archive sends us {type(announced).__name__}")

    def finish(self, spool: object) -> Any:
        raise Rejected(CLASS_NOT_SUPPORTED, "not_expected", f"the archive sends us {type(spool).__name__}")
