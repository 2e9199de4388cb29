"""A JSON document of the contract in, the Assessment that it holds out: the inverse of ``to_document``.

``to_document(from_document(document)) == document`` for every document that this version writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from triage.infusions import Infusion
from triage.model import (
    BaselineChoice,
    Basis,
    Category,
    Decision,
    Finding,
    Identification,
    Lesion,
    Measurement,
    Patient,
    Presence,
    Priority,
    ProtocolMatch,
    RegistrationResult,
    RejectedBaseline,
    SameAcquisition,
    SequenceKind,
    Series,
    SeriesHeader,
    SkippedSeries,
    Stage,
    Strength,
    Study,
)
from triage.report.contents import (
    Assessment,
    BaselineReport,
    Course,
    Evolution,
    Judged,
    JudgedFrom,
    PatternCourse,
    Since,
    Trend,
    TrendPoint,
)
from triage.report.document import SCHEMA_VERSION

Document = Mapping[str, Any]
PROTOCOL_NOTICE = "protocol: "  # documents without the key "judged" say the class in a notice only
LATER_LOSS_PATTERN = "C"  # of documents that do not say it


def from_document(document: Document) -> Assessment:
    """The assessment as far as its document holds it; keys that an earlier version did not write are taken as empty.

    Of a header it holds the scanner; it holds no time, accession number, birth date or sex. Reasons for which a
    series was skipped stay among the reasons of the series. Figures have six decimals.

    Raises:
        ValueError: the document has another schema_version.
    """
    if document["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {document['schema_version']!r}, this program reads {SCHEMA_VERSION!r}")
    study, decision = document["study"], document["decision"]
    patient = Patient(study["patient_id"])
    series = tuple(_series_of(row) for row in document["series"])
    return Assessment(
        study=Study(study["study_instance_uid"], patient, _date_of(study["study_date"]), None, series),
        days_after_infusion=study["days_after_infusion"],
        baseline=_baseline_of(document["baseline"]),
        used_as={
            row["series_instance_uid"]: row["used_as"] for row in document["series"] if row["used_as"] is not None
        },
        skipped=(),
        registration=_registration_of(document["registration"]),
        measurements=tuple(map(_measurement_of, document["measurements"])),
        findings=tuple(map(_finding_of, document["findings"])),
        decision=Decision(Category(decision["category"]), Priority(decision["priority"]), tuple(decision["reasons"])),
        stage=Stage(document["stage"]),
        notices=tuple(document["notices"]),
        timings_s={part: _number_of(seconds) for part, seconds in document["timings_s"].items()},
        versions=document["versions"],
        lesions=tuple(map(_lesion_of, document.get("lesions", ()))),
        look_alikes=tuple(document.get("look_alikes", ())),
        evolution=_evolution_of(document.get("evolution")),
        baseline_report=_baseline_report_of(document.get("baseline_report")),
        judged=_judged_of(document),
        since=_since_of(document.get("since")),
        infusions=tuple(
            Infusion(date.fromisoformat(one["date"]), one["kind"], one["source"])
            for one in document.get("infusions", ())
        ),
        tissue_ratio=document.get("tissue_ratio"),
        ignored=tuple(
            SkippedSeries(one["series_instance_uid"] or "", one["code"], one["message"], one["objects"])
            for one in document.get("ignored", ())
        ),
    )


def protocol_of(document: Document) -> ProtocolMatch | None:
    """Whether the study was acquired like its baseline; None: it was not compared."""
    if "judged" in document:
        word = document["judged"]["protocol"]
        return None if word is None else ProtocolMatch(word)
    for notice in document.get("notices", ()):
        if notice.startswith(PROTOCOL_NOTICE):
            return ProtocolMatch(notice.removeprefix(PROTOCOL_NOTICE).split()[0])
    return None


def _judged_of(document: Document) -> Judged:
    protocol = protocol_of(document)
    if "judged" in document:
        judged = document["judged"]
        carried = tuple(judged.get("carried", ()))
        return Judged(
            JudgedFrom(judged["from"]),
            protocol,
            judged["refusal"],
            carried,
            _date_of(judged.get("carried_on")),
            judged.get("before_treatment", False),
        )
    reasons = document["decision"]["reasons"]
    refusal = reasons[0] if reasons and not reasons[0].startswith("pattern ") else None
    if protocol is not None:
        return Judged(JudgedFrom.COMPARISON, protocol, refusal)
    if not document["measurements"]:
        return Judged(JudgedFrom.NOTHING, None, refusal)
    alone = refusal is not None and refusal.startswith("no_baseline")
    return Judged(JudgedFrom.SINGLE_SCAN if alone else JudgedFrom.DIFFUSION, None, refusal)


def _series_of(row: Document) -> Series:
    known = Identification(SequenceKind(row["kind"]), 0.0, tuple(row["reasons"]))
    said = row.get("scanner") or {}
    header = SeriesHeader(
        row["series_instance_uid"],
        manufacturer=said.get("manufacturer") or "",
        model_name=said.get("model") or "",
        station_name=said.get("station") or "",
        magnetic_field_strength_t=said.get("field_strength_t"),
        instance_count=row.get("objects", 0),
    )
    return Series(header, known)


def _baseline_of(row: Document | None) -> BaselineChoice | None:
    if row is None:
        return None
    rejected = tuple(RejectedBaseline(one["study_instance_uid"], one["reason"]) for one in row["rejected"])
    basis = Basis(row.get("basis", Basis.NONE.value))
    uid, day, same = row["study_instance_uid"], _date_of(row["study_date"]), _same_of(row.get("same_acquisition"))
    return BaselineChoice(uid, day, row["reason"], rejected, basis, same=same)


def _same_of(row: Document | None) -> SameAcquisition | None:
    if row is None:
        return None
    day = date.fromisoformat(row["study_date"])
    return SameAcquisition(row["study_instance_uid"], day, tuple(row["found"]))


def _since_of(row: Document | None) -> Since | None:
    if row is None:
        return None
    return Since(
        row["study_instance_uid"],
        date.fromisoformat(row["study_date"]),
        _registration_of(row["registration"]),
        tuple(map(_measurement_of, row["measurements"])),
        tuple(map(_finding_of, row["findings"])),
    )


def _registration_of(row: Document | None) -> RegistrationResult | None:
    if row is None:
        return None
    quality = {name: _number_of(value) for name, value in row["quality"].items()}
    return RegistrationResult(row["accepted"], row["reason"], quality, np.array(row["followup_to_baseline_lps_mm"]))


def _measurement_of(row: Document) -> Measurement:
    return Measurement(**row)


def _finding_of(row: Document) -> Finding:
    strength = None if row["strength"] is None else Strength(row["strength"])
    return Finding(row["pattern"], Presence(row["presence"]), strength, row["explanation"], tuple(row["evidence"]))


def _lesion_of(row: Document) -> Lesion:
    x, y, z = map(_number_of, row["centre_lps_mm"])
    return Lesion(
        row["number"],
        row["kind"],
        row["site"],
        _number_of(row["volume_ml"]),
        (x, y, z),
        _number_of(row["change_percent"]),
        row["enhancing_volume_ml"],
        row["prior_injury_mm"],
    )


def _evolution_of(row: Document | None) -> Evolution | None:
    if row is None:
        return None
    courses = (
        PatternCourse(one["pattern"], Course(one["state"]), _date_of(one["since"]), one["reason"])
        for one in row["patterns"]
    )
    trends = (
        Trend(one["region"], one["quantity"], one["unit"], tuple(_point_of(point) for point in one["points"]))
        for one in row["trend"]
    )
    return Evolution(tuple(courses), tuple(trends), _later_loss_of(row["later_loss"]))


def _point_of(row: Document) -> TrendPoint:
    return TrendPoint(**{**row, "study_date": _date_of(row["study_date"])})


def _later_loss_of(row: Document | None) -> Finding | None:
    if row is None:
        return None
    presence = Presence(row["presence"])
    strength = Strength.SUSPECTED if presence is Presence.PRESENT else None
    pattern = row.get("pattern", LATER_LOSS_PATTERN)
    return Finding(pattern, presence, strength, row["explanation"], tuple(row["evidence"]))


def _baseline_report_of(row: Document | None) -> BaselineReport | None:
    if row is None:
        return None
    return BaselineReport(
        row["study_instance_uid"],
        _date_of(row["study_date"]),
        row["abnormal"],
        tuple(row["statements"]),
        tuple(map(_measurement_of, row["measurements"])),
        tuple(map(_lesion_of, row["lesions"])),
        tuple(row["sites"]),
        tuple(row.get("found", ())),
    )


def _date_of(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _number_of(value: float | None) -> float:
    """null stands for a figure that was not finite."""
    return math.nan if value is None else value
