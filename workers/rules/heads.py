"""Files in, what the headers of a series say out. No pixel is read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from triage.errors import NotAssessable
from workers.ports import InstanceRow
from workers.rules.facts import HEADERS, SeriesHead


def series_head(paths: Sequence[Path]) -> SeriesHead:
    """Of a series: from its first file, one in the middle and the last.

    A file that is gone or damaged says nothing; it does not keep the others from being forwarded.

    Raises:
        Transient: a file cannot be read now.
    """
    from triage.sequences.identify import identify
    from workers.reading.series import series_header
    from workers.reading.study import read_header
    from workers.reading.values import strings, text

    headers = []
    for number in sorted({0, len(paths) // 2, len(paths) - 1}) if paths else ():
        if paths[number].is_file():
            with suppress(NotAssessable):
                headers.append(read_header(paths[number]))
    if not headers:
        return SeriesHead()
    first = headers[0]
    values = {one: "\\".join(strings(first, one)) if one == "ImageType" else text(first, one) for one in HEADERS}
    try:
        kind = identify(series_header(headers)).kind.value
    except Exception:  # noqa: BLE001, RUF100 - a malformed header: the last resort, as in workers.reading.study
        kind = ""
    return SeriesHead(values, kind)


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
