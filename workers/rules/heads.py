"""Files in, what the headers of a series say out. No pixel is read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from triage.errors import NotAssessable, Transient
from workers.log import brief, get_logger, study_hash
from workers.ports import InstanceRow
from workers.rules.facts import HEADERS, SeriesHead

if TYPE_CHECKING:
    from pydicom import Dataset

log = get_logger(__name__)

READ_WITHIN_S = 30.0  # a store that is away for a moment; then the rules are asked without the headers
LOOK_AGAIN_S = 5.0  # between two attempts: a disk may need seconds to say that a sector is bad
MOST_FAULTY = 10_000  # series that are remembered


def series_head(paths: Sequence[Path], *, whole: bool = True) -> SeriesHead:
    """Of a series: from its first file, one in the middle and the last.

    A file that is gone or damaged says nothing; it does not keep the others from being forwarded.

    Args:
        whole: False: the files that can be read speak for those that cannot be read now.

    Raises:
        Transient, OSError: a file cannot be read now; without ``whole``: none can.
    """
    from triage.sequences.identify import identify
    from workers.reading.series import series_header
    from workers.reading.study import read_header
    from workers.reading.values import strings, text

    headers: list[Dataset] = []
    fault: Transient | OSError | None = None
    for number in sorted({0, len(paths) // 2, len(paths) - 1}) if paths else ():
        try:
            if paths[number].is_file():
                with suppress(NotAssessable):
                    headers.append(read_header(paths[number]))
        except (Transient, OSError) as error:
            fault = error
    if fault is not None and (whole or not headers):
        raise fault
    if not headers:
        return SeriesHead()
    first = headers[0]
    values = {one: "\\".join(strings(first, one)) if one == "ImageType" else text(first, one) for one in HEADERS}
    try:
        kind = identify(series_header(headers)).kind.value
    except Exception:  # noqa: BLE001, RUF100 - a malformed header: the last resort, as in workers.reading.study
        kind = ""
    return SeriesHead(values, kind)


class ReadsHead(Protocol):
    """``series_head``, in this process or in another one."""

    def __call__(self, paths: Sequence[Path], *, whole: bool = True) -> SeriesHead: ...


def readable_head(paths: Sequence[Path], read: ReadsHead = series_head) -> SeriesHead:
    """The same, of what can be read now; a head that is unread when nothing can."""
    try:
        return read(paths, whole=False)
    except (Transient, OSError) as error:
        log.warning("rules.header_not_read", error=brief(error))
        return SeriesHead(unread=True)


class HeadReader:
    """Heads of stored series. What cannot be read is tried again for a while; then the head is what can be read of it,
    or is unread. So a bad sector keeps nothing here for longer than that.

    Args:
        path: of a stored image.
        read: reads the head of a series.
        seconds: they only go forward.
    """

    def __init__(
        self,
        path: Callable[[InstanceRow], Path],
        read: ReadsHead = series_head,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._read, self._seconds = path, read, seconds
        self._faulty: dict[tuple[str, str], tuple[float, float]] = {}  # series -> its first failure and its last one
        self._hostile: dict[tuple[str, str], None] = {}  # series that are not read again: each time costs seconds

    def of(self, rows: Sequence[InstanceRow]) -> SeriesHead:
        """Of the images of one series, or of those that stand for a study.

        Raises:
            Transient: it is tried again.
        """
        if not rows:
            return SeriesHead()
        key, now_s = (rows[0].study_instance_uid, rows[0].series_instance_uid), self._seconds()
        if key in self._hostile:
            return SeriesHead(unread=True, hostile=True)
        first_s, last_s = self._faulty.get(key, (now_s, now_s - LOOK_AGAIN_S))
        if now_s - last_s < LOOK_AGAIN_S:
            raise Transient("a header cannot be read now")
        paths = [self._path(row) for row in rows]
        if now_s - first_s >= READ_WITHIN_S:
            log.warning("rules.without_header", study=study_hash(key[0]), after_s=round(now_s - first_s, 1))
            return readable_head(paths, self._read)
        try:
            found = self._read(paths)
        except (Transient, OSError) as error:
            while len(self._faulty) >= MOST_FAULTY:
                self._faulty.pop(next(iter(self._faulty)))
            self._faulty[key] = (first_s, now_s)
            raise Transient(f"a header cannot be read now ({brief(error)})") from error
        self._faulty.pop(key, None)
        if found.hostile:
            while len(self._hostile) >= MOST_FAULTY:
                self._hostile.pop(next(iter(self._hostile)))
            self._hostile[key] = None
        return found


def rows_of_folder(folder: Path) -> list[list[InstanceRow]]:
    """The series below a folder, each as the index would have it; path is the file itself.

    Raises:
        Misconfigured: the folder does not exist.
    """
    from workers.reading.folder import read_folder
    from workers.reading.study import read_header
    from workers.reading.values import text

    found: dict[tuple[str, str], list[InstanceRow]] = {}
    for paths in read_folder(folder).values():
        for path in paths:
            try:
                header = read_header(path)
            except NotAssessable:
                continue
            names = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
            sop_class, instance, series, study = (text(header, name) for name in names)
            row = InstanceRow(
                instance,
                sop_class,
                "",
                series,
                study,
                str(path),
                path.stat().st_size,
                datetime.now(UTC),
                modality=text(header, "Modality"),
                series_description=text(header, "SeriesDescription"),
                accession_number=text(header, "AccessionNumber"),
                sex=text(header, "PatientSex"),
                issuer=text(header, "IssuerOfPatientID"),
            )
            found.setdefault((study, series), []).append(row)
    return [found[key] for key in sorted(found)]
