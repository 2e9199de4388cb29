"""A draft and its FLAIR in, the same with what a single scan shows out: the line without a baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from triage.age import too_young
from triage.alignment.images import to_sitk
from triage.alignment.placement import brain_grid, region_doubts, regions_on
from triage.decision import days_after
from triage.detection import before_infusion, detect_alone, indeterminate
from triage.diffusion.figures import Anatomy, restricted
from triage.draft import Draft
from triage.fluid.changes import fluid_alone
from triage.lesions.enhancement import enhancing_alone
from triage.model import Atlas, Presence, SequenceKind, Stage, Volume
from triage.preparation import LABEL_SPACING_MM, aligned, before_treatment
from triage.report.baseline_report import baseline_report
from triage.report.contents import JudgedFrom
from triage.report.evidence import Evidence
from triage.report.headline import NO_BASELINE
from triage.settings import TriageSettings
from triage.signal.single_scan import measure_alone, plain_figures
from triage.signal.tissue_ratio import tissue_ratio
from triage.stopwatch import Stopwatch


def of_single_scan(draft: Draft, flair: Volume, atlas: Atlas, settings: TriageSettings, clock: Stopwatch) -> Draft:
    """Without a baseline: the refusal, and at the full stage the figures of the single scan.

    They are for the reader, and the scan may be a baseline later.
    """
    choice = draft.context.baseline_choice
    why = f"{NO_BASELINE}: {choice.reason if choice is not None else 'no earlier study was given'}"
    draft = replace(
        draft,
        refusal=why,
        findings=indeterminate("no baseline to compare with", draft.patterns),
        notices=("no baseline: nothing was compared",),
    )
    draft = replace(draft, evidence=Evidence(flair, None, None, {}, None, None, None))
    if draft.stage is Stage.FIRST_LOOK:
        return draft
    with clock.part("session"):
        images, session = aligned(draft.images)
    flair, young = images.volumes[SequenceKind.FLAIR], too_young(images.study, settings.single_scan.youngest_years)
    draft = replace(draft, images=images, notices=(*draft.notices, *session.left_out))
    with clock.part("atlas"):
        placement = draft.context.place(session, flair, atlas, settings.preparation)
        labels, _ = regions_on(to_sitk(flair), placement, atlas)
        cubic, cubic_brain = regions_on(brain_grid(flair, placement, atlas, LABEL_SPACING_MM), placement, atlas)
    draft, names = replace(draft, doubts=region_doubts(placement)), dict(atlas.label_names)
    evidence = Evidence(flair, None, labels, names, None, None, None)
    ratio = tissue_ratio(flair.voxels, labels.voxels, names)
    draft = replace(draft, judged_from=JudgedFrom.SINGLE_SCAN, evidence=evidence, tissue_ratio=ratio)
    with clock.part("single_scan"):
        alone = measure_alone(flair, cubic, names, settings.single_scan, settings.measurement, young)
        plain = plain_figures(session, labels, names)
        chronic = before_treatment(flair, cubic, cubic_brain, names, settings.preparation, young)
    with clock.part("enhancement"):
        taken_up, grid = enhancing_alone(session, cubic, names, settings.enhancement)
    with clock.part("fluid"):
        fluid = fluid_alone(session, cubic, names, settings.fluid)
    with clock.part("diffusion"):
        restriction = restricted(session, Anatomy(cubic, names, np.eye(4)), None, settings.diffusion)
    draft = draft.with_series(session).with_found(alone, plain, chronic, taken_up.found(grid), fluid, restriction)
    study, days = draft.images.study, days_after(draft.images.study.study_date, draft.context.infusion_date)
    if days is None or days < 0:  # this study is the one before treatment
        facts = (study.study_instance_uid, study.study_date)
        draft = replace(draft, before=baseline_report(facts, chronic, (cubic, names), settings.baseline_report))
    findings, early = detect_alone(draft.measurements, settings, draft.patterns), days is not None and days < 0
    seen = any(one.presence is Presence.PRESENT for one in findings)
    clear = early and not seen and draft.before is not None
    findings = before_infusion(findings, draft.patterns) if early else findings
    return replace(draft, findings=findings, clear_before_treatment=clear)
