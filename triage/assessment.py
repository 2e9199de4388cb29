"""The straight line: images of a study (and its prepared baseline) in, an Assessment and its evidence out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from triage import protocol
from triage.age import TOO_YOUNG, too_young
from triage.alignment.comparison import Pair, contrasts, on_common_grid, tissue_spread
from triage.alignment.images import affine_of, inverse, to_sitk
from triage.alignment.session import align
from triage.course import merged, merged_for, seen_alone, sentence
from triage.detection import detect, detect_alone, indeterminate, judged_in_diffusion
from triage.diffusion.figures import Anatomy, restricted
from triage.draft import Context, Draft
from triage.errors import NotAssessable
from triage.fluid.changes import KINDS as FLUID_KINDS
from triage.fluid.changes import fluid_alone, fluid_changes
from triage.lesions.candidates import Candidates, candidates, supported
from triage.lesions.enhancement import enhancing
from triage.lesions.focal import focal_changes
from triage.measurements import figure_named
from triage.model import (
    Affine,
    Atlas,
    BaselineChoice,
    Found,
    Measurement,
    Presence,
    ProtocolMatch,
    RegistrationResult,
    SequenceKind,
    SeriesHeader,
    Stage,
    StudyImages,
    Volume,
)
from triage.next_flair import in_turn, is_flair_after_contrast, like_baseline
from triage.preparation import (
    PreparedBaseline,
    header_of,
    use_threads,
)
from triage.report.baseline_report import baseline_report
from triage.report.contents import Assessment, BaselineReport, JudgedFrom, Since
from triage.report.evidence import Evidence
from triage.report.headline import NO_BASELINE
from triage.sequences.image import shown_images
from triage.settings import TriageSettings
from triage.side_by_side import side_by_side
from triage.signal import swelling
from triage.signal.change import flair_changes, volumes
from triage.signal.separators import separators
from triage.signal.single_scan import measure_alone
from triage.signal.tissue_ratio import tissue_ratio_compared
from triage.stopwatch import Stopwatch
from triage.without_baseline import of_single_scan
from triage.without_flair import without_flair


@dataclass(frozen=True, eq=False)
class Assessed:
    """One assessment and the images that show it. evidence None: there is nothing to show."""

    assessment: Assessment
    evidence: Evidence | None


def first_look(
    images: StudyImages, prepared: PreparedBaseline | None, context: Context, atlas: Atlas, settings: TriageSettings
) -> Assessed:
    """FLAIR against the prepared baseline, within seconds.

    What cannot be assessed raises nothing: it becomes the decision ``not_assessable``.

    Args:
        prepared: None: nothing to compare with.
    """
    images = like_baseline(images, None if prepared is None else prepared.after_contrast)
    return in_turn(images, lambda tried: _assess(tried, prepared, context, atlas, settings, Stage.FIRST_LOOK))


def full(
    images: StudyImages, prepared: PreparedBaseline | None, context: Context, atlas: Atlas, settings: TriageSettings
) -> Assessed:
    """Everything: the first look, the other series, swelling and, without a baseline, the figures of the single scan.

    What cannot be assessed raises nothing, as in ``first_look``.
    """
    images = like_baseline(images, None if prepared is None else prepared.after_contrast)
    return in_turn(images, lambda tried: _assess(tried, prepared, context, atlas, settings, Stage.FULL))


def _assess(
    images: StudyImages,
    prepared: PreparedBaseline | None,
    context: Context,
    atlas: Atlas,
    settings: TriageSettings,
    stage: Stage,
) -> Assessed:
    use_threads(settings.threads)
    clock = Stopwatch()
    started = time.perf_counter()
    images = shown_images(images)
    draft, choice = Draft(images, context, stage), context.baseline_choice
    try:
        flair = images.volumes.get(SequenceKind.FLAIR)
        if flair is None:
            draft = without_flair(draft, atlas, settings, stage, clock)
        elif prepared is None:
            draft = of_single_scan(draft, flair, atlas, settings, clock)
        elif choice is not None and choice.since is not None:
            draft, prepared = _since(draft, flair, prepared, atlas, settings, clock), None
        else:
            draft = _compare_or_alone(draft, flair, prepared, atlas, settings, clock)
    except NotAssessable as refusal:
        draft = replace(draft, refusal=str(refusal))
    timings_s = {**clock.parts_s, "assess": time.perf_counter() - started}
    return Assessed(draft.finish(timings_s, prepared, settings), draft.evidence)


def _compare(
    draft: Draft, flair: Volume, prepared: PreparedBaseline, settings: TriageSettings, stage: Stage, clock: Stopwatch
) -> Draft:
    """The follow-up against its baseline: registered first, then measured unless the registration is refused.

    Raises:
        NotAssessable: ``no_reference_tissue`` or ``contrast``.
    """
    followup, baseline = to_sitk(flair), to_sitk(prepared.flair)
    with clock.part("registration"):
        registration = draft.context.register(flair, prepared, settings.registration)
    draft = replace(
        draft,
        registration=registration,
        evidence=_evidence(flair, prepared, registration, None),
        before=_quoted(draft.context.baseline_choice, prepared, settings),
        doubts=prepared.doubts,
    )
    if not registration.accepted:
        return replace(
            draft,
            refusal=registration.reason,
            findings=indeterminate(registration.reason or "registration refused", draft.patterns),
        )
    with clock.part("common_scale"):
        pair = on_common_grid(
            followup,
            baseline,
            (prepared.labels, prepared.brain, prepared.label_names),
            registration,
            settings.measuring_spacing_mm,
        )
    pair = replace(pair, agent_between=is_flair_after_contrast(draft.images) and not prepared.after_contrast)
    protocol.check_contrast(tissue_spread(pair), settings.protocol)
    change = Volume(np.where(pair.grid.seen, pair.scale.change, np.nan).astype(np.float32), affine_of(pair.image_grid))
    shown = _evidence(flair, prepared, registration, (change, pair.followup_to_half_way))
    return _measure_pair(replace(draft, evidence=shown), flair, pair, prepared, settings, stage, clock)


def _measure_pair(
    draft: Draft,
    flair: Volume,
    pair: Pair,
    prepared: PreparedBaseline,
    settings: TriageSettings,
    stage: Stage,
    clock: Stopwatch,
) -> Draft:
    """The figures of a registered pair, and the patterns found in them."""
    header = header_of(draft.images.study, draft.images.used[SequenceKind.FLAIR])
    match, notice = _protocol_of(pair, (header, flair), prepared, settings)
    ratio = tissue_ratio_compared(pair.scale, pair.grid)
    draft = replace(draft, judged_from=JudgedFrom.COMPARISON, protocol=match, notices=(notice,), tissue_ratio=ratio)
    same = match is ProtocolMatch.SAME

    def measured() -> tuple[Measurement, ...]:
        with clock.part("measurement"):
            return flair_changes(pair.scale, pair.grid, settings.measurement, pair.slices, same_protocol=same)

    figures, focal = side_by_side(measured, partial(_focal_rises, pair, header, prepared, settings, clock))
    draft = draft.with_found(Found(figures))
    draft = (
        _compare_fully(draft, pair, prepared, focal, settings, clock)
        if stage is Stage.FULL
        else draft.with_found(focal_changes(pair, focal, None, settings.lesions))
    )
    return replace(draft, findings=detect(draft.measurements, match, settings, draft.patterns))


def _focal_rises(
    pair: Pair, header: SeriesHeader, prepared: PreparedBaseline, settings: TriageSettings, clock: Stopwatch
) -> Candidates:
    """Places that became focally brighter on FLAIR. header: of the follow-up."""
    with clock.part("lesions"):
        return candidates(
            pair,
            prepared.burden.masks.get("chronic_lesions"),
            settings.lesions,
            other_field=protocol.other_field(header, prepared.header, settings.protocol),
        )


def _protocol_of(
    pair: Pair, now: tuple[SeriesHeader, Volume], prepared: PreparedBaseline, settings: TriageSettings
) -> tuple[ProtocolMatch, str]:
    """How alike the two acquisitions are, by their headers and the measured contrast, and the notice that states it."""
    match, differences = protocol.compare(now, (prepared.header, prepared.flair), settings.protocol)
    if abs(pair.scale.contrast) > settings.protocol.tissue_contrast:
        match = ProtocolMatch.DIFFERENT
        differences = (*differences, f"grey/white contrast changed by {100 * abs(pair.scale.contrast):.0f} %")
    return match, f"protocol: {match}" + (f" ({'; '.join(differences)})" if differences else "")


def _quoted(
    choice: BaselineChoice | None, prepared: PreparedBaseline, settings: TriageSettings
) -> BaselineReport | None:
    """The report of the baseline, which the result of a follow-up quotes."""
    known = choice is not None and choice.study_instance_uid == prepared.study_instance_uid
    facts = (prepared.study_instance_uid, choice.study_date if choice is not None and known else None)
    return baseline_report(facts, prepared.burden, (prepared.labels, prepared.label_names), settings.baseline_report)


def _compare_fully(
    draft: Draft, pair: Pair, prepared: PreparedBaseline, focal: Candidates, settings: TriageSettings, clock: Stopwatch
) -> Draft:
    """What the first look leaves out: the other series, the deformation, volumes."""
    with clock.part("session"):
        session = align(draft.images)
    draft = replace(draft, notices=(*draft.notices, *session.left_out))
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
        match = draft.protocol or ProtocolMatch.DIFFERENT
        fluid = fluid_changes(pair, shared, unshared, settings.fluid, match)
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
    return draft.with_series(session, (prepared.session, inverse(to_baseline))).with_found(
        swollen, parts, lesions, taken_up.found(grid_in_followup), fluid, restriction
    )


def _compare_or_alone(
    draft: Draft, flair: Volume, prepared: PreparedBaseline, atlas: Atlas, settings: TriageSettings, clock: Stopwatch
) -> Draft:
    """The follow-up against its baseline. When the two cannot be compared (another head, another contrast), or the
    comparison cannot judge a pattern, the single scan is measured: a study with a baseline must not tell less than one
    without."""
    try:
        compared = _compare(draft, flair, prepared, settings, draft.stage, clock)
    except NotAssessable as refusal:
        compared = replace(draft, refusal=str(refusal))
    if compared.refusal is None and not _asks_single_scan(compared):
        return compared
    single = replace(draft, measurements=(), lesions=(), notices=())
    alone = _or_refused(lambda: of_single_scan(single, flair, atlas, settings, clock), single)
    measured = alone.judged_from is JudgedFrom.SINGLE_SCAN
    if compared.refusal is None:
        return _with_single_scan(compared, alone if measured else None, prepared, settings)
    if not measured:
        return compared
    notice = "the baseline cannot be compared: the single scan was measured"
    return replace(
        alone,
        refusal=compared.refusal,
        registration=compared.registration,
        before=compared.before,
        notices=(notice, *alone.notices[1:]),
    )


def _asks_single_scan(compared: Draft) -> bool:
    """Whether a comparison leaves a pattern open that the single scan may show: without diffusion images it shows none
    of those that are judged in them."""
    hidden = () if SequenceKind.DWI in compared.images.volumes else judged_in_diffusion(compared.patterns)
    left = [f for f in compared.findings if f.presence is Presence.INDETERMINATE and f.pattern not in hidden]
    return bool(compared.shown_by_baseline or (compared.stage is Stage.FULL and left))


def _with_single_scan(
    compared: Draft, alone: Draft | None, prepared: PreparedBaseline, settings: TriageSettings
) -> Draft:
    """The comparison with what the single scan alone can say, and the figures that say it. alone: None: it was not
    measured."""
    choice = compared.context.baseline_choice
    found = () if alone is None else alone.findings
    findings = compared.findings
    if choice is not None and choice.study_date is not None:
        findings = merged_for(findings, compared.shown_by_baseline, found, choice.study_date)
    asked = any(one.presence is Presence.PRESENT for one in found)
    findings = seen_alone(findings, found, _shown_before(compared, prepared, settings) if asked else ())
    lines = [line for f in findings if f not in compared.findings for line in f.evidence]
    taken = {figure_named(line) for line in lines}
    known = {(m.region, m.quantity) for m in compared.measurements}
    more = () if alone is None else alone.measurements
    figures = tuple(m for m in more if (m.region, m.quantity) in taken - known)
    return replace(compared, findings=findings, measurements=(*compared.measurements, *figures))


def _shown_before(draft: Draft, prepared: PreparedBaseline, settings: TriageSettings) -> tuple[str, ...]:
    """Patterns that the scan of the baseline shows by itself: narrow sulci of a young brain, for one. Where the
    comparison cannot judge them, the same pattern in the follow-up is no news."""
    young = too_young(draft.images.study, settings.single_scan.youngest_years) or _too_young_then(prepared)
    labels, names = prepared.labels, prepared.label_names
    figures = (
        measure_alone(prepared.flair, labels, names, settings.single_scan, settings.measurement, young),
        fluid_alone(prepared.session, labels, names, settings.fluid),
    )
    before = replace(draft, measurements=(), doubts=prepared.doubts).with_found(*figures)
    findings = detect_alone(before.measurements, settings, draft.patterns)
    return tuple(one.pattern for one in findings if one.presence is Presence.PRESENT)


def _too_young_then(prepared: PreparedBaseline) -> str | None:
    """Why the patient was too young on the scan of the baseline, as its preparation says; None: old enough."""
    said = (one.reason for one in prepared.burden.measurements if one.reason is not None)
    return next((reason for reason in said if reason.startswith(f"{TOO_YOUNG}: ")), None)


def _since(
    draft: Draft, flair: Volume, prepared: PreparedBaseline, atlas: Atlas, settings: TriageSettings, clock: Stopwatch
) -> Draft:
    """Only a study that is no baseline is there: the single scan is measured, and what was added since that study.

    Raises:
        NotAssessable: neither could be done.
    """
    choice = draft.context.baseline_choice
    assert choice is not None and choice.since is not None  # noqa: S101, PT018 - the caller asked
    uid, day = choice.since
    compared = _or_refused(lambda: _compare(draft, flair, prepared, settings, draft.stage, clock), draft)
    alone = _or_refused(lambda: of_single_scan(draft, flair, atlas, settings, clock), draft)
    measured = alone.judged_from is JudgedFrom.SINGLE_SCAN
    return replace(
        alone if measured else compared,
        registration=None,
        findings=merged(compared.findings, alone.findings if measured else (), day),
        refusal=f"{NO_BASELINE}: {choice.reason}",
        notices=(f"no baseline; {sentence(compared.measurements, day)}", *alone.notices[1:]),
        measurements=alone.measurements,
        lesions=alone.lesions if measured else compared.lesions,
        evidence=alone.evidence or compared.evidence,
        judged_from=JudgedFrom.COURSE if measured else JudgedFrom.NOTHING,
        protocol=compared.protocol,
        since=Since(uid, day, compared.registration, compared.measurements, compared.findings),
    )


def _or_refused(measure: Callable[[], Draft], draft: Draft) -> Draft:
    """What ``measure`` gives, or the draft with the reason why it gives nothing."""
    try:
        return measure()
    except NotAssessable as refusal:
        why = str(refusal)
        return replace(draft, refusal=why, findings=indeterminate(why), notices=(why,))


def _evidence(
    flair: Volume, prepared: PreparedBaseline, registration: RegistrationResult, change: tuple[Volume, Affine] | None
) -> Evidence:
    volume, matrix = change if change is not None else (None, None)
    return Evidence(
        flair, prepared.flair, prepared.labels, prepared.label_names, volume, registration.followup_to_baseline, matrix
    )
