"""A stored decision in, the headers of the images behind it out, for the renderers of outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from workers.delivery_ports import Decided
from workers.log import get_logger, study_hash
from workers.outputs.source_headers import UsedSeries, source_study
from workers.outputs.sources import FILE_NAME, Sources, SourceStudy, sources_from_json, sources_to_json
from workers.ports import InstanceFiles, Reader, StudyIndex
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
    """``sources.json``, to lie beside the document. Nothing when the headers cannot be read: the decision stands, and
    outputs that refer to images do not apply to it."""
    try:
        return {FILE_NAME: sources_to_json(_sources(decided, document, parts))}
    except Exception:
        log.exception("results.sources_not_read")
        return {}


def repaired_sources(decided: Decided, document: Mapping[str, Any], parts: HasImages, folder: Path) -> bytes | None:
    """Read the headers again for a decision whose ``sources.json`` is missing, and put it into that folder.

    None: they cannot be read, or the images are not there any more.
    """
    content = files_of_sources(decided, document, parts).get(FILE_NAME)
    if content is None or not sources_from_json(content).followup.header:
        return None
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


def _sources(decided: Decided, document: Mapping[str, Any], parts: HasImages) -> Sources:
    uid = decided.study_instance_uid
    versions = [Decided(uid, one["revision"], one["stage"]) for one in parts.index.assessments(uid)]
    earlier = [one for one in versions if one.sequence < decided.sequence]
    baseline = (document["baseline"] or {}).get("study_instance_uid")
    return Sources(
        _study(uid, _used(document), parts),
        None if baseline is None else _study(baseline, _kinds_of_baseline(baseline, parts), parts),
        decided.revision,
        (earlier[-1].revision, earlier[-1].stage) if earlier else None,
    )


def _study(uid: str, used: Mapping[str, UsedSeries], parts: HasImages) -> SourceStudy:
    """Where each series has the objects that were measured, only these are read. Else it was joined, taken apart, or
    is a part, and all objects of the study say which are meant."""
    rows = objects_of_study(parts.index.instances(uid), parts.index.object_answers(uid))
    held = Counter(row.series_instance_uid for row in rows)
    if any(not held[series] == known.objects > 0 for series, known in used.items()):
        return read_whole(uid, parts.index, parts.files, partial(source_study, used=used))
    paths = [parts.files.path(row) for row in rows if row.series_instance_uid in used]
    paths = paths or [parts.files.path(row) for row in rows[:1]]
    return source_study(paths, used, vouched=paths)


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
