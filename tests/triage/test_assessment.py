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
from triage import preparation as preparation_module
from triage import without_flair as without_flair_module
from triage.alignment.placement import Placement, RegionLimits, place_atlas
from triage.anatomy import BRAIN_STEM, THALAMI, mask_of
from triage.assessment import Assessed, first_look, full
from triage.draft import Context
from triage.errors import NotAssessable
from triage.judging import judge_again
from triage.measurements import lookup
from triage.model import (
    Atlas,
    BaselineChoice,
    Category,
    DiffusionFacts,
    Presence,
    Priority,
    ProtocolMatch,
    RejectedBaseline,
    SequenceKind,
    SkippedSeries,
    Stage,
    Strength,
    StudyImages,
    Volume,
)
from triage.preparation import PreparedBaseline, prepare_baseline
from triage.report.contents import Assessment, JudgedFrom
from triage.report.document import to_document
from triage.report.stored import from_document
from triage.settings import TriageSettings
from triage.signal.change import MeasurementLimits

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
def placed(prepared: PreparedBaseline, atlas: Atlas) -> Placement:
    """Where the atlas is found on the baseline, which takes longer than all that is done with it."""
    return place_atlas(prepared.flair, atlas, SETTINGS.preparation.regions)


@pytest.fixture
def placed_once(prepared: PreparedBaseline, placed: Placement, monkeypatch: pytest.MonkeyPatch) -> None:
    def known(flair: Volume, _: Atlas, limits: RegionLimits) -> Placement:
        assert flair is prepared.flair
        assert limits == SETTINGS.preparation.regions
        return placed

    monkeypatch.setattr(preparation_module, "place_atlas", known)


@pytest.fixture(scope="module")
def unchanged(prepared: PreparedBaseline, atlas: Atlas) -> Assessed:
    return full(a_followup(atlas), prepared, CONTEXT, atlas, SETTINGS)


@pytest.fixture(scope="module")
def changed(prepared: PreparedBaseline, atlas: Atlas) -> Assessed:
    return first_look(a_followup(atlas, 20.0), prepared, CONTEXT, atlas, SETTINGS)


# -- compared --------------------------------------------------------------------------------------


def test_nothing_changed_is_no_pattern(unchanged: Assessed) -> None:
    assessment = unchanged.assessment
    assert assessment.decision.category is Category.NO_PATTERN, assessment.decision
    assert assessment.decision.priority is Priority.UNCHANGED
    assert {f.pattern: f.presence for f in assessment.findings}["A"] is Presence.ABSENT
    for side in THALAMI:
        assert lookup(assessment.measurements, side, "flair_change_percent").value == pytest.approx(0.0, abs=2.0)


def test_raised_thalami_and_pons_are_suspected(changed: Assessed) -> None:
    assessment = changed.assessment
    assert assessment.decision.category is Category.NEUROTOXICITY_SUSPECTED, assessment.decision
    for region in (*THALAMI, "pons"):
        assert lookup(assessment.measurements, region, "flair_change_percent").value == pytest.approx(20.0, abs=4.0)


def test_a_brain_stem_beside_the_atlas_is_not_measured_and_the_thalami_are(
    prepared: PreparedBaseline, atlas: Atlas
) -> None:
    doubtful = replace(prepared, doubts=dict.fromkeys(BRAIN_STEM, "region_fit: around the brain stem"))
    found = first_look(a_followup(atlas, 20.0), doubtful, CONTEXT, atlas, SETTINGS).assessment
    assert (lookup(found.measurements, "pons", "flair_change_percent").reason or "").startswith("region_fit: ")
    assert lookup(found.measurements, "thalamus_left", "flair_change_percent").value == pytest.approx(20.0, abs=4.0)
    assert {f.pattern: f.presence for f in found.findings}["A"] is Presence.PRESENT


def test_the_full_stage_adds_and_takes_nothing_away(unchanged: Assessed, changed: Assessed) -> None:
    whole, first = ({(m.region, m.quantity) for m in o.assessment.measurements} for o in (unchanged, changed))
    assert first < whole
    assert ("thalamus_left", "volume_change_percent") in whole - first
    assert unchanged.assessment.stage is Stage.FULL
    assert changed.assessment.stage is Stage.FIRST_LOOK


def test_what_is_said_about_it(unchanged: Assessed) -> None:
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


def test_stored_figures_say_the_same_without_the_images(unchanged: Assessed, changed: Assessed) -> None:
    assert_judged_alike(unchanged.assessment)
    assert_judged_alike(changed.assessment)
    assert (unchanged.assessment.judged.source, unchanged.assessment.judged.protocol) == ("comparison", "same")


def assert_judged_alike(assessment: Assessment) -> None:
    stored = from_document(to_document(assessment))
    assert judge_again(stored, SETTINGS) == (assessment.findings, assessment.decision)


def test_the_evidence_shows_the_change_where_it_is(changed: Assessed, atlas: Atlas) -> None:
    from triage.report.evidence import on_followup_grid

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
    found = first_look(some_images(scanned(darker, seed=23)), prepared, CONTEXT, atlas, SETTINGS).assessment
    assert any("protocol: different" in notice and "grey/white" in notice for notice in found.notices)
    assert found.judged.protocol is ProtocolMatch.DIFFERENT


# -- refused ---------------------------------------------------------------------------------------


def test_another_head_is_not_assessable(prepared: PreparedBaseline, head: Volume, atlas: Atlas) -> None:
    outcome = first_look(some_images(scanned(another_head(head), seed=24)), prepared, CONTEXT, atlas, SETTINGS)
    assessment = outcome.assessment
    assert assessment.decision.category is Category.NOT_ASSESSABLE
    assert assessment.decision.reasons[0].startswith("registration_failed")
    assert all(f.presence is Presence.INDETERMINATE for f in assessment.findings)
    assert_judged_alike(assessment)
    assert [f.pattern for f in assessment.findings] == ["A", "B", "C", "D"]
    assert assessment.measurements == ()
    assert assessment.registration is not None
    assert not assessment.registration.accepted
    assert outcome.evidence is not None, "the reader sees both dates all the same"
    assert outcome.evidence.change is None


def test_a_baseline_of_another_head_hides_no_more_than_none(prepared: PreparedBaseline, atlas: Atlas) -> None:
    """The follow-up shows the pattern by itself; its baseline, under the same patient ID, is of somebody else."""
    stranger = replace(prepared, flair=scanned(another_head(prepared.flair), seed=24), working={})
    found = full(a_followup(atlas, 45.0), stranger, CONTEXT, atlas, SETTINGS).assessment
    assert found.registration is not None
    assert not found.registration.accepted
    assert found.decision.reasons[0].startswith("registration_failed")
    assert found.decision.category is not Category.NOT_ASSESSABLE, found.decision
    assert found.decision.priority is not Priority.P1, "as without a baseline"
    assert found.judged.source is JudgedFrom.SINGLE_SCAN
    assert any("single scan was measured" in notice for notice in found.notices)
    assert_judged_alike(found)


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
        prepare_baseline(images, atlas, SETTINGS.preparation)
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


@pytest.mark.usefixtures("placed_once")
def test_without_a_baseline_the_full_stage_measures_the_scan(prepared: PreparedBaseline, atlas: Atlas) -> None:
    outcome = full(some_images(prepared.flair), None, Context(None, None, {}), atlas, SETTINGS)
    measured = outcome.assessment.measurements
    assert outcome.assessment.decision.category is Category.NOT_ASSESSABLE
    assert not outcome.assessment.is_before_treatment, "the infusion is not known"
    assert_judged_alike(outcome.assessment)
    assert lookup(measured, "thalamus_left", "flair_ratio").assessable
    truth = (prepared.labels.voxels == 9).sum() * prepared.labels.voxel_volume_ml
    assert lookup(measured, "thalamus_left", "volume_ml").value == pytest.approx(truth, rel=0.15)
    assert outcome.evidence is not None
    assert outcome.evidence.labels is not None


# -- preparation -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("placed_once")
def test_a_prepared_baseline_holds_the_regions_in_its_own_space(prepared: PreparedBaseline, atlas: Atlas) -> None:
    images = some_images(prepared.flair, uid="1.2.1", manufacturer="SIEMENS")
    found = prepare_baseline(images, atlas, SETTINGS.preparation)
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


# -- diffusion images alone ------------------------------------------------------------------------


def diffusion_images(head: Volume, atlas: Atlas, ratio: float, *, map_too: bool = True) -> StudyImages:
    """A head of DWI, ADC and b = 0 without FLAIR.

    The ADC of the left occipital cortex within 14 mm of a point is multiplied by ``ratio``.
    """
    unweighted, labels = scanned(head, seed=5), labels_on(head, atlas)
    adc = np.where(labels > 0, 800.0, 3000.0) * np.random.default_rng(5).normal(1.0, 0.04, labels.shape)
    lobe = mask_of(labels, atlas.label_names, ("cortex_occipital_left",))
    places = np.argwhere(lobe)
    centre = places[np.argmin(np.linalg.norm(places - places.mean(axis=0), axis=1))]
    near = np.linalg.norm(np.moveaxis(np.indices(labels.shape), 0, -1) - centre, axis=-1) <= 7  # voxels of 2 mm
    adc[near & lobe] *= ratio
    volumes = {
        SequenceKind.DWI: Volume((unweighted.voxels * np.exp(-1e-3 * adc)).astype(np.float32), unweighted.affine),
        SequenceKind.ADC: Volume(adc.astype(np.float32), unweighted.affine),
    }
    kept = {kind: v for kind, v in volumes.items() if map_too or kind is SequenceKind.DWI}
    study = a_study(*kept)
    used = {kind: s.header.series_instance_uid for kind, s in zip(kept, study.series, strict=True)}
    facts = DiffusionFacts(1000.0, 0.0, "1e-6 mm2/s")
    return StudyImages(study, kept, used, dwi_b0=unweighted if map_too else None, diffusion=facts)


@pytest.fixture
def known_place(head: Volume, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the atlas lies is given, not looked for."""
    labels = labels_on(head, atlas)
    placed = (Volume(labels, head.affine), Volume((labels > 0).astype(np.uint8), head.affine))
    monkeypatch.setattr(without_flair_module, "place_atlas", lambda *_: None)
    monkeypatch.setattr(without_flair_module, "regions_on", lambda *_: placed)
    monkeypatch.setattr(without_flair_module, "brain_grid", lambda *_: None)


@pytest.mark.usefixtures("known_place")
@pytest.mark.parametrize(
    ("ratio", "map_too", "presence", "strength", "says"),
    [
        pytest.param(0.65, True, Presence.PRESENT, Strength.SUSPECTED, "left occipital", id="restricted"),
        pytest.param(1.0, True, Presence.ABSENT, None, "0.0 mL", id="noop"),
        pytest.param(0.65, False, Presence.INDETERMINATE, None, "no_adc", id="not measured: DWI alone"),
    ],
)
def test_diffusion_without_flair_is_assessed_for_pattern_c_alone(
    head: Volume, atlas: Atlas, ratio: float, map_too: bool, presence: Presence, strength: Strength | None, says: str
) -> None:
    outcome = full(diffusion_images(head, atlas, ratio, map_too=map_too), None, CONTEXT, atlas, SETTINGS)
    found = {f.pattern: f for f in outcome.assessment.findings}
    assert (found["C"].presence, found["C"].strength) == (presence, strength)
    assert says in found["C"].explanation
    assert {f.presence for pattern, f in found.items() if pattern != "C"} == {Presence.INDETERMINATE}
    assert "no FLAIR: only pattern C (diffusion) was assessed" in outcome.assessment.notices
    assert_judged_alike(outcome.assessment)
    assert outcome.evidence is not None
    seen = outcome.evidence.masks.get("restricted")
    assert (seen is not None and bool(seen.voxels.any())) is (presence is Presence.PRESENT)
    if presence is not Presence.PRESENT:
        assert outcome.assessment.decision.category is Category.NOT_ASSESSABLE, "no FLAIR is never a clean bill"


def test_why_there_is_no_flair_comes_before_why_diffusion_fails(
    head: Volume, atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_head(*_: object) -> None:
        raise NotAssessable("atlas_failed", "no human head?")

    monkeypatch.setattr(without_flair_module, "place_atlas", no_head)
    outcome = full(diffusion_images(head, atlas, 0.65), None, CONTEXT, atlas, SETTINGS)
    reason = outcome.assessment.decision.reasons[0]
    assert reason.startswith("no_flair: the study holds no FLAIR series; nor the diffusion images (atlas_failed:")
    assert outcome.assessment.notices == ()


def test_the_first_look_waits_for_a_flair(head: Volume, atlas: Atlas) -> None:
    early = first_look(diffusion_images(head, atlas, 0.65), None, CONTEXT, atlas, SETTINGS).assessment
    assert {f.presence for f in early.findings} == {Presence.INDETERMINATE}
    assert early.measurements == ()
    assert early.decision.reasons[0].startswith("no_flair:")
