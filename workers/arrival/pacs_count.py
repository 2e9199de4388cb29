"""Arriving studies in, how many images the PACS has of each out: asked by C-FIND and written into the index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from triage.errors import Transient
from workers.announcements import WHOLE_STUDY, Announcement, Source, Step, from_counts
from workers.audit.messages import RemoteNode
from workers.audit.spool import Auditor, NoAudit
from workers.files.uid_paths import valid_uid
from workers.log import brief, get_logger, study_hash
from workers.ports import StudyRow
from workers.remote.find import STUDY_ROOT_FIND, Find, connected, encoded
from workers.settings import PacsQuerySettings

if TYPE_CHECKING:
    from pydicom import Dataset

log = get_logger(__name__)

RECENT = timedelta(hours=1)  # a study that got no image for this long is not asked about any more
LOOK_EVERY_S = 2.0
NOT_ASKED = 0  # images: no study has so few


class Asked(Protocol):
    """What is needed of the index."""

    def studies(self, *, limit: int = 500) -> list[StudyRow]: ...

    def put_announcement(self, announcement: Announcement, *, now: datetime) -> None: ...


class PacsCounter:
    """Asks again while a study grows, and once more after it has stopped growing."""

    def __init__(
        self,
        settings: PacsQuerySettings,
        own_ae: str,
        index: Asked,
        *,
        find: Callable[[PacsQuerySettings, str], Any] | None = None,
        auditor: Auditor | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._own_ae, self._index, self._now = settings, own_ae, index, now
        self._monotonic = monotonic
        self._connect, self._auditor = find or connected, auditor or NoAudit()
        self._asked: dict[str, tuple[float, int]] = {}

    def run(self) -> int:
        """Ask about every study whose turn it is, on one association; how many numbers came."""
        now, at_s = self._now(), self._monotonic()
        rows = [row for row in self._index.studies() if now - row.last_received_at < RECENT]
        self._asked = {
            row.study_instance_uid: self._asked.get(row.study_instance_uid, (_NEVER, NOT_ASKED)) for row in rows
        }
        wanted = [row for row in rows if self._wanted(row, at_s)]
        if not wanted:
            return 0
        found = 0
        with self._connect(self._settings, self._own_ae) as find:
            for row in wanted:
                self._asked[row.study_instance_uid] = (at_s, row.instance_count)
                try:
                    found += find is not None and self._ask(row.study_instance_uid, find, now)
                except Transient as failure:  # no number, where an incomplete answer would be a wrong one
                    self._asked[row.study_instance_uid] = (at_s, NOT_ASKED)
                    log.warning("pacs.not_asked", study=study_hash(row.study_instance_uid), error=brief(failure))
        return found

    def _wanted(self, row: StudyRow, at_s: float) -> bool:
        asked_s, images = self._asked[row.study_instance_uid]
        return images != row.instance_count and at_s - asked_s >= self._settings.every_s

    def _ask(self, study_uid: str, find: Find, now: datetime) -> bool:
        series = numbers(study_uid, self._settings.level, lambda keys: self._audited(find, keys))
        if not series:
            log.info("pacs.knows_nothing", study=study_hash(study_uid))
            return False
        said = from_counts(Source.QUERY, study_uid, study_uid, Step.IN_PROGRESS, series)
        self._index.put_announcement(said, now=now)
        log.info("pacs.asked", study=study_hash(study_uid), images=sum(said.images.values()))
        return True

    def _audited(self, find: Find, keys: Dataset) -> Iterable[Dataset]:
        peer = RemoteNode(self._settings.ae_title, self._settings.host)
        self._auditor.queried(peer, STUDY_ROOT_FIND, encoded(keys))
        return find(keys)


_NEVER = float("-inf")


def numbers(study_uid: str, level: str, find: Find) -> list[tuple[str, int]]:
    """(series UID, number of images) as the PACS says; one entry for the whole study at STUDY level."""
    if level == "STUDY":
        keys = _keys("STUDY", study_uid, NumberOfStudyRelatedInstances="")
        counts = [_number(answer, "NumberOfStudyRelatedInstances") for answer in find(keys)]
        return [(WHOLE_STUDY, count) for count in counts[:1] if count]
    keys = _keys("SERIES", study_uid, SeriesInstanceUID="", Modality="", NumberOfSeriesRelatedInstances="")
    answers = [answer for answer in find(keys) if str(answer.get("Modality", "MR")) in ("MR", "")]
    series = {str(one.get("SeriesInstanceUID", "")): _number(one, "NumberOfSeriesRelatedInstances") for one in answers}
    if level == "IMAGE":
        series = {uid: _images(study_uid, uid, find) for uid in series}
    return [(uid, count) for uid, count in series.items() if valid_uid(uid) and count]


def _images(study_uid: str, series_uid: str, find: Find) -> int:
    keys = _keys("IMAGE", study_uid, SeriesInstanceUID=series_uid, SOPInstanceUID="")
    return len({str(answer.get("SOPInstanceUID", "")) for answer in find(keys)})


def _keys(level: str, study_uid: str, **more: str) -> Dataset:
    from pydicom import Dataset

    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID = level, study_uid
    for keyword, value in more.items():
        setattr(keys, keyword, value)
    return keys


def _number(answer: Dataset, keyword: str) -> int:
    try:
        return max(0, int(answer.get(keyword) or 0))
    except (TypeError, ValueError):
        return 0
