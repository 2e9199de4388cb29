"""A stored decision in, the headers of the images behind it out, for the renderers of outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from triage.errors import Transient
from workers.delivery_ports import Decided
from workers.log import get_logger, study_hash
from workers.outputs.source_headers import UsedSeries, source_study
from workers.outputs.sources import FILE_NAME, Sources, SourceStudy, sources_to_json, with_headers
from workers.ports import InstanceFiles, InstanceRow, Reader, StudyIndex
from workers.studies.header_in_force import header_in_force
from workers.studies.set_aside import objects_of_study
from workers.studies.whole_files import read_whole

log = get_logger(__name__)

BASELINE_KINDS = ("flair",)  # nothing else of a baseline is referred to


class HasImages(Protocol):
    """Where the images are; ``Deps`` is one."""

    @property
    def index(self) -> StudyIndex: ...
    @property
    def files(self) -> InstanceFiles: ...
    @property
    def reader(self) -> Reader: ...


@dataclass(frozen=True)
class ImageParts:
    """See HasImages."""

    index: StudyIndex
    files: InstanceFiles
    reader: Reader


def files_of_sources(decided: Decided, document: Mapping[str, Any], parts: HasImages) -> dict[str, bytes]:
    """``sources.json``, to lie beside the document.

    When the headers cannot be read it says only which decision it is of, so that no two decisions of a study make
    objects under the same UIDs. Outputs that refer to images do not apply then.
    """
    try:
        only_which = _which(decided, parts.index)
    except Exception:
        log.exception("results.sources_not_read")
        return {}
    try:
        return {FILE_NAME: sources_to_json(_with_images(only_which, decided, document, parts))}
    except Exception:
        log.exception("results.sources_not_read")
        return {FILE_NAME: sources_to_json(only_which)}


def repaired_sources(decided: Decided, document: Mapping[str, Any], parts: HasImages, folder: Path) -> bytes | None:
    """Read the headers again for a decision whose ``sources.json`` is missing or without them, and put it into that
    folder.

    What cannot be read, or is not there any more, is not put there: it is tried again. None: the index is away.
    """
    content = files_of_sources(decided, document, parts).get(FILE_NAME)
    if content is None or not with_headers(content):
        return content
    growing = folder / f".{FILE_NAME}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        growing.write_bytes(content)
        growing.replace(folder / FILE_NAME)
    except OSError:
        log.exception("results.sources_not_written")
    else:
        log.info("results.sources_repaired", study=study_hash(decided.study_instance_uid))
    return content


def sources_without_headers(decided: Decided, index: StudyIndex) -> bytes:
    """What they are while the headers cannot be read."""
    return sources_to_json(_which(decided, index))


def _which(decided: Decided, index: StudyIndex) -> Sources:
    """Sources without any header."""
    uid = decided.study_instance_uid
    versions = [Decided(uid, one["revision"], one["stage"]) for one in index.assessments(uid)]
    earlier = [one for one in versions if one.sequence < decided.sequence]
    previous = (earlier[-1].revision, earlier[-1].stage) if earlier else None
    return Sources(SourceStudy({}, ()), None, decided.revision, previous)


def _with_images(which: Sources, decided: Decided, document: Mapping[str, Any], parts: HasImages) -> Sources:
    followup = _study(decided.study_instance_uid, _used(document), parts)
    header = header_in_force(followup.header, document, parts.index, parts.files)
    baseline = (document["baseline"] or {}).get("study_instance_uid")
    before = None if baseline is None else _study(baseline, _kinds_of_baseline(baseline, parts), parts)
    return replace(which, followup=replace(followup, header=header), baseline=before)


def _study(uid: str, used: Mapping[str, UsedSeries], parts: HasImages) -> SourceStudy:
    """Only the measured series are read when each has the measured objects. Otherwise series were joined or taken
    apart, and all objects of the study are read to find them."""
    rows = objects_of_study(parts.index.instances(uid), parts.index.object_answers(uid))
    held = Counter(row.series_instance_uid for row in rows)
    if any(not held[series] == known.objects > 0 for series, known in used.items()):
        return read_whole(uid, parts.index, parts.files, partial(source_study, used=used))
    paths = [parts.files.path(row) for row in rows if row.series_instance_uid in used]
    return source_study(paths, used, vouched=paths) if paths else _header_alone(rows, parts.files)


def _header_alone(rows: Sequence[InstanceRow], files: InstanceFiles) -> SourceStudy:
    """The header of the first object that can be read; of those first that state a patient."""
    away: Exception | None = None
    for row in sorted(rows, key=lambda row: not row.patient_id):
        path = files.path(row)
        try:
            found = source_study([path], {}, vouched=[path])
        except (Transient, OSError) as error:
            away = away or error
            continue
        if found.header.get("StudyInstanceUID"):
            return found
    if away is not None:
        raise away
    return SourceStudy({}, ())


def _used(document: Mapping[str, Any]) -> dict[str, UsedSeries]:
    return {
        row["series_instance_uid"]: UsedSeries(row["kind"], row["objects"])
        for row in document["series"]
        if row["used_as"] is not None
    }


def _kinds_of_baseline(uid: str, parts: HasImages) -> dict[str, UsedSeries]:
    """What its own decision was measured from. Without one, the headers of all its images are read and say what each
    series is."""
    document = parts.index.assessment(uid)
    measured = {} if document is None else _used(document)
    kept = {series: known for series, known in measured.items() if known.kind in BASELINE_KINDS}
    if kept:
        return kept
    described = read_whole(uid, parts.index, parts.files, parts.reader.describe)
    found = [(one.header, one.identification.kind.value) for one in described.series]
    return {
        header.series_instance_uid: UsedSeries(kind, header.instance_count)
        for header, kind in found
        if kind in BASELINE_KINDS
    }
