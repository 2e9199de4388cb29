"""The straight line through the core on a small head: what is decided, what is refused, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from tests.builders import (
    a_study,
    another_head,
    labels_on,
    prepared_from,
    raised,
    rigid,
    scanned,
    small_head,
    some_images,
)
from triage.assessment import (
    Context,
    Outcome,
    PreparedBaseline,
    days_after,
    first_look,
    full,
    prepare_baseline,
)
from triage.document import to_document
from triage.errors import NotAssessable
from triage.measurement import MeasurementLimits, lookup
from triage.model import (
    Atlas,
    BaselineChoice,
    Category,
    Presence,
    Priority,
    RejectedBaseline,
    SequenceKind,
    SkippedSeries,
    Stage,
    StudyImages,
    Volume,
)
from triage.regions import THALAMI, mask_of
from triage.settings import TriageSettings

# Coarser than the default, for speed.
SETTINGS = TriageSettings(measuring_spacing_mm=2.5, measurement=MeasurementLimits(pseudo_regions=12))
CHOICE = BaselineChoice("1.2.1", date(2026, 2, 20), "latest before the infusion")
CONTEXT = Context(date(2026, 3, 3), CHOICE, {"icansee": "test"})
POSE = rigid((4, -3, 5), (6, -8, 5))


@pytest.fixture(scope="module")
def prepared(head: Volume, atlas: Atlas) -> PreparedBaseline:
    return prepared_from(scanned(head, seed=21), atlas)


def a_followup(atlas: Atlas, percent: float = 0.0) -> StudyImages:
    """Another pose and gain; thalami and pons raised."""
    moved = small_head(atlas, POSE)
    higher = raised(moved, labels_on(moved, atlas, POSE), atlas, (*THALAMI, "pons"), percent)
    return some_images(scanned(higher, seed=22, gain=2.5))


@pytest.fixture(scope="module")
def unchanged(prepared: PreparedBaseline, atlas: Atlas) -> Outcome:
    return full(a_followup(atlas), prepared, CONTEXT, atlas, SETTINGS)


@pytest.fixture(scope="module")
def changed(prepared: PreparedBaseline, atlas: Atlas) -> Outcome:
    return first_look(a_followup(atlas, 20.0), prepared, CONTEXT, atlas, SETTINGS)


# -- compared --------------------------------------------------------------------------------------


def test_nothing_changed_is_no_pattern(unchanged: Outcome) -> None:
    assessment = unchanged.assessment
    assert assessment.decision.category is Category.NO_PATTERN, assessment.decision
    assert assessment.decision.priority is Priority.UNCHANGED
    assert {f.pattern: f.presence for f in assessment.findings}["A"] is Presence.ABSENT
    for side in THALAMI:
        assert lookup(assessment.measurements, side, "flair_change_percent").value == pytest.approx(0.0, abs=2.0)


def test_raised_thalami_and_pons_are_suspected(changed: Outcome) -> None:
    assessment = changed.assessment
    assert assessment.decision.category is Category.NEUROTOXICITY_SUSPECTED, assessment.decision
    for region in (*THALAMI, "pons"):
        assert lookup(assessment.measurements, region, "flair_change_percent").value == pytest.approx(20.0, abs=4.0)


def test_the_full_stage_adds_and_takes_nothing_away(unchanged: Outcome, changed: Outcome) -> None:
    whole, first = ({(m.region, m.quantity) for m in o.assessment.measurements} for o in (unchanged, changed))
    assert first < whole
    assert ("thalamus_left", "volume_change_percent") in whole - first
    assert unchanged.assessment.stage is Stage.FULL
    assert changed.assessment.stage is Stage.FIRST_LOOK


def test_what_is_said_about_it(unchanged: Outcome) -> None:
    assessment = unchanged.assessment
    assert assessment.days_after_infusion == 7
    assert assessment.baseline == CHOICE
    assert assessment.used_as == {"1.2.3.1": "flair"}
    assert assessment.versions == {"icansee": "test"}
    assert any(notice.startswith("protocol: same") for notice in assessment.notices)
    assert {"registration", "common_scale", "measurement", "swelling", "assess"} <= set(assessment.timings_s)
    assert assessment.registration is not None
    assert assessment.registration.accepted
    assert to_document(assessment)["decision"]["category"] == "no_pattern"


def test_the_evidence_shows_the_change_where_it_is(changed: Outcome, atlas: Atlas) -> None:
    from triage.evidence import on_followup_grid

    assert changed.evidence is not None
    maps = on_followup_grid(changed.evidence)
    assert maps.labels is not None
    assert maps.change_percent is not None
    thalami = mask_of(maps.labels.voxels, changed.evidence.label_names, THALAMI)
    white = mask_of(maps.labels.voxels, changed.evidence.label_names, ("white_matter_left", "white_matter_right"))
    assert np.nanmedian(maps.change_percent.voxels[thalami]) > 12
    assert np.nanmedian(maps.change_percent.voxels[white]) == pytest.approx(0.0, abs=2.0)


def test_another_contrast_counts_as_another_protocol(prepared: PreparedBaseline, atlas: Atlas) -> None:
    """Headers say nothing; grey matter is 15 % darker at the follow-up."""
    moved = small_head(atlas, POSE)
    grey = [
        name for name in atlas.label_names.values() if name.startswith(("cortex", "cerebellum", "putamen", "caudate"))
    ]
    darker = raised(moved, labels_on(moved, atlas, POSE), atlas, grey, -15.0)
    notices = first_look(some_images(scanned(darker, seed=23)), prepared, CONTEXT, atlas, SETTINGS).assessment.notices
    assert any("protocol: different" in notice and "grey/white" in notice for notice in notices)


# -- refused ---------------------------------------------------------------------------------------


def test_another_head_is_not_assessable(prepared: PreparedBaseline, head: Volume, atlas: Atlas) -> None:
    outcome = first_look(some_images(scanned(another_head(head), seed=24)), prepared, CONTEXT, atlas, SETTINGS)
    assessment = outcome.assessment
    assert assessment.decision.category is Category.NOT_ASSESSABLE
    assert assessment.decision.reasons[0].startswith("registration_failed")
    assert all(f.presence is Presence.INDETERMINATE for f in assessment.findings)
    assert [f.pattern for f in assessment.findings] == ["A", "B", "C", "D"]
    assert assessment.measurements == ()
    assert assessment.registration is not None
    assert not assessment.registration.accepted
    assert outcome.evidence is not None, "the reader sees both dates all the same"
    assert outcome.evidence.change is None


def no_flair(**changes: Any) -> StudyImages:
    return replace(some_images(None), **changes)


@pytest.mark.parametrize(
    ("images", "code"),
    [
        pytest.param(StudyImages(a_study(SequenceKind.T1), {}, {}), "no_flair", id="no FLAIR series"),
        pytest.param(
            no_flair(skipped=(SkippedSeries("1.2.3.1", "missing_slices", "2 gaps"),)),
            "missing_slices",
            id="a FLAIR series that cannot be read",
        ),
        pytest.param(
            no_flair(skipped=(SkippedSeries("9.9", "missing_slices", "2 gaps"),)),
            "no_flair",
            id="another series that cannot be read",
        ),
    ],
)
@pytest.mark.parametrize("stage", [first_look, full])
def test_without_a_flair_volume(
    images: StudyImages, code: str, stage: Any, prepared: PreparedBaseline, atlas: Atlas
) -> None:
    assessment = stage(images, prepared, CONTEXT, atlas, SETTINGS).assessment
    assert assessment.decision.category is Category.NOT_ASSESSABLE
    assert assessment.decision.reasons[0].startswith(f"{code}:")
    assert all(f.presence is Presence.INDETERMINATE for f in assessment.findings)
    with pytest.raises(NotAssessable) as refused:
        prepare_baseline(images, atlas, SETTINGS)
    assert refused.value.code == code


# -- no baseline -----------------------------------------------------------------------------------

NONE_LEFT = BaselineChoice(None, None, "every earlier study is refused", (RejectedBaseline("1.2.0", "no_flair: none"),))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        pytest.param(None, "no earlier study was given", id="nothing was looked for"),
        pytest.param(NONE_LEFT, "every earlier study is refused", id="all rejected"),
    ],
)
def test_without_a_baseline_the_first_look_says_so(
    choice: BaselineChoice | None, said: str, head: Volume, atlas: Atlas
) -> None:
    context = Context(None, choice, {})
    assessment = first_look(some_images(head), None, context, atlas, SETTINGS).assessment
    assert assessment.decision.category is Category.NOT_ASSESSABLE
    assert assessment.decision.reasons == (f"no_baseline: {said}",)
    assert assessment.measurements == ()
    assert assessment.baseline == choice
    assert "no infusion date is known for this patient" in assessment.notices


def test_without_a_baseline_the_full_stage_measures_the_scan(prepared: PreparedBaseline, atlas: Atlas) -> None:
    outcome = full(some_images(prepared.flair), None, Context(None, None, {}), atlas, SETTINGS)
    measured = outcome.assessment.measurements
    assert outcome.assessment.decision.category is Category.NOT_ASSESSABLE
    assert lookup(measured, "thalamus_left", "flair_ratio").assessable
    truth = (prepared.labels.voxels == 9).sum() * prepared.labels.voxel_volume_ml
    assert lookup(measured, "thalamus_left", "volume_ml").value == pytest.approx(truth, rel=0.15)
    assert outcome.evidence is not None
    assert outcome.evidence.labels is not None


# -- preparation -----------------------------------------------------------------------------------


def test_a_prepared_baseline_holds_the_regions_in_its_own_space(prepared: PreparedBaseline, atlas: Atlas) -> None:
    images = some_images(prepared.flair, uid="1.2.1", manufacturer="SIEMENS")
    found = prepare_baseline(images, atlas, SETTINGS)
    assert (found.study_instance_uid, found.series_instance_uid) == ("1.2.1", "1.2.1.1")
    assert found.header.manufacturer == "SIEMENS"
    assert found.labels.spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    assert found.labels.affine == pytest.approx(found.brain.affine)
    for label, name in atlas.label_names.items():
        if name in THALAMI:
            centres = [
                (v.affine @ [*np.argwhere(v.voxels == label).mean(axis=0)[::-1], 1])[:3]
                for v in (found.labels, prepared.labels)
            ]
            assert np.linalg.norm(centres[0] - centres[1]) < 1.5, name


@pytest.mark.parametrize(
    ("study", "infusion", "expected"),
    [
        pytest.param(date(2026, 3, 10), date(2026, 3, 3), 7, id="a week after"),
        pytest.param(date(2026, 3, 3), date(2026, 3, 3), 0, id="the day itself"),
        pytest.param(date(2026, 2, 20), date(2026, 3, 3), -11, id="before"),
        pytest.param(None, date(2026, 3, 3), None, id="study date unknown"),
        pytest.param(date(2026, 3, 3), None, None, id="infusion date unknown"),
    ],
)
def test_days_after_infusion(study: date | None, infusion: date | None, expected: int | None) -> None:
    assert days_after(study, infusion) == expected
