"""Images without a FLAIR in, a draft of what the diffusion images alone show out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from triage.alignment.images import to_sitk
from triage.alignment.placement import brain_grid, place_atlas, regions_on
from triage.alignment.session import diffusion_alone
from triage.detection import diffusion_only, judged_in_diffusion
from triage.diffusion.figures import Anatomy, restricted
from triage.draft import Draft
from triage.errors import NotAssessable
from triage.model import Atlas, SequenceKind, Stage, Volume
from triage.preparation import LABEL_SPACING_MM, no_flair
from triage.report.contents import JudgedFrom
from triage.report.evidence import Evidence
from triage.settings import TriageSettings
from triage.stopwatch import Stopwatch


def without_flair(draft: Draft, atlas: Atlas, settings: TriageSettings, stage: Stage, clock: Stopwatch) -> Draft:
    """Without a FLAIR but with diffusion images: what needs no FLAIR is assessed, in the space of the diffusion images.

    The decision states that this is all.

    Raises:
        NotAssessable: why there is no FLAIR, when there is no DWI either, when that cannot be assessed (with the
            reason), or at the first look, which needs a FLAIR.
    """
    dwi, missing = draft.images.volumes.get(SequenceKind.DWI), no_flair(draft.images)
    if dwi is None or stage is Stage.FIRST_LOOK:
        raise missing
    why = str(missing)
    judged = judged_in_diffusion(draft.patterns)
    only = f"only pattern{'s' * (len(judged) > 1)} {', '.join(judged)} (diffusion) was assessed"
    draft = replace(
        draft,
        refusal=f"{why}; {only}",
        notices=(f"no FLAIR: {only}",),
        evidence=Evidence(dwi, None, None, {}, None, None, None),
    )
    try:
        return _in_diffusion(draft, dwi, atlas, settings, clock, why)
    except NotAssessable as refusal:  # why there is no FLAIR is what the reader can repair
        raise NotAssessable(missing.code, f"{missing.message}; nor the diffusion images ({refusal})") from None


def _in_diffusion(
    draft: Draft, dwi: Volume, atlas: Atlas, settings: TriageSettings, clock: Stopwatch, why: str
) -> Draft:
    with clock.part("atlas"):
        session = diffusion_alone(draft.images)
        unweighted = draft.images.dwi_b0 or dwi
        # neither thalami nor brain stem are measured here, and echo-planar images are bent beside them
        placement = place_atlas(unweighted, atlas, replace(settings.regions, near_fit=0.0))
        labels, _ = regions_on(to_sitk(dwi), placement, atlas)
        cubic, _ = regions_on(brain_grid(dwi, placement, atlas, LABEL_SPACING_MM), placement, atlas)
    names = dict(atlas.label_names)
    evidence = Evidence(dwi, None, labels, names, None, None, None)
    draft = replace(draft, judged_from=JudgedFrom.DIFFUSION, evidence=evidence)
    with clock.part("diffusion"):
        draft = draft.with_series(session)
        draft = draft.with_found(restricted(session, Anatomy(cubic, names, np.eye(4)), None, settings.diffusion))
    return replace(draft, findings=diffusion_only(draft.measurements, why, settings, draft.patterns))
