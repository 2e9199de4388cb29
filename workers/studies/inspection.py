"""DICOM folders in; for each series what it is, why, whether it is used, how good it is and what it serves for, out."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from triage.errors import IcanseeError, NotAssessable
from triage.inspection import patterns_of, serves
from triage.model import Series, StudyImages, Volume
from triage.sequences.choose import why_passed_over
from triage.sequences.image import image_faults
from triage.sequences.quality import quality_of, shortcomings
from workers.ports import Reader

SeriesOf = Callable[[Path], str]


def inspect_study(paths: Sequence[Path], reader: Reader, series_of: SeriesOf) -> tuple[dict[str, Any], StudyImages]:
    """The report of one study as JSON values, and its images as an assessment would take them.

    Args:
        series_of: the Series Instance UID of a file, "" when it has none.

    Raises:
        NotAssessable: nothing of the study can be read.
    """
    images = reader.read(paths)
    files: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        files[series_of(path)].append(path)
    study = images.study
    return {
        "study_instance_uid": study.study_instance_uid,
        "study_date": None if study.study_date is None else study.study_date.isoformat(),
        "serves_as": _serves_as(images),
        "patterns": patterns_of(images.used, with_b0=images.dwi_b0 is not None),
        "series": [_series(one, images, files, reader) for one in study.series],
        "set_aside": list(images.set_aside),
        "ignored": [f"{s.code}: {s.message}" for s in images.ignored],
        "notices": list(images.notices),
    }, images


def with_fit(report: dict[str, Any], fit: dict[str, Any]) -> dict[str, Any]:
    """The report of a study with where the atlas lies on its FLAIR. A FLAIR without the atlas serves for nothing.

    Args:
        fit: ``placed``, and the ``reason`` when it is not.
    """
    if fit["placed"] or not report["patterns"]["A"].startswith("assessable"):
        return report | {"fit": fit}
    without = f"not assessable: {fit['reason']}"
    patterns = {name: said if name == "C" else without for name, said in report["patterns"].items()}
    return report | {
        "fit": fit, "patterns": patterns, "serves_as": f"neither baseline nor follow-up: {fit['reason']}"
    }  # fmt: skip


def _serves_as(images: StudyImages) -> str:
    flair = any(kind.value == "flair" for kind in images.used)
    return "baseline or follow-up" if flair else "neither baseline nor follow-up: no FLAIR that can be measured"


def _series(one: Series, images: StudyImages, files: dict[str, list[Path]], reader: Reader) -> dict[str, Any]:
    header, found = one.header, one.identification
    uid = header.series_instance_uid
    used_as = next((kind.value for kind, used in images.used.items() if used == uid), None)
    skipped = [(s.code, s.message) for s in images.skipped if s.series_instance_uid == uid]
    volume, refusal = _volume(uid, images, _files_of(uid, files), reader)
    why = [] if used_as else _why_not(one, images, [*skipped, *([refusal] if refusal else [])])
    return {
        "series_instance_uid": uid,
        "number": header.series_number,
        "description": header.series_description,
        "kind": found.kind.value,
        "confidence": round(found.confidence, 2),
        "reasons": list(found.reasons),
        "objects": header.instance_count,
        "frames": header.frame_count,
        "used_as": used_as,
        "why_not": "; ".join(f"{code}: {said}" for code, said in why) or None,
        "why_not_codes": [code for code, _ in why],
        "quality": None if volume is None else _figures(volume),
        "faults": [] if volume is None else [*image_faults(volume), *shortcomings(quality_of(volume))],
        "serves": serves(found.kind),
    }


def _files_of(uid: str, files: dict[str, list[Path]]) -> Sequence[Path]:
    """Those of a series; of a part those of the whole, whose UID its own begins with (``reading.splitting``)."""
    whole = uid.rpartition(".")[0]
    return files.get(uid) or next((some for stated, some in files.items() if whole and stated.startswith(whole)), ())


def _why_not(one: Series, images: StudyImages, refusals: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Codes and sentences, at least one."""
    if refusals:
        return list(dict.fromkeys(refusals))
    kind = one.identification.kind
    if kind not in images.used:
        return [("not_measured", "this kind is not measured")]
    used = next(s for s in images.study.series if s.header.series_instance_uid == images.used[kind])
    code, said = why_passed_over(used, one, images.study.series)
    return [(code, f"{said}; series {used.header.series_number} is used instead")]


def _volume(
    uid: str, images: StudyImages, paths: Sequence[Path], reader: Reader
) -> tuple[Volume | None, tuple[str, str] | None]:
    """The volume of one series, that of the study when it is used; or why there is none."""
    for kind, used in images.used.items():
        if used == uid:
            return images.volumes[kind], None
    try:
        alone = reader.read(paths) if paths else None
    except NotAssessable as refusal:
        return None, (refusal.code, refusal.message)
    except IcanseeError:
        return None, None
    if alone is None or not alone.volumes:
        return None, None
    own = next((kind for kind, used in alone.used.items() if used == uid), None)
    several = len(alone.study.series) > 1  # the parts of one UID: what is read may be of another
    if own is None and several:
        return None, None
    return alone.volumes[own] if own is not None else next(iter(alone.volumes.values())), None


def _figures(volume: Volume) -> dict[str, Any]:
    found = dataclasses.asdict(quality_of(volume))
    found["spacing_mm"] = [round(v, 3) for v in found["spacing_mm"]]
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in found.items()}
