"""Queries and retrievals at a DICOM archive: C-FIND, then C-GET on the same association or C-MOVE to our own listener.

Objects of a C-GET pass through a temporary file into the store: no data set is in memory as a whole.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triage.errors import Rejected, Transient
from workers.dicom_status import MOVE_DESTINATION_UNKNOWN, PENDING, PROCESSING_FAILURE, SUCCESS, is_warning
from workers.files import part10
from workers.files.part10 import Announced
from workers.files.uid_paths import valid_uid
from workers.measured_classes import MEASURED_CLASSES
from workers.moments import parse_date, plain_time
from workers.priors.archive import (
    TIME_IS_OVER,
    FoundInstance,
    FoundSeries,
    FoundStudy,
    SeriesFailedError,
    Taker,
    instances_of,
)
from workers.remote import tls
from workers.remote.find import MOST_ANSWERS, STUDY_ROOT_FIND
from workers.remote.reactor import reactor_paused
from workers.remote.watch import Watch, watched
from workers.sections import DicomTarget

if TYPE_CHECKING:
    from pydicom import Dataset

STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
COPY_BYTES = 256 << 10
MARGIN_S = 5.0  # behind the end of an attempt, in which it ends in order
# PS3.6 Annex A: what the reader decodes without loss, the uncompressed ones first
SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
)
STUDY_KEYS = (
    "StudyDate", "StudyTime", "ModalitiesInStudy", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
)  # fmt: skip


class DicomArchive:
    """See workers.prior_ports.Archive.

    Args:
        move_to: our own AE title; None: C-GET.
        ends_s: time.monotonic() at which the association ends, whatever is pending.
    """

    def __init__(
        self,
        association: Any,
        taking: _Taking,
        watch: Watch,
        *,
        move_to: str | None,
        asked: Callable[[Dataset], None],
        ends_s: float,
    ) -> None:
        self._association, self._taking, self._move_to, self._asked = association, taking, move_to, asked
        self._watch, self._ends_s = watch, ends_s
        self.pushes = move_to is not None

    def studies(self, patient_id: str, *, until: date) -> list[FoundStudy]:
        keys = _keys("STUDY", StudyInstanceUID="", PatientID=patient_id, **dict.fromkeys(STUDY_KEYS, ""))
        keys.StudyDate = f"-{until:%Y%m%d}"
        return [_study(answer) for answer in self._find(keys) if valid_uid(str(answer.get("StudyInstanceUID", "")))]

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        keys = _keys("SERIES", StudyInstanceUID=study_instance_uid, SeriesInstanceUID="", Modality="")
        found = [FoundSeries(_text(one, "SeriesInstanceUID"), _text(one, "Modality")) for one in self._find(keys)]
        return [one for one in found if valid_uid(one.series_instance_uid)]

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> list[FoundInstance]:
        uids = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
        answers = self._find(_keys("IMAGE", **uids, SOPInstanceUID="", SOPClassUID=""))
        return instances_of((_text(one, "SOPInstanceUID"), _text(one, "SOPClassUID")) for one in answers)

    def fetch(self, study_instance_uid: str, series_instance_uid: str, instance: str | None, taker: Taker) -> None:
        uids = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
        keys = _keys("SERIES", **uids) if instance is None else _keys("IMAGE", **uids, SOPInstanceUID=instance)
        self._taking.taker = taker
        try:
            with self._watch.waiting():
                if self._move_to is not None:
                    answers = self._association.send_c_move(keys, self._move_to, STUDY_ROOT_MOVE)
                else:
                    answers = self._association.send_c_get(keys, STUDY_ROOT_GET)
                status = self._last(answers)
        finally:
            self._taking.taker = None
        if self._taking.stopped is not None:
            raise self._taking.stopped
        if status == MOVE_DESTINATION_UNKNOWN:
            raise SeriesFailedError("the archive does not know this node as a destination of C-MOVE")
        if status != SUCCESS and not is_warning(status):
            raise SeriesFailedError(f"the archive answers the retrieval with status 0x{status:04X}")

    def _last(self, answers: Iterable[tuple[Any, Any]]) -> int:
        for answer, _ in answers:
            status = getattr(answer, "Status", None)
            if status is None:
                raise Transient("the archive broke off")
            if self._taking.stopped is not None:
                self._association.abort()
                raise self._taking.stopped
            if status not in PENDING:
                return int(status)
            self._check_time()
        raise Transient("the archive broke off")

    def _find(self, keys: Dataset) -> list[Dataset]:
        self._asked(keys)
        with self._watch.waiting():
            return self._answers(keys)

    def _answers(self, keys: Dataset) -> list[Dataset]:
        found: list[Dataset] = []
        for status, answer in self._association.send_c_find(keys, STUDY_ROOT_FIND):
            code = getattr(status, "Status", None)
            if code in PENDING:
                self._check_time()
                if len(found) >= MOST_ANSWERS:
                    self._association.abort()
                    raise Transient(f"an answer of more than {MOST_ANSWERS} entries")
                found += [] if answer is None else [answer]
            elif code == SUCCESS:
                return found
            else:
                said = "broke off" if code is None else f"answers the query with status 0x{code:04X}"
                raise Transient(f"the archive {said}")
        raise Transient("the archive broke off")

    def _check_time(self) -> None:
        if time.monotonic() > self._ends_s:
            self._association.abort()
            raise Transient(TIME_IS_OVER)


class _Taking:
    """The handler of C-STORE on our own association. stopped: why nothing more is taken."""

    def __init__(self, calling_ae: str, watch: Watch) -> None:
        self._calling_ae, self._watch = calling_ae, watch
        self.taker: Taker | None = None
        self.stopped: Exception | None = None

    def __call__(self, event: Any) -> int:
        path = event.dataset_path
        try:
            with self._watch.own_turn():
                return self._take(event, path)
        except Rejected as refusal:
            if self.taker is not None:
                self.taker.refused(refusal)
            return refusal.dicom_status
        except Exception as error:  # noqa: BLE001, RUF100 - it belongs to the thread that waits for the archive
            self.stopped = error
            return PROCESSING_FAILURE
        finally:
            if path is not None:
                Path(path).unlink(missing_ok=True)

    def _take(self, event: Any, path: Path | None) -> int:
        if self.taker is None or path is None or self.stopped is not None:
            return PROCESSING_FAILURE
        announced = Announced(
            sop_class_uid=str(event.request.AffectedSOPClassUID or ""),
            sop_instance_uid=str(event.request.AffectedSOPInstanceUID or ""),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            calling_ae=self._calling_ae,
        )
        with self.taker.begin(announced) as spool, Path(path).open("rb") as file:
            start, _ = part10.read_meta(file.fileno())
            file.seek(start)
            while chunk := file.read(COPY_BYTES):
                spool.write([chunk], len(chunk))
            return self.taker.finish(spool).status


@contextmanager
def dicom_archive(
    target: DicomTarget,
    own_ae: str,
    *,
    move: bool,
    silence_s: float,
    temporary: Path,
    ends_s: float,
    asked: Callable[[Dataset], None] = lambda _: None,
) -> Iterator[DicomArchive]:
    """One association for queries and retrievals. Changes pynetdicom's options of this process.

    Args:
        move: C-MOVE to ``own_ae`` instead of C-GET.
        asked: called with each query, for the audit.
        ends_s: see DicomArchive.
        silence_s: an archive that answers nothing for this long has broken off.
        temporary: folder of objects while they arrive.

    Raises:
        Transient: the archive is away, or refuses us.
    """
    from pynetdicom import evt

    ae, roles = _entity(own_ae, move=move, silence_s=silence_s, temporary=temporary)
    secured = None if target.tls is None else (tls.client_context(target.tls), target.host)
    with watched(silence_s=silence_s, ends_s=ends_s + MARGIN_S) as watch:
        taking = _Taking(target.ae_title, watch)
        with watch.waiting():
            association = ae.associate(
                target.host, target.port, ae_title=target.ae_title, ext_neg=roles, tls_args=secured,
                evt_handlers=[(evt.EVT_C_STORE, taking), *watch.handlers],
            )  # fmt: skip
        if not association.is_established:
            raise Transient("the archive is away, or does not accept us")
        # the watch ends a silence; a message that comes slowly is none
        association.dimse_timeout = None
        way = own_ae if move else None
        try:
            with reactor_paused(association):
                yield DicomArchive(association, taking, watch, move_to=way, asked=asked, ends_s=ends_s)
        except (RuntimeError, ValueError) as error:  # pynetdicom: the association is gone, or has no such context
            why = f"the archive broke off, or does not offer the service ({type(error).__name__})"
            raise Transient(why) from error
        finally:
            if association.is_established:
                with watch.waiting():
                    association.release()


def _entity(own_ae: str, *, move: bool, silence_s: float, temporary: Path) -> tuple[Any, list[Any]]:
    """Our side of the association, and the roles that it asks for."""
    from pynetdicom import AE, _config, build_role

    _config.STORE_RECV_CHUNKED_DATASET = True
    temporary.mkdir(parents=True, exist_ok=True, mode=0o700)
    tempfile.tempdir = str(temporary)
    ae = AE(ae_title=own_ae)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = silence_s
    ae.add_requested_context(STUDY_ROOT_FIND)
    ae.add_requested_context(STUDY_ROOT_MOVE if move else STUDY_ROOT_GET)
    classes = () if move else MEASURED_CLASSES
    for uid in classes:
        # one context for each syntax: the archive chooses one per context, and an object keeps the syntax it lies in
        for syntax in SYNTAXES:
            ae.add_requested_context(uid, [syntax])
    return ae, [build_role(uid, scp_role=True) for uid in classes]


def _keys(level: str, **values: str) -> Dataset:
    from pydicom import Dataset

    keys = Dataset()
    keys.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(keys, keyword, value)
    return keys


def _text(answer: Dataset, keyword: str) -> str:
    said = answer.get(keyword, "") or ""
    return (said if isinstance(said, str) else "\\".join(map(str, said))).strip()


def _study(answer: Dataset) -> FoundStudy:
    said = answer.get("ModalitiesInStudy") or ()
    return FoundStudy(
        study_instance_uid=_text(answer, "StudyInstanceUID"),
        study_date=parse_date(_text(answer, "StudyDate")),
        study_time=plain_time(_text(answer, "StudyTime")),
        patient_id=_text(answer, "PatientID"),
        issuer=_text(answer, "IssuerOfPatientID"),
        birth_date=parse_date(_text(answer, "PatientBirthDate")),
        sex=_text(answer, "PatientSex"),
        modalities=(said,) if isinstance(said, str) else tuple(str(one) for one in said),
    )
