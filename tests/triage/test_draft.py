"""A draft in, the Assessment out: what a copy of the study brings with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from tests.builders import rigid, some_images
from triage.alignment.session import Session
from triage.detection import indeterminate
from triage.draft import Context, Draft
from triage.measurements import not_measured
from triage.model import (
    BaselineChoice,
    Basis,
    Category,
    Finding,
    Found,
    Measurement,
    Presence,
    SameAcquisition,
    SequenceKind,
    Stage,
    Volume,
)
from triage.patterns.all import PATTERNS
from triage.report.contents import JudgedFrom
from triage.report.document import to_document
from triage.report.evidence import Evidence
from triage.report.headline import is_before_treatment
from triage.report.stored import from_document
from triage.settings import TriageSettings

DAY = date(2024, 3, 9)
ABSENT = tuple(Finding(p.name, Presence.ABSENT, None, "none of it") for p in PATTERNS)
OPEN = indeterminate("could not be measured")
COPIES = [
    pytest.param(None, (), id="noop"),
    pytest.param(SameAcquisition("1.9", DAY), (), id="nothing-found"),
    pytest.param(SameAcquisition("1.9", DAY, ("A", "D")), ("A", "D"), id="found"),
]


@pytest.mark.parametrize(("same", "found"), COPIES)
def test_what_was_found_in_a_copy_is_carried(same: SameAcquisition | None, found: tuple[str, ...]) -> None:
    """Nothing could be compared: the same images still show what they showed, and the result says where."""
    choice = BaselineChoice(None, None, "no study before the infusion", (), Basis.NONE, same=same)
    draft = Draft(some_images(None), Context(None, choice, {}), Stage.FULL, refusal="no_baseline: none")
    assessment = draft.finish({}, None, TriageSettings())
    assert {f.pattern for f in assessment.findings if f.presence is Presence.PRESENT} == set(found)
    decision = assessment.decision
    assert decision.category is (Category.POSSIBLE if found else Category.NOT_ASSESSABLE)
    named = [reason for reason in decision.reasons if reason.startswith("same_acquisition: the study of 2024-03-09")]
    assert len(named) == (same is not None)
    assert all(("carried on" in reason) is bool(found) for reason in named)
    assert (assessment.judged.carried, assessment.judged.carried_on) == (found, DAY if found else None)
    document = to_document(assessment)
    assert to_document(from_document(document)) == document
    assert ("same_acquisition" in document["baseline"]) is (same is not None)


EARLIER = {
    "study": {"study_instance_uid": "1.5", "study_date": "2024-03-09"},
    "findings": [{"pattern": "A", "presence": "present", "explanation": "so"}],
}
NOW = date(2024, 3, 11)
EMPTY = "in the FLAIR 3 of 30 slices are empty between others"
GOES_ON = [
    pytest.param({}, (), None, Presence.PRESENT, id="not measurable now"),
    pytest.param({"findings": ABSENT}, (), None, Presence.ABSENT, id="gone"),
    pytest.param({"findings": ABSENT}, (EMPTY,), None, Presence.PRESENT, id="not seen, in images that may hide it"),
    pytest.param({"judged_from": JudgedFrom.DIFFUSION}, (), None, Presence.PRESENT, id="diffusion images alone"),
    pytest.param({"judged_from": JudgedFrom.NOTHING}, (), None, Presence.INDETERMINATE, id="nothing was measured"),
    pytest.param({"stage": Stage.FIRST_LOOK}, (), None, Presence.INDETERMINATE, id="a first look: the rest may tell"),
    pytest.param({}, (), date(2024, 3, 4), Presence.PRESENT, id="after the infusion"),
    pytest.param({}, (), date(2024, 3, 10), Presence.INDETERMINATE, id="found before the infusion"),
]


@pytest.mark.parametrize(("changes", "doubts", "infusion", "presence"), GOES_ON)
def test_what_was_found_in_the_course_goes_on(
    changes: dict[str, Any], doubts: tuple[str, ...], infusion: date | None, presence: Presence
) -> None:
    images = replace(some_images(None, day=NOW), doubts=doubts)
    choice = BaselineChoice("1.1", date(2024, 2, 23), "the latest study before the infusion")
    context = Context(infusion, choice, {}, earlier=(EARLIER,))
    draft = Draft(images, context, Stage.FULL, findings=OPEN, judged_from=JudgedFrom.COMPARISON)
    assessment = replace(draft, **changes).finish({}, None, TriageSettings())
    (found,) = (f for f in assessment.findings if f.pattern == "A")
    assert found.presence is presence
    went_on = presence is Presence.PRESENT
    assert (found.explanation.startswith("found on 2024-03-09")) is went_on
    assert assessment.judged.carried == (("A",) if went_on else ())
    assert assessment.judged.carried_on == (DAY if went_on else None)


@pytest.mark.parametrize(
    ("changes", "images", "choice", "expected"),
    [
        pytest.param({}, {}, None, True, id="the single scan was measured and is clear"),
        pytest.param({"clear_before_treatment": False}, {}, None, False, id="noop: after the infusion, or a pattern"),
        pytest.param({"judged_from": JudgedFrom.NOTHING}, {}, None, False, id="not measured"),
        pytest.param({"judged_from": JudgedFrom.COURSE}, {}, None, False, id="compared with what is no baseline"),
        pytest.param({"refusal": "contrast: another one"}, {}, None, False, id="an earlier scan does not fit"),
        pytest.param({"refusal": None}, {}, None, False, id="compared"),
        pytest.param({}, {"doubts": ("in the FLAIR 3 of 20 slices are empty",)}, None, False, id="a doubt"),
        pytest.param({}, {}, SameAcquisition("1.9", DAY), False, id="a copy"),
    ],
)
def test_what_counts_as_a_clear_scan_before_treatment(
    changes: dict[str, Any], images: dict[str, Any], choice: SameAcquisition | None, expected: bool
) -> None:
    baseline = BaselineChoice(None, None, "none", (), Basis.NONE, same=choice)
    draft = Draft(
        replace(some_images(None), **images),
        Context(None, baseline, {}),
        Stage.FULL,
        refusal="no_baseline: none",
        judged_from=JudgedFrom.SINGLE_SCAN,
        clear_before_treatment=True,
    )
    assessment = replace(draft, **changes).finish({}, None, TriageSettings())
    assert assessment.judged.before_treatment is expected
    assert assessment.is_before_treatment is expected
    assert assessment.decision.category is Category.NOT_ASSESSABLE, "the category of the contract stays"
    document = to_document(assessment)
    assert document["judged"]["before_treatment"] is is_before_treatment(document) is expected
    assert to_document(from_document(document)) == document


def test_noop_without_a_choice() -> None:
    draft = Draft(some_images(None), Context(None, None, {}), Stage.FULL, refusal="no_baseline: none")
    assert replace(draft).finish({}, None, TriageSettings()).judged.carried == ()


def a_session(*kinds: SequenceKind) -> Session:
    """Each series moved by 2 mm to the left onto the anchor."""
    series = Volume(np.ones((2, 3, 4), np.float32), np.eye(4))
    return Session(
        SequenceKind.FLAIR, dict.fromkeys(kinds, series), dict.fromkeys(kinds, np.array(rigid((0, 0, 0), (2, 0, 0))))
    )


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [
        pytest.param((SequenceKind.DWI, SequenceKind.ADC), (), [], id="noop: the baseline has none"),
        pytest.param((), (SequenceKind.DWI,), [], id="the follow-up has none"),
        pytest.param((SequenceKind.DWI,), (SequenceKind.DWI, SequenceKind.ADC), ["dwi"], id="what both have"),
        pytest.param((SequenceKind.T1,), (SequenceKind.T1,), [], id="T1 is shown beside T1 after contrast only"),
        pytest.param(
            (SequenceKind.T1, SequenceKind.T1_GD), (SequenceKind.T1,), ["t1"], id="no contrast was given before"
        ),
    ],
)
def test_series_of_the_baseline_lie_where_those_of_the_follow_up_lie(
    now: tuple[SequenceKind, ...], before: tuple[SequenceKind, ...], shown: list[str]
) -> None:
    flair = Volume(np.ones((2, 3, 4), np.float32), np.eye(4))
    evidence = Evidence(flair, None, None, {}, None, None, None)
    draft = Draft(some_images(None), Context(None, None, {}), Stage.FULL, evidence=evidence)
    moved = np.array(rigid((0, 0, 0), (0, 5, 0)))
    found = draft.with_series(a_session(*now), (a_session(*before), moved)).evidence
    assert found is not None
    assert sorted(found.before) == shown
    assert all(volume.affine[:3, 3].tolist() == [2.0, 5.0, 0.0] for volume in found.before.values())
    assert all(volume.affine[:3, 3].tolist() == [2.0, 0.0, 0.0] for volume in found.diffusion.values())
    alone = draft.with_series(a_session(*now)).evidence
    assert alone is not None
    assert alone.before == {}


PONS, OTHER = Measurement("pons", "volume_ml", 14.0, "mL", 0.5), Measurement("midbrain", "volume_ml", 7.0, "mL")
UNSEEN = not_measured("pons", "volume_ml", "mL", "coverage: cut")


@pytest.mark.parametrize(
    ("doubts", "found", "kept"),
    [
        pytest.param({}, (PONS, OTHER), (PONS, OTHER), id="noop: no doubt"),
        pytest.param({"pons": "why"}, (PONS, OTHER), (not_measured("pons", "volume_ml", "mL", "why"), OTHER), id="one"),
        pytest.param({"pons": "why"}, (UNSEEN,), (UNSEEN,), id="not measured before: its own reason"),
    ],
)
def test_a_region_in_doubt_has_no_figure(
    doubts: dict[str, str], found: tuple[Measurement, ...], kept: tuple[Measurement, ...]
) -> None:
    draft = Draft(some_images(None), Context(None, None, {}), Stage.FULL, doubts=doubts)
    assert draft.with_found(Found(found)).measurements == kept
