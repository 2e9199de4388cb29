"""An Assessment in, the JSON document of the contract (schema_version "1") out; and back.

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
    SequenceKind,
    Series,
    SeriesHeader,
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

SCHEMA_VERSION = "1"
DISCLAIMER = "Decision support, unverified. Not a diagnosis. No toxicity grade is given."


def to_document(assessment: Assessment) -> dict[str, Any]:
    """Plain JSON types only; figures that are not finite become null."""
    study = assessment.study
    return {
        "schema_version": SCHEMA_VERSION,
        "stage": assessment.stage.value,
        "disclaimer": DISCLAIMER,
        "study": {
            "study_instance_uid": study.study_instance_uid,
            "study_date": _date(study.study_date),
            "patient_id": study.patient.patient_id,
            "days_after_infusion": assessment.days_after_infusion,
        },
        "baseline": _baseline(assessment.baseline),
        "series": _series(assessment),
        "registration": _registration(assessment.registration),
        "measurements": [_measurement(m) for m in assessment.measurements],
        "findings": [_finding(f) for f in assessment.findings],
        "lesions": [_lesion(one) for one in assessment.lesions],
        "look_alikes": list(assessment.look_alikes),
        "evolution": _evolution(assessment.evolution),
        "baseline_report": _baseline_report(assessment.baseline_report),
        "decision": {
            "category": assessment.decision.category.value,
            "priority": assessment.decision.priority.value,
            "reasons": list(assessment.decision.reasons),
        },
        "notices": list(assessment.notices),
        "judged": {
            "from": assessment.judged.source.value,
            "protocol": assessment.judged.protocol.value if assessment.judged.protocol else None,
            "refusal": assessment.judged.refusal,
            "carried": list(assessment.judged.carried),
            "carried_on": _date(assessment.judged.carried_on),
        },
        "since": _since(assessment.since),
        "infusions": [{"date": _date(i.day), "kind": i.kind, "source": i.source} for i in assessment.infusions],
        "timings_s": {key: _number(value) for key, value in assessment.timings_s.items()},
        "versions": dict(assessment.versions),
    }


def _since(since: Since | None) -> dict[str, Any] | None:
    """null: not compared with a study that is no baseline."""
    if since is None:
        return None
    return {
        "study_instance_uid": since.study_instance_uid,
        "study_date": _date(since.study_date),
        "registration": _registration(since.registration),
        "measurements": [_measurement(m) for m in since.measurements],
        "findings": [_finding(f) for f in since.findings],
    }


def _baseline(choice: BaselineChoice | None) -> dict[str, Any] | None:
    """null when there is nothing to say; a refused comparison keeps its reason and the rejected candidates."""
    if choice is None:
        return None
    return {
        "study_instance_uid": choice.study_instance_uid,
        "study_date": _date(choice.study_date),
        "reason": choice.reason,
        "basis": choice.basis.value,
        "rejected": [{"study_instance_uid": r.study_instance_uid, "reason": r.reason} for r in choice.rejected],
    }


def _series(assessment: Assessment) -> list[dict[str, Any]]:
    problems = {s.series_instance_uid: f"{s.code}: {s.message}" for s in assessment.skipped}
    rows = []
    for series in assessment.study.series:
        uid = series.header.series_instance_uid
        reasons = list(series.identification.reasons)
        if uid in problems:
            reasons.append(problems.pop(uid))
        rows.append(
            {
                "series_instance_uid": uid,
                "kind": series.identification.kind.value,
                "used_as": assessment.used_as.get(uid),
                "reasons": reasons,
            }
        )
    rows += [
        {"series_instance_uid": uid, "kind": "unknown", "used_as": None, "reasons": [text]}
        for uid, text in problems.items()
    ]
    return rows


def _registration(result: RegistrationResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {
        "accepted": result.accepted,
        "reason": result.reason,
        "quality": {key: _number(value) for key, value in result.quality.items()},
        "followup_to_baseline_lps_mm": [[float(v) for v in row] for row in result.followup_to_baseline],
    }


def _measurement(m: Measurement) -> dict[str, Any]:
    return {
        "region": m.region,
        "quantity": m.quantity,
        "value": _number(m.value),
        "unit": m.unit,
        "uncertainty": _number(m.uncertainty),
        "baseline_value": _number(m.baseline_value),
        "assessable": m.assessable,
        "reason": m.reason,
    }


def _finding(f: Finding) -> dict[str, Any]:
    return {
        "pattern": f.pattern,
        "presence": f.presence.value,
        "strength": f.strength.value if f.strength else None,
        "explanation": f.explanation,
        "evidence": list(f.evidence),
    }


def _lesion(one: Lesion) -> dict[str, Any]:
    return {
        "number": one.number,
        "kind": one.kind,
        "site": one.site,
        "volume_ml": _number(one.volume_ml),
        "centre_lps_mm": [_number(v) for v in one.centre_lps_mm],
        "change_percent": _number(one.change_percent),
        "enhancing_volume_ml": _number(one.enhancing_volume_ml),
        "prior_injury_mm": _number(one.prior_injury_mm),
    }


def _evolution(evolution: Evolution | None) -> dict[str, Any] | None:
    if evolution is None:
        return None
    return {
        "patterns": [
            {"pattern": p.pattern, "state": p.state.value, "since": _date(p.since), "reason": p.reason}
            for p in evolution.patterns
        ],
        "trend": [
            {
                "region": series.region,
                "quantity": series.quantity,
                "unit": series.unit,
                "points": [_point(point) for point in series.points],
            }
            for series in evolution.trend
        ],
        "later_loss": _later_loss(evolution.later_loss),
    }


def _later_loss(found: Finding | None) -> dict[str, Any] | None:
    """null: nothing was restricted before."""
    if found is None:
        return None
    return {
        "pattern": found.pattern,
        "presence": found.presence.value,
        "explanation": found.explanation,
        "evidence": list(found.evidence),
    }


def _point(point: TrendPoint) -> dict[str, Any]:
    return {
        "study_instance_uid": point.study_instance_uid,
        "study_date": _date(point.study_date),
        "days_after_infusion": point.days_after_infusion,
        "value": _number(point.value),
        "uncertainty": _number(point.uncertainty),
        "stage": point.stage,
        "protocol": point.protocol,
        "baseline_study_instance_uid": point.baseline_study_instance_uid,
    }


def _baseline_report(report: BaselineReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "study_instance_uid": report.study_instance_uid,
        "study_date": _date(report.study_date),
        "abnormal": report.abnormal,
        "statements": list(report.statements),
        "measurements": [_measurement(m) for m in report.measurements],
        "lesions": [_lesion(one) for one in report.lesions],
        "sites": list(report.sites),
    }


def _date(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _number(value: float | None) -> float | None:
    return round(float(value), 6) if value is not None and math.isfinite(value) else None


# -- and back ----------------------------------------------------------------------------------------

Document = Mapping[str, Any]
PROTOCOL_NOTICE = "protocol: "  # documents without the key "judged" say the class in a notice only
LATER_LOSS_PATTERN = "C"  # of documents that do not say it


def from_document(document: Document) -> Assessment:
    """The assessment as far as its document holds it; keys that an earlier version did not write are taken as empty.

    A document holds no header, time, accession number, birth date or sex. Reasons for which a series was skipped stay
    among the reasons of the series. Figures have six decimals.

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
            JudgedFrom(judged["from"]), protocol, judged["refusal"], carried, _date_of(judged.get("carried_on"))
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
    return Series(SeriesHeader(row["series_instance_uid"]), known)


def _baseline_of(row: Document | None) -> BaselineChoice | None:
    if row is None:
        return None
    rejected = tuple(RejectedBaseline(one["study_instance_uid"], one["reason"]) for one in row["rejected"])
    basis = Basis(row.get("basis", Basis.NONE.value))
    return BaselineChoice(row["study_instance_uid"], _date_of(row["study_date"]), row["reason"], rejected, basis)


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
    )


def _date_of(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _number_of(value: float | None) -> float:
    """null stands for a figure that was not finite."""
    return math.nan if value is None else value
