"""The straight line: images of a study (and its prepared baseline) in, an Assessment and its evidence out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import ClassVar

import numpy as np
import SimpleITK as sitk

from triage import protocol, swelling
from triage.comparison import on_common_grid
from triage.decision import decide
from triage.errors import NotAssessable
from triage.evidence import Evidence
from triage.images import (
    affine_of,
    isotropic_grid,
    matrix_of,
    resample,
    smooth_to,
    to_sitk,
)
from triage.measurement import MeasurementLimits, flair_changes, flair_ratios, volumes
from triage.model import (
    Affine,
    Assessment,
    Atlas,
    BaselineChoice,
    Decision,
    Finding,
    Measurement,
    Presence,
    ProtocolMatch,
    RegistrationResult,
    SequenceKind,
    SeriesHeader,
    Stage,
    Study,
    StudyImages,
    Volume,
)  # fmt: skip
from triage.patterns import bithalamic, cortical_diffusion, focal_white_matter, global_oedema
from triage.protocol import ProtocolLimits
from triage.regions import Placement, brain_grid, place_atlas, regions_on
from triage.registration import RegistrationLimits, descend, register_followup

FORBID_EXTRA: dict[str, str] = {"extra": "forbid"}
SLAB_MM = 100.0  # a T1 thinner than this in any direction is a slab and places no atlas
LABEL_SPACING_MM = 1.0  # regions are kept at this spacing in baseline space


@dataclass(frozen=True)
class TriageSettings:
    """Everything that can change a result; the ``triage`` section of config.yaml.

    threads: most threads SimpleITK may use. measuring_spacing_mm: cubic voxel of the common half-way grid.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = FORBID_EXTRA
    threads: int = 2
    measuring_spacing_mm: float = 1.5
    registration: RegistrationLimits = field(default_factory=RegistrationLimits)
    measurement: MeasurementLimits = field(default_factory=MeasurementLimits)
    protocol: ProtocolLimits = field(default_factory=ProtocolLimits)
    bithalamic: bithalamic.BithalamicLimits = field(default_factory=bithalamic.BithalamicLimits)


@dataclass(frozen=True)
class Context:
    """What is known besides the images. baseline_choice None: nothing was looked for."""

    infusion_date: date | None
    baseline_choice: BaselineChoice | None
    versions: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class PreparedBaseline:
    """A baseline with its slow work done.

    flair: native FLAIR. labels, brain: uint8 on a 1 mm cubic grid in the baseline's own space (LPS mm). label_names: label -> region.
    """

    study_instance_uid: str
    series_instance_uid: str
    header: SeriesHeader
    flair: Volume
    labels: Volume
    brain: Volume
    label_names: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class Outcome:
    assessment: Assessment
    evidence: Evidence | None


def prepare_baseline(images: StudyImages, atlas: Atlas, settings: TriageSettings) -> PreparedBaseline:
    """The slow part of a comparison, done when a possible baseline arrives: atlas placement and region masks.

    Raises:
        NotAssessable: ``no_flair``, ``atlas_failed`` or ``coverage``.
    """
    _use_threads(settings)
    flair = _flair(images)
    placement = _place(images, flair, atlas)
    grid = brain_grid(flair, placement, atlas, LABEL_SPACING_MM)
    labels, brain = regions_on(grid, placement, atlas)
    uid = images.used[SequenceKind.FLAIR]
    return PreparedBaseline(
        images.study.study_instance_uid, uid, _header(images.study, uid), flair, labels, brain, dict(atlas.label_names)
    )


def _place(images: StudyImages, flair: Volume, atlas: Atlas) -> Placement:
    """Atlas on the T1 when the session has one (better contrast of deep grey matter), else on the FLAIR itself."""
    t1 = images.volumes.get(SequenceKind.T1)
    if t1 is None or min(np.array(t1.voxels.shape[::-1]) * t1.spacing_mm) < SLAB_MM:
        return place_atlas(flair, atlas)
    return place_atlas(flair, atlas, t1=t1, flair_to_t1=_same_session(flair, t1))


def _same_session(flair: Volume, other: Volume) -> Affine:
    """FLAIR points -> points of another series of the session: the head may have moved a little in between (4 mm, mutual information)."""
    fixed, moving = (resample(smooth_to(i, 3.0), isotropic_grid(i, 3.0)) for i in (to_sitk(flair), to_sitk(other)))
    start = sitk.Euler3DTransform()
    start.SetCenter(fixed.TransformContinuousIndexToPhysicalPoint([(s - 1) / 2 for s in fixed.GetSize()]))
    moved, _ = descend(fixed, moving, start, step_mm=0.5, mutual_information=True, iterations=40)
    return matrix_of(moved)


def first_look(
    images: StudyImages, prepared: PreparedBaseline | None, context: Context, atlas: Atlas, settings: TriageSettings
) -> Outcome:
    """FLAIR against the prepared baseline within seconds; never raises NotAssessable, that becomes the decision."""
    return _assess(images, prepared, context, atlas, settings, Stage.FIRST_LOOK)


def full(
    images: StudyImages, prepared: PreparedBaseline | None, context: Context, atlas: Atlas, settings: TriageSettings
) -> Outcome:
    """Everything: the first look plus swelling and, without a baseline, the single-scan figures."""
    return _assess(images, prepared, context, atlas, settings, Stage.FULL)


def _assess(
    images: StudyImages,
    prepared: PreparedBaseline | None,
    context: Context,
    atlas: Atlas,
    settings: TriageSettings,
    stage: Stage,
) -> Outcome:
    _use_threads(settings)
    clock = _Stopwatch()
    started = time.perf_counter()
    draft = _Draft(images, context, stage)
    try:
        flair = _flair(images)
        if prepared is None:
            draft = _alone(draft, flair, atlas, stage, clock)
        else:
            draft = _compare(draft, flair, prepared, settings, stage, clock)
    except NotAssessable as refusal:
        draft = replace(draft, refusal=str(refusal))
    return draft.finish({**clock.parts_s, "assess": time.perf_counter() - started}, prepared)


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
    evidence: Evidence | None = None
    refusal: str | None = None

    def finish(self, timings_s: Mapping[str, float], prepared: PreparedBaseline | None) -> Outcome:
        findings = self.findings or _indeterminate(self.refusal or "no baseline to compare with")
        study, choice = self.images.study, self.context.baseline_choice
        return Outcome(
            Assessment(
                study=study,
                days_after_infusion=days_after(study.study_date, self.context.infusion_date),
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
                notices=(*_notices(self.context), *self.notices),
                timings_s={key: round(value, 3) for key, value in timings_s.items()},
                versions=self.context.versions,
            ),
            self.evidence,
        )


def _decision(findings: tuple[Finding, ...], refusal: str | None, has_baseline: bool) -> Decision:
    return decide(findings, refusal=refusal, has_baseline=has_baseline)


def _compare(
    draft: _Draft, flair: Volume, prepared: PreparedBaseline, settings: TriageSettings, stage: Stage, clock: _Stopwatch
) -> _Draft:
    followup, baseline = to_sitk(flair), to_sitk(prepared.flair)
    with clock.part("registration"):
        registration = register_followup(
            followup, baseline, to_sitk(prepared.brain, sitk.sitkUInt8), settings.registration,
            slice_thickness_mm=max(*flair.spacing_mm, *prepared.flair.spacing_mm),
        )  # fmt: skip
    draft = replace(draft, registration=registration, evidence=_evidence(flair, prepared, registration, None))
    if not registration.accepted:
        return replace(
            draft, refusal=registration.reason, findings=_indeterminate(registration.reason or "registration refused")
        )
    with clock.part("common_scale"):
        pair = on_common_grid(
            followup,
            baseline,
            (prepared.labels, prepared.brain, prepared.label_names),
            registration,
            settings.measuring_spacing_mm,
        )
    header = _header(draft.images.study, draft.images.used[SequenceKind.FLAIR])
    match, differences = protocol.compare((header, flair), (prepared.header, prepared.flair), settings.protocol)
    if abs(pair.scale.contrast) > settings.protocol.tissue_contrast:
        match = ProtocolMatch.DIFFERENT
        differences = (
            *differences,
            f"grey/white contrast changed by {100 * abs(pair.scale.contrast):.0f} %",
        )
    with clock.part("measurement"):
        measured = flair_changes(pair.scale, pair.grid, settings.measurement)
    if stage is Stage.FULL:
        with clock.part("swelling"):
            measured += swelling.volume_changes(swelling.deform(pair.scale, pair.grid), pair.grid)
        measured += volumes(prepared.labels.voxels, prepared.label_names, prepared.labels.voxel_volume_ml)
    change = Volume(np.where(pair.grid.seen, pair.scale.change, np.nan).astype(np.float32), affine_of(pair.image_grid))
    return replace(
        draft,
        measurements=measured,
        findings=_detect(measured, match, settings),
        notices=(f"protocol: {match}" + (f" ({'; '.join(differences)})" if differences else ""),),
        evidence=_evidence(flair, prepared, registration, (change, pair.followup_to_half_way)),
    )


def _detect(measured: tuple[Measurement, ...], match: ProtocolMatch, settings: TriageSettings) -> tuple[Finding, ...]:
    return (
        bithalamic.detect(measured, match, settings.bithalamic),
        focal_white_matter.detect(measured, match),
        cortical_diffusion.detect(measured, match),
        global_oedema.detect(measured, match),
    )


def _indeterminate(why: str) -> tuple[Finding, ...]:
    patterns = (bithalamic, focal_white_matter, cortical_diffusion, global_oedema)
    return tuple(Finding(p.PATTERN, Presence.INDETERMINATE, None, f"{p.TITLE}: {why}") for p in patterns)


def _alone(draft: _Draft, flair: Volume, atlas: Atlas, stage: Stage, clock: _Stopwatch) -> _Draft:
    """No baseline: say so first; the full stage still measures the single scan, for the reader and as a future baseline."""
    choice = draft.context.baseline_choice
    why = f"no_baseline: {choice.reason if choice is not None else 'no earlier study was given'}"
    draft = replace(
        draft,
        refusal=why,
        findings=_indeterminate("no baseline to compare with"),
        notices=("no baseline: nothing was compared",),
    )
    draft = replace(draft, evidence=Evidence(flair, None, None, {}, None, None, None))
    if stage is Stage.FIRST_LOOK:
        return draft
    with clock.part("atlas"):
        placement = _place(draft.images, flair, atlas)
    labels, _ = regions_on(to_sitk(flair), placement, atlas)
    measured = (
        *flair_ratios(flair.voxels, labels.voxels, atlas.label_names),
        *volumes(labels.voxels, atlas.label_names, labels.voxel_volume_ml),
    )
    return replace(
        draft, measurements=measured, evidence=Evidence(flair, None, labels, dict(atlas.label_names), None, None, None)
    )


def _evidence(
    flair: Volume, prepared: PreparedBaseline, registration: RegistrationResult, change: tuple[Volume, Affine] | None
) -> Evidence:
    volume, matrix = change if change is not None else (None, None)
    return Evidence(
        flair, prepared.flair, prepared.labels, prepared.label_names, volume, registration.followup_to_baseline, matrix
    )


def _flair(images: StudyImages) -> Volume:
    if SequenceKind.FLAIR in images.volumes:
        return images.volumes[SequenceKind.FLAIR]
    flairs = {s.header.series_instance_uid for s in images.study.series if s.identification.kind is SequenceKind.FLAIR}
    for skipped in images.skipped:
        if skipped.series_instance_uid in flairs:
            raise NotAssessable(skipped.code, f"the FLAIR series cannot be measured: {skipped.message}")
    raise NotAssessable("no_flair", "the study holds no FLAIR series")


def _header(study: Study, series_instance_uid: str) -> SeriesHeader:
    for series in study.series:
        if series.header.series_instance_uid == series_instance_uid:
            return series.header
    return SeriesHeader(series_instance_uid)


def _used_as(images: StudyImages) -> dict[str, str]:
    return {uid: f"{kind.value}" for kind, uid in images.used.items()}


def _no_baseline(choice: BaselineChoice | None) -> BaselineChoice | None:
    return None if choice is None else BaselineChoice(None, None, choice.reason, choice.rejected)


def days_after(study_date: date | None, infusion_date: date | None) -> int | None:
    """Whole days from infusion to study; negative before it; None when either date is unknown."""
    return None if study_date is None or infusion_date is None else (study_date - infusion_date).days


def _notices(context: Context) -> tuple[str, ...]:
    return () if context.infusion_date is not None else ("no infusion date is known for this patient",)


def _use_threads(settings: TriageSettings) -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(settings.threads)


class _Stopwatch:
    """Seconds per named part; time never decides anything here, it is only reported."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.parts_s: dict[str, float] = {}
        self._now = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        started = self._now()
        yield
        self.parts_s[name] = self.parts_s.get(name, 0.0) + self._now() - started
