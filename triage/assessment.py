"""The straight line: images of a study (and its prepared baseline) in, an Assessment and its evidence out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import SimpleITK as sitk

from triage import protocol
from triage.alignment.comparison import Pair, contrasts, on_common_grid, tissue_spread
from triage.alignment.images import affine_of, inverse, to_sitk
from triage.alignment.placement import brain_grid, place_atlas, regions_on
from triage.alignment.registration import register_followup
from triage.alignment.session import Session, align, diffusion_alone
from triage.decision import days_after, decide
from triage.detection import detect, detect_alone, diffusion_only, indeterminate, not_yet
from triage.diffusion.figures import Anatomy, restricted
from triage.errors import NotAssessable
from triage.fluid.changes import KINDS as FLUID_KINDS
from triage.fluid.changes import fluid_alone, fluid_changes
from triage.lesions.enhancement import enhancing, enhancing_alone
from triage.lesions.focal import Candidates, candidates, focal_changes, supported
from triage.model import (
    Affine,
    Atlas,
    BaselineChoice,
    Decision,
    Finding,
    Found,
    Lesion,
    Measurement,
    ProtocolMatch,
    RegistrationResult,
    SequenceKind,
    SeriesHeader,
    Stage,
    StudyImages,
    Volume,
)
from triage.preparation import (
    LABEL_SPACING_MM,
    PreparedBaseline,
    before_treatment,
    header_of,
    no_flair,
    place,
    use_threads,
)
from triage.report import look_alikes
from triage.report.baseline_report import baseline_report
from triage.report.contents import Assessment, BaselineReport  # fmt: skip
from triage.report.evidence import Evidence
from triage.report.evolution import evolution, visit_now
from triage.settings import TriageSettings
from triage.signal import swelling
from triage.signal.change import flair_changes, volumes
from triage.signal.separators import separators
from triage.signal.single_scan import measure_alone, plain_figures
from triage.stopwatch import Stopwatch


@dataclass(frozen=True)
class Context:
    """What is known besides the images. baseline_choice None: nothing was looked for.

    earlier: newest document of each earlier study of the patient (any order), for the course of the patterns.
    """

    infusion_date: date | None
    baseline_choice: BaselineChoice | None
    versions: Mapping[str, str]
    earlier: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, eq=False)
class Assessed:
    """One assessment and the images that show it. evidence None: there is nothing to show."""

    assessment: Assessment
    evidence: Evidence | None


def first_look(
    images: StudyImages, prepared: PreparedBaseline | None, context: Context, atlas: Atlas, settings: TriageSettings
) -> Assessed:
    """FLAIR against the prepared baseline within seconds; never raises NotAssessable, that becomes the decision."""
    return _assess(images, prepared, context, atlas, settings, Stage.FIRST_LOOK)


def full(
    images: StudyImages, prepared: PreparedBaseline | None, context: Context, atlas: Atlas, settings: TriageSettings
) -> Assessed:
    """Everything: the first look plus swelling and, without a baseline, the single-scan figures."""
    return _assess(images, prepared, context, atlas, settings, Stage.FULL)


def _assess(
    images: StudyImages,
    prepared: PreparedBaseline | None,
    context: Context,
    atlas: Atlas,
    settings: TriageSettings,
    stage: Stage,
) -> Assessed:
    use_threads(settings)
    clock = Stopwatch()
    started = time.perf_counter()
    draft = _Draft(images, context, stage)
    try:
        flair = images.volumes.get(SequenceKind.FLAIR)
        if flair is None:
            draft = _without_flair(draft, atlas, settings, stage, clock)
        elif prepared is None:
            draft = _alone(draft, flair, atlas, settings, stage, clock)
        else:
            draft = _compare(draft, flair, prepared, settings, stage, clock)
    except NotAssessable as refusal:
        draft = replace(draft, refusal=str(refusal))
    return draft.finish({**clock.parts_s, "assess": time.perf_counter() - started}, prepared, settings)


@dataclass(frozen=True, eq=False)
class _Draft:
    """The assessment as it grows along the line."""

    images: StudyImages
    context: Context
    stage: Stage
    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    registration: RegistrationResult | None = None
    notices: tuple[str, ...] = ()
    lesions: tuple[Lesion, ...] = ()
    evidence: Evidence | None = None
    refusal: str | None = None
    before: BaselineReport | None = None

    def with_found(self, *found: Found) -> _Draft:
        """The draft with the figures, masks, lesions and notices of measuring steps added."""
        masks = {name: mask for one in found for name, mask in one.masks.items()}
        evidence = self.evidence
        return replace(
            self,
            measurements=(*self.measurements, *(m for one in found for m in one.measurements)),
            lesions=(*self.lesions, *(lesion for one in found for lesion in one.lesions)),
            notices=(*self.notices, *(notice for one in found for notice in one.notices)),
            evidence=None if evidence is None else replace(evidence, masks={**evidence.masks, **masks}),
        )

    def with_diffusion(self, session: Session) -> _Draft:
        """The draft whose evidence can show the session's diffusion images."""
        if self.evidence is None:
            return self
        shown = {
            kind.value: Volume(v.voxels, np.asarray(session.to_anchor[kind] @ v.affine))
            for kind, v in session.volumes.items()
            if kind in (SequenceKind.DWI, SequenceKind.ADC)
        }
        return replace(self, evidence=replace(self.evidence, diffusion=shown))

    def finish(
        self, timings_s: Mapping[str, float], prepared: PreparedBaseline | None, settings: TriageSettings
    ) -> Assessed:
        findings = self.findings or indeterminate(self.refusal or "no baseline to compare with")
        study, choice = self.images.study, self.context.baseline_choice
        days = days_after(study.study_date, self.context.infusion_date)
        notices = (*_notices(self.context), *self.notices)
        visit = visit_now(
            (study.study_instance_uid, study.study_date, days),
            self.stage.value,
            None if prepared is None else prepared.study_instance_uid,
            self.measurements,
            findings,
            [(one.volume_ml, one.enhancing_volume_ml) for one in self.lesions],
            notices,
        )
        return Assessed(
            Assessment(
                study=study,
                days_after_infusion=days,
                baseline=choice
                if choice is not None and choice.study_instance_uid is not None and prepared is not None
                else _no_baseline(choice),
                used_as=_used_as(self.images),
                skipped=self.images.skipped,
                registration=self.registration,
                measurements=self.measurements,
                findings=findings,
                decision=_decision(findings, self.refusal, prepared is not None),
                stage=self.stage,
                notices=notices,
                timings_s={key: round(value, 3) for key, value in timings_s.items()},
                versions=self.context.versions,
                lesions=self.lesions,
                look_alikes=look_alikes.sentences(
                    self.measurements,
                    findings,
                    self.lesions,
                    examined=self.images.used if self.measurements else (),
                    limits=settings.look_alikes,
                ),
                baseline_report=self.before,
                evolution=evolution(visit, self.context.earlier, settings.evolution, settings.cortical_diffusion),
            ),
            self.evidence,
        )


def _decision(findings: tuple[Finding, ...], refusal: str | None, has_baseline: bool) -> Decision:
    return decide(findings, refusal=refusal, has_baseline=has_baseline)


def _compare(
    draft: _Draft, flair: Volume, prepared: PreparedBaseline, settings: TriageSettings, stage: Stage, clock: Stopwatch
) -> _Draft:
    followup, baseline = to_sitk(flair), to_sitk(prepared.flair)
    with clock.part("registration"):
        registration = register_followup(
            followup, baseline, to_sitk(prepared.brain, sitk.sitkUInt8), settings.registration,
            slice_thickness_mm=max(*flair.spacing_mm, *prepared.flair.spacing_mm),
        )  # fmt: skip
    draft = replace(
        draft,
        registration=registration,
        evidence=_evidence(flair, prepared, registration, None),
        before=_quoted(draft.context.baseline_choice, prepared, settings),
    )
    if not registration.accepted:
        return replace(
            draft, refusal=registration.reason, findings=indeterminate(registration.reason or "registration refused")
        )
    with clock.part("common_scale"):
        pair = on_common_grid(
            followup,
            baseline,
            (prepared.labels, prepared.brain, prepared.label_names),
            registration,
            settings.measuring_spacing_mm,
        )
    _check_contrast(pair, settings)
    header = header_of(draft.images.study, draft.images.used[SequenceKind.FLAIR])
    match, notice = _protocol_of(pair, (header, flair), prepared, settings)
    change = Volume(np.where(pair.grid.seen, pair.scale.change, np.nan).astype(np.float32), affine_of(pair.image_grid))
    draft = replace(
        draft,
        notices=(notice,),
        evidence=_evidence(flair, prepared, registration, (change, pair.followup_to_half_way)),
    )
    with clock.part("measurement"):
        draft = draft.with_found(Found(flair_changes(pair.scale, pair.grid, settings.measurement)))
    with clock.part("lesions"):
        focal = candidates(
            pair,
            prepared.burden.masks.get("chronic_lesions"),
            settings.lesions,
            other_field=protocol.other_field(header, prepared.header, settings.protocol),
        )
    draft = (
        _compare_fully(draft, pair, prepared, focal, settings, clock)
        if stage is Stage.FULL
        else draft.with_found(focal_changes(pair, focal, None, settings.lesions))
    )
    return replace(draft, findings=detect(draft.measurements, match, settings))


def _check_contrast(pair: Pair, settings: TriageSettings) -> None:
    """Raises NotAssessable when the pair cannot be two FLAIRs."""
    spread, most = tissue_spread(pair), settings.protocol.tissue_spread
    if spread > most:
        raise NotAssessable(
            "contrast",
            f"the images differ by {spread:.1%} within brain tissue after scaling, at most {most:.1%} between two FLAIRs; is one of another contrast?",
        )


def _protocol_of(
    pair: Pair, now: tuple[SeriesHeader, Volume], prepared: PreparedBaseline, settings: TriageSettings
) -> tuple[ProtocolMatch, str]:
    """How alike the two acquisitions are, by their headers and by the contrast that was measured; and the notice that says so."""
    match, differences = protocol.compare(now, (prepared.header, prepared.flair), settings.protocol)
    if abs(pair.scale.contrast) > settings.protocol.tissue_contrast:
        match = ProtocolMatch.DIFFERENT
        differences = (*differences, f"grey/white contrast changed by {100 * abs(pair.scale.contrast):.0f} %")
    return match, f"protocol: {match}" + (f" ({'; '.join(differences)})" if differences else "")


def _quoted(
    choice: BaselineChoice | None, prepared: PreparedBaseline, settings: TriageSettings
) -> BaselineReport | None:
    """The report of the baseline, for the result of a follow-up."""
    known = choice is not None and choice.study_instance_uid == prepared.study_instance_uid
    facts = (prepared.study_instance_uid, choice.study_date if choice is not None and known else None)
    return baseline_report(facts, prepared.burden, (prepared.labels, prepared.label_names), settings.baseline_report)


def _compare_fully(
    draft: _Draft,
    pair: Pair,
    prepared: PreparedBaseline,
    focal: Candidates,
    settings: TriageSettings,
    clock: Stopwatch,
) -> _Draft:
    """What the first look does not wait for: the other series, the deformation, volumes."""
    with clock.part("session"):
        session = align(draft.images)
    with clock.part("contrasts"):
        shared, unshared = contrasts(pair, session, prepared.session, FLUID_KINDS)
    with clock.part("swelling"):
        deformation = swelling.deform([scale for scale, _ in shared.values()], pair.grid)
        swollen = Found(
            (
                *swelling.volume_changes(deformation, pair.grid),
                *volumes(prepared.labels.voxels, prepared.label_names, prepared.labels.voxel_volume_ml),
            )
        )
    with clock.part("separators"):
        sd = next((m.uncertainty for m in draft.measurements if m.uncertainty is not None), 0.0)
        parts = Found(separators(pair.scale, pair.grid, settings.measurement, sd))
    with clock.part("fluid"):
        fluid = fluid_changes(pair, shared, unshared, settings.fluid)
    with clock.part("enhancement"):
        taken_up = enhancing(pair, session, prepared.session, settings.enhancement)
        chronic = prepared.burden.masks.get("chronic_lesions")
        focal = supported(focal, pair, chronic, shared.get(SequenceKind.T2), settings.lesions)
        lesions = focal_changes(pair, focal, taken_up.mask, settings.lesions)
        grid_in_followup = inverse(pair.followup_to_half_way) @ affine_of(pair.image_grid)
    with clock.part("diffusion"):
        to_baseline = pair.followup_to_half_way @ pair.followup_to_half_way
        anatomy = Anatomy(prepared.labels, prepared.label_names, to_baseline)
        restriction = restricted(session, anatomy, prepared.session, settings.diffusion)
    return draft.with_diffusion(session).with_found(
        swollen, parts, lesions, taken_up.found(grid_in_followup), fluid, restriction
    )


def _alone(
    draft: _Draft, flair: Volume, atlas: Atlas, settings: TriageSettings, stage: Stage, clock: Stopwatch
) -> _Draft:
    """No baseline: say so first; the full stage still measures the single scan, for the reader and as a future baseline."""
    choice = draft.context.baseline_choice
    why = f"no_baseline: {choice.reason if choice is not None else 'no earlier study was given'}"
    draft = replace(
        draft,
        refusal=why,
        findings=indeterminate("no baseline to compare with"),
        notices=("no baseline: nothing was compared",),
    )
    draft = replace(draft, evidence=Evidence(flair, None, None, {}, None, None, None))
    if stage is Stage.FIRST_LOOK:
        return draft
    with clock.part("session"):
        session = align(draft.images)
    with clock.part("atlas"):
        placement = place(session, flair, atlas, settings)
        labels, _ = regions_on(to_sitk(flair), placement, atlas)
        cubic, cubic_brain = regions_on(brain_grid(flair, placement, atlas, LABEL_SPACING_MM), placement, atlas)
    names = dict(atlas.label_names)
    draft = replace(draft, evidence=Evidence(flair, None, labels, names, None, None, None))
    with clock.part("single_scan"):
        alone = measure_alone(flair, cubic, names, settings.single_scan, settings.measurement)
        plain = plain_figures(session, labels, names)
        chronic = before_treatment(flair, cubic, cubic_brain, names, settings)
    with clock.part("enhancement"):
        taken_up, grid = enhancing_alone(session, cubic, names, settings.enhancement)
    with clock.part("fluid"):
        fluid = fluid_alone(session, labels, names, settings.fluid)
    with clock.part("diffusion"):
        restriction = restricted(session, Anatomy(labels, names, np.eye(4)), None, settings.diffusion)
    draft = draft.with_diffusion(session).with_found(alone, plain, chronic, taken_up.found(grid), fluid, restriction)
    study = draft.images.study
    days = days_after(study.study_date, draft.context.infusion_date)
    if days is None or days < 0:  # this study is the one before treatment
        facts = (study.study_instance_uid, study.study_date)
        draft = replace(draft, before=baseline_report(facts, chronic, (cubic, names), settings.baseline_report))
    findings = detect_alone(draft.measurements, settings)
    if days is not None and days < 0:
        findings = tuple(not_yet(f) for f in findings)
    return replace(draft, findings=findings)


def _without_flair(draft: _Draft, atlas: Atlas, settings: TriageSettings, stage: Stage, clock: Stopwatch) -> _Draft:
    """No FLAIR but diffusion images: pattern C alone is assessed, on the diffusion images' own space, and the decision says so.

    Raises:
        NotAssessable: why there is no FLAIR, at the first look (which knows FLAIR only) or without DWI; as ``place_atlas``.
    """
    dwi, missing = draft.images.volumes.get(SequenceKind.DWI), no_flair(draft.images)
    if dwi is None or stage is Stage.FIRST_LOOK:
        raise missing
    why = str(missing)
    draft = replace(
        draft,
        refusal=f"{why}; only pattern C (diffusion) was assessed",
        notices=("no FLAIR: only pattern C (diffusion) was assessed",),
        evidence=Evidence(dwi, None, None, {}, None, None, None),
    )
    with clock.part("atlas"):
        session = diffusion_alone(draft.images)
        unweighted = draft.images.dwi_b0 or dwi
        placement = place_atlas(unweighted, atlas, settings.regions)
        labels, _ = regions_on(to_sitk(dwi), placement, atlas)
    names = dict(atlas.label_names)
    draft = replace(draft, evidence=Evidence(dwi, None, labels, names, None, None, None))
    with clock.part("diffusion"):
        draft = draft.with_diffusion(session)
        draft = draft.with_found(restricted(session, Anatomy(labels, names, np.eye(4)), None, settings.diffusion))
    return replace(draft, findings=diffusion_only(draft.measurements, why, settings))


def _evidence(
    flair: Volume, prepared: PreparedBaseline, registration: RegistrationResult, change: tuple[Volume, Affine] | None
) -> Evidence:
    volume, matrix = change if change is not None else (None, None)
    return Evidence(
        flair, prepared.flair, prepared.labels, prepared.label_names, volume, registration.followup_to_baseline, matrix
    )


def _used_as(images: StudyImages) -> dict[str, str]:
    return {uid: f"{kind.value}" for kind, uid in images.used.items()}


def _no_baseline(choice: BaselineChoice | None) -> BaselineChoice | None:
    return None if choice is None else BaselineChoice(None, None, choice.reason, choice.rejected)


def _notices(context: Context) -> tuple[str, ...]:
    return () if context.infusion_date is not None else ("no infusion date is known for this patient",)
