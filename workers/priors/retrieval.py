"""One study of an archive in, the series of it that are needed in the store: what came, and what could not be had.

Nothing is retrieved that is stored already. Which series are needed is read from the header of one image, not from a
description. A series that fails costs only itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from triage.errors import IcanseeError, Rejected, Transient
from triage.model import SequenceKind
from workers.audit.messages import RemoteNode, Transfer
from workers.dicom_status import CLASS_NOT_SUPPORTED
from workers.files.store import FileStore
from workers.identities import GivenAnswer, ObjectAnswer
from workers.identity_events import Change, IdentityEvent, IdentityRefusedError
from workers.log import get_logger, study_hash
from workers.measured_classes import is_measured
from workers.ports import InstanceRow, PatientKey, StudyRow
from workers.prior_settings import PriorSource
from workers.priors.archive import TIME_IS_OVER, Archive, FoundStudy, SeriesFailedError
from workers.priors.parts import ArchiveAnswer, SearchParts
from workers.priors.patient_ids import asked_as, identity_mismatch
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
BROKE_OFF = "not complete yet: the archive broke off, or the time was over"


@dataclass(frozen=True)
class Retrieved:
    """What came of one study.

    Args:
        flair: a FLAIR is stored with all its images.
        some_flair: at least one image of a FLAIR is stored.
        images: how many came now.
        failure: why series that are needed, or that nobody looked at, are not there; empty: there are none.
        lasting: another attempt fails in the same way.
        broke_off: nothing more can be had from the archive now.
    """

    flair: bool = False
    some_flair: bool = False
    images: int = 0
    failure: str = ""
    lasting: bool = False
    broke_off: bool = False


@dataclass(frozen=True)
class _Brought:
    """What came of one series. kind None: nobody knows what it shows. stored: images that are there now."""

    kind: SequenceKind | None
    stored: int = 0
    images: int = 0
    failure: str = ""


class StudyRetrieval:
    """One study of an archive on its way into the store.

    Args:
        attempt: of this search, from 1.
    """

    def __init__(
        self,
        archive: Archive,
        found: FoundStudy,
        row: StudyRow,
        source: PriorSource,
        parts: SearchParts,
        deadline_s: float,
        attempt: int = 1,
    ) -> None:
        self._archive, self._uid, self._row, self._source = archive, found.study_instance_uid, row, source
        self._asked = asked_as(source, row)
        self._parts, self._deadline_s = parts, deadline_s
        self._attempt, self._bytes = attempt, 0

    def run(self, said: dict[str, Any], answer: ArchiveAnswer) -> Retrieved:
        """What happened is also written into ``said``.

        Raises:
            Transient: the node stops, or the index is away.
        """
        brought: list[_Brought] = []
        new = not self._stored()
        if new:
            self._parts.note_fetched(self._uid, self._source.ae_title or self._source.name)
        try:
            named = {one.series_instance_uid: one for one in self._archive.series(self._uid)}
            found = [uid for uid, one in named.items() if one.modality in (MR, "")]
            for series in self._in_turn(found[:MOST_SERIES]):
                self._check_time()
                brought.append(self._series(series))
                answer.images += brought[-1].images
        except AnotherPatientError as error:
            log.error("prior.of_another_patient", study=study_hash(self._uid), source=self._source.name)
            said["said"] = f"refused: {error}"
            return Retrieved()
        except TooMuchError as error:
            return self._said(said, brought, str(error), lasting=True)
        except Transient as error:
            if self._parts.stopping():
                raise
            told = replace(self._said(said, brought, str(error)), broke_off=True)
            said["said"] = BROKE_OFF
            return told
        finally:
            if new and self._archive.pushes:  # an archive may send under another name than it answers
                for sender in {row.calling_ae for row in self._stored()}:
                    self._parts.note_fetched(self._uid, sender)
        if not named:  # it names the study, so that it has some
            return self._said(said, brought, "the archive names no series of it")
        if len(found) > MOST_SERIES:
            return self._said(said, brought, f"the study has more than {MOST_SERIES} series", lasting=True)
        failed = [one.failure for one in brought if one.failure]
        others = f" (and {len(failed) - 1} other series)" if len(failed) > 1 else ""
        return self._said(said, brought, failed[0] + others if failed else "")

    def _said(
        self, said: dict[str, Any], brought: Sequence[_Brought], failure: str, *, lasting: bool = False
    ) -> Retrieved:
        came = [one for one in brought if one.kind in NEEDED]
        said["kinds"] = sorted(one.kind.value for one in came if one.kind is not None)
        flairs = [one for one in came if one.kind is SequenceKind.FLAIR]
        if failure:
            said["said"] = f"not complete: {failure}"
        else:
            said["said"] = "retrieved" if flairs else "no FLAIR among its series"
        some = any(one.stored for one in flairs)
        images = sum(one.images for one in brought)
        return Retrieved(any(not one.failure for one in flairs), some, images, failure, lasting)

    def _in_turn(self, series: Sequence[str]) -> list[str]:
        """Each attempt begins with another series: one at which the archive breaks off does not keep the others."""
        first = (self._attempt - 1) % max(1, len(series))
        return [*series[first:], *series[:first]]

    def _check_time(self) -> None:
        if self._parts.stopping():
            raise Transient("the node stops")
        if time.monotonic() > self._deadline_s:
            raise Transient(TIME_IS_OVER)

    def _series(self, series_uid: str) -> _Brought:
        have = {i.sop_instance_uid: i for i in self._stored() if i.series_instance_uid == series_uid}
        self._check_rows(have.values())
        try:
            everything = self._archive.instances(self._uid, series_uid)
            # an object of no class that is measured cannot be asked for by C-GET, and is needed by nobody
            names = [i.sop_instance_uid for i in everything if not i.sop_class_uid or is_measured(i.sop_class_uid)]
            if not everything:
                raise SeriesFailedError("the archive names no image of a series")
            if not names:
                return _Brought(SequenceKind.NOT_IMAGE)
            stored = next(iter(have.values()), None)
            kind = self._probe(series_uid, names) if stored is None else self._kind(self._parts.store.path(stored))
        except SeriesFailedError as error:
            return _Brought(None, failure=f"a series could not be looked at: {error}")
        missing = [name for name in names if name not in have]
        if kind not in NEEDED or not missing:
            return _Brought(kind, len(have))
        whole = len(missing) == len(everything) or (self._archive.pushes and len(missing) > 1)
        why = [found for one in ([None] if whole else missing) if (found := self._fetch(series_uid, one))]
        left = self._wait_for(missing) if self._archive.pushes else self._missing(missing)
        failure = f"{len(left)} of {len(names)} images of a series did not come" if left else ""
        came = len(missing) - len(left)
        return _Brought(kind, len(have) + came, came, f"{failure}: {why[-1]}" if left and why else failure)

    def _probe(self, series_uid: str, names: Sequence[str]) -> SequenceKind:
        """The kind of a series of which nothing is stored, by its middle image, or by another when that one cannot be
        had or read; its patient is checked before anything is kept.

        Raises:
            SeriesFailedError: nobody knows.
        """
        middle = names[len(names) // 2]
        if self._archive.pushes:
            return self._look_at_pushed(series_uid, middle)
        failures, seen = [], SequenceKind.NOT_IMAGE
        for instance in dict.fromkeys((middle, names[0])):
            try:
                seen = self._look_at(series_uid, instance)
            except SeriesFailedError as error:
                failures.append(error)
                continue
            if seen is not SequenceKind.NOT_IMAGE:
                return seen
        if failures:
            raise failures[-1]
        return seen

    def _look_at_pushed(self, series_uid: str, instance: str) -> SequenceKind:
        self._archive.fetch(self._uid, series_uid, instance, _NothingComes())
        self._wait_for([instance])
        rows = [row for row in self._stored() if row.sop_instance_uid == instance]
        self._check_rows(rows)
        self._say_whose()
        if not rows:
            raise SeriesFailedError(f"the image did not come to the listener within {PUSHED_WITHIN_S:g} s")
        return self._kind(self._parts.store.path(rows[0]))

    def _look_at(self, series_uid: str, instance: str) -> SequenceKind:
        apart = FileStore(self._parts.scratch, max_object_bytes=PROBE_BYTES, durable=False)
        taker = self._taker(apart, record=False)
        try:
            self._archive.fetch(self._uid, series_uid, instance, taker)
            come = next((one for one in taker.taken if one.uids.sop_instance_uid == instance), None)
            if come is None:  # another one says nothing about this series
                other = "another image came than the one that was asked for" if taker.taken else ""
                raise SeriesFailedError(taker.why_refused or other or "the image did not come")
            return self._kind(come.path)
        except SeriesFailedError as error:
            raise SeriesFailedError(taker.why_refused or str(error)) from error
        finally:
            for path in list(apart.all_files()):
                path.unlink(missing_ok=True)

    def _fetch(self, series_uid: str, instance: str | None) -> str:
        """Why something may not have come; empty: no reason is known."""
        taker, failure = self._taker(self._parts.store, record=True), ""
        try:
            self._archive.fetch(self._uid, series_uid, instance, taker)
        except SeriesFailedError as error:
            failure = str(error)
        except AnotherPatientError as error:
            taker.flush()
            self._set_aside([one.row for one in taker.taken], str(error))
            raise
        finally:
            taker.flush()
            self._say_whose()
            self._bytes += sum(one.size_bytes for one in taker.taken)
            self._audit([one.row for one in taker.taken])
        if self._archive.pushes:
            self._bytes = sum(row.size_bytes for row in self._stored())
            if self._bytes > self._parts.settings.max_study_bytes:
                raise TooMuchError("the study has more bytes than priors.max_study_bytes")
        return taker.why_refused or failure

    def _set_aside(self, rows: Sequence[InstanceRow], why: str) -> None:
        """What came of a series before an image of somebody else; a human may restore it."""
        now = datetime.now(UTC)
        given = GivenAnswer(ObjectAnswer.DISCARDED, f"archive {self._source.name}: {why}", now)
        if rows:
            self._parts.index.answer_objects(self._uid, {row.sop_instance_uid: given for row in rows}, now=now)

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
        mismatch = identity_mismatch(
            row.patient_id or self._row.patient_id, row, self._row, self._source, self._parts.index.same_id
        )
        if mismatch is not None:
            raise AnotherPatientError(f"an image contradicts the follow-up ({mismatch})")

    def _check_rows(self, rows: Iterable[InstanceRow]) -> None:
        for row in rows:
            self._check(row)

    def _kind(self, path: Path) -> SequenceKind:
        try:
            return self._parts.kind_of(path)
        except (IcanseeError, OSError) as error:
            message = "the header of an image cannot be read"
            raise SeriesFailedError(f"{message} ({type(error).__name__})") from error

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

    def refused(self, refusal: Rejected) -> None:
        """See workers.priors.archive.Taker."""

    def finish(self, spool: object) -> Any:
        raise Rejected(CLASS_NOT_SUPPORTED, "not_expected", f"the archive sends us {type(spool).__name__}")
