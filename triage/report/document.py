"""An Assessment in, the JSON document of the contract (schema_version "1") out."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

from triage.model import (
    BaselineChoice,
    Finding,
    Lesion,
    Measurement,
    RegistrationResult,
    SameAcquisition,
    SeriesHeader,
    SkippedSeries,
)
from triage.report.contents import (
    Assessment,
    BaselineReport,
    Evolution,
    Since,
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
        "ignored": [_ignored(one) for one in assessment.ignored],
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
            "before_treatment": assessment.judged.before_treatment,
        },
        "since": _since(assessment.since),
        "infusions": [{"date": _date(i.day), "kind": i.kind, "source": i.source} for i in assessment.infusions],
        "tissue_ratio": _number(assessment.tissue_ratio),
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
        **_same_acquisition(choice.same),
    }


def _same_acquisition(same: SameAcquisition | None) -> dict[str, Any]:
    """The key is there only when an earlier study holds the same images."""
    if same is None:
        return {}
    uid, day = same.study_instance_uid, _date(same.study_date)
    return {"same_acquisition": {"study_instance_uid": uid, "study_date": day, "found": list(same.found)}}


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
                "objects": series.header.instance_count,
                "scanner": _scanner(series.header),
                "reasons": reasons,
            }
        )
    rows += [
        {
            "series_instance_uid": uid,
            "kind": "unknown",
            "used_as": None,
            "objects": 0,
            "scanner": None,
            "reasons": [text],
        }
        for uid, text in problems.items()
    ]
    return rows


def _scanner(header: SeriesHeader) -> dict[str, Any] | None:
    """null: the images name none."""
    tesla = _number(header.magnetic_field_strength_t)
    if not (header.manufacturer or header.model_name or header.station_name or tesla):
        return None
    return {
        "manufacturer": header.manufacturer or None,
        "model": header.model_name or None,
        "station": header.station_name or None,
        "field_strength_t": tesla,
    }


def _ignored(one: SkippedSeries) -> dict[str, Any]:
    return {
        "series_instance_uid": one.series_instance_uid or None,
        "objects": one.objects or 0,
        "code": one.code,
        "message": one.message,
    }


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
        "found": list(report.found),
    }


def _date(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _number(value: float | None) -> float | None:
    return round(float(value), 6) if value is not None and math.isfinite(value) else None
