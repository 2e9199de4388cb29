"""Stored documents and evidence for the tests of alerts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.workers.outputs.evidence.evidence_builders import an_assessment
from triage.model import Category, Decision, Finding, Presence, Priority, Stage, Strength
from triage.report.contents import Course, Evolution, PatternCourse
from triage.report.document import to_document
from workers.outputs.sources import FILE_NAME, Sources, SourceStudy, sources_to_json

HEADER = {
    "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう", "PatientID": "A|1^2", "IssuerOfPatientID": "KLINIK",
    "PatientBirthDate": "19700102", "PatientSex": "F", "StudyInstanceUID": "1.2.826.0.1.77", "StudyDate": "20240311",
    "StudyTime": "083015.5", "TimezoneOffsetFromUTC": "+0900", "AccessionNumber": "ACC-7",
    "PlacerOrderNumberImagingServiceRequest": "P-1", "FillerOrderNumberImagingServiceRequest": "F-2",
}  # fmt: skip
RTL = {"PatientName": "כהן^דוד\u202e", "PatientID": "55", "StudyInstanceUID": "1.2.826.0.1.77", "StudyDate": "20240311"}
PICTURE = b"\x89PNG\r\n\x1a\npixels"


def a_document(**keys: Any) -> dict[str, Any]:
    """Pattern A, strong and new, P1."""
    line = "thalamus_left/flair_change_percent = +24.8 ± 1.1 %"
    return to_document(
        replace(
            an_assessment(),
            findings=(
                Finding("A", Presence.PRESENT, Strength.STRONG, "both thalami rise", (line,)),
                Finding("B", Presence.ABSENT, None, "no new lesion"),
            ),
            evolution=Evolution((PatternCourse("A", Course.NEW, None, "first seen"),), ()),
        )
    ) | {"decided_at": "2024-03-11T09:00:01+00:00", **keys}


def not_assessable() -> dict[str, Any]:
    why = "no_flair: the study has no FLAIR series"
    decision = Decision(Category.NOT_ASSESSABLE, Priority.UNCHANGED, (why,))
    return to_document(
        replace(
            an_assessment(()), findings=(), decision=decision, baseline=None, days_after_infusion=None, stage=Stage.FULL
        )
    )


def quiet() -> dict[str, Any]:
    """Nothing found."""
    decision = Decision(Category.NO_PATTERN, Priority.UNCHANGED, ("pattern A absent: no change",))
    finding = Finding("A", Presence.ABSENT, None, "no change")
    return to_document(replace(an_assessment(), findings=(finding,), decision=decision))


def evidence(
    header: dict[str, str] | None = None,
    *,
    revision: int = 3,
    picture: bool = True,
    previous: tuple[int, str] | None = None,
) -> dict[str, bytes]:
    sources = Sources(SourceStudy(HEADER if header is None else header, ()), None, revision, previous)
    return {FILE_NAME: sources_to_json(sources)} | ({"evidence.png": PICTURE} if picture else {})


def stored(document: dict[str, Any]) -> dict[str, Any]:
    """As it comes out of the index."""
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found
