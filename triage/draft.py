"""The assessment of one study as it grows along the straight line; at its end, the Assessment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

from triage.alignment.session import Session
from triage.course import NOT_GONE, carried_from_copy, carried_on, found_earlier
from triage.decision import SAME_ACQUISITION, SET_ASIDE, days_after, decide, opening
from triage.detection import Patterns, doubted, indeterminate
from triage.infusions import Infusion
from triage.measurements import not_measured
from triage.model import (
    Affine,
    BaselineChoice,
    Decision,
    Finding,
    Found,
    Lesion,
    Measurement,
    ProtocolMatch,
    RegistrationResult,
    SequenceKind,
    Stage,
    StudyImages,
    Volume,
)
from triage.patterns.all import PATTERNS
from triage.preparation import Placing, PreparedBaseline, place
from triage.registering import Registering, register_on_baseline
from triage.report import look_alikes
from triage.report.contents import Assessment, BaselineReport, Evolution, Judged, JudgedFrom, Since
from triage.report.evidence import Evidence
from triage.report.evolution import evolution, visit_now
from triage.report.headline import NO_BASELINE
from triage.settings import TriageSettings, limits_of


@dataclass(frozen=True)
class Context:
    """What is known besides the images."""

    # of the infusion that the study belongs to
    infusion_date: date | None
    # None: no baseline was looked for
    baseline_choice: BaselineChoice | None
    # of the program, the settings and the atlas, as the result states them
    versions: Mapping[str, str]
    # newest document of each earlier study of the patient, in any order, for the course of the patterns
    earlier: Sequence[Mapping[str, Any]] = ()
    # all infusions that are known
    infusions: tuple[Infusion, ...] = ()
    notices: tuple[str, ...] = ()
    # how the atlas is placed on a scan without a baseline
    place: Placing = place
    # how the FLAIR is laid on that of the baseline
    register: Registering = register_on_baseline


@dataclass(frozen=True, eq=False)
class Draft:
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
    judged_from: JudgedFrom = JudgedFrom.NOTHING
    protocol: ProtocolMatch | None = None
    before: BaselineReport | None = None
    # the single scan was measured, lies before the infusion, and shows no pattern: not one that belongs to the baseline
    # either
    clear_before_treatment: bool = False
    patterns: Patterns = PATTERNS
    since: Since | None = None
    tissue_ratio: float | None = None
    # region -> why its figures are not to be had
    doubts: Mapping[str, str] = field(default_factory=dict)

    def with_found(self, *found: Found) -> Draft:
        """The draft with the figures, masks, lesions and notices of measuring steps added.

        A region in doubt has no figures, but the reason.
        """
        masks = {name: mask for one in found for name, mask in one.masks.items()}
        evidence = self.evidence
        return replace(
            self,
            measurements=(*self.measurements, *(self._or_doubt(m) for one in found for m in one.measurements)),
            lesions=(*self.lesions, *(lesion for one in found for lesion in one.lesions)),
            notices=(*self.notices, *(notice for one in found for notice in one.notices)),
            evidence=None if evidence is None else replace(evidence, masks={**evidence.masks, **masks}),
        )

    def _or_doubt(self, m: Measurement) -> Measurement:
        doubt = self.doubts.get(m.region)
        return m if doubt is None or not m.assessable else not_measured(m.region, m.quantity, m.unit, doubt)

    def with_series(self, session: Session, earlier: tuple[Session, Affine] | None = None) -> Draft:
        """The draft whose evidence can show the session's diffusion images, and its T1 before and after contrast.

        earlier: the session of the baseline, and the (4, 4) transform of its anchor into follow-up space, LPS mm; of it
        the series are shown that the follow-up shows, too.
        """
        if self.evidence is None:
            return self
        placed = _placed(session, np.eye(4))
        diffusion = {kind.value: v for kind, v in placed.items() if kind in (SequenceKind.DWI, SequenceKind.ADC)}
        pair = (SequenceKind.T1, SequenceKind.T1_GD)
        contrast = {kind.value: placed[kind] for kind in pair} if set(pair) <= set(placed) else {}
        shown = {**diffusion, **contrast}
        before = {} if earlier is None else {kind.value: volume for kind, volume in _placed(*earlier).items()}
        before = {name: before[name] for name in shown if name in before}
        return replace(self, evidence=replace(self.evidence, diffusion=diffusion, contrast=contrast, before=before))

    def finish(
        self, timings_s: Mapping[str, float], prepared: PreparedBaseline | None, settings: TriageSettings
    ) -> Assessment:
        """The draft with its decision, the possible look-alikes and the course since earlier studies."""
        findings = self._final_findings()
        days = days_after(self.images.study.study_date, self.context.infusion_date)
        # a baseline that could not be compared is named, and nothing rests on it
        compared = None if self.judged_from is JudgedFrom.SINGLE_SCAN else prepared
        return Assessment(
            study=self.images.study,
            days_after_infusion=days,
            baseline=_baseline(self.context.baseline_choice, prepared),
            used_as=_used_as(self.images),
            skipped=self.images.skipped,
            ignored=self.images.ignored,
            registration=self.registration,
            measurements=self.measurements,
            findings=findings,
            decision=self._with_objects(
                decide(
                    findings,
                    self.patterns,
                    refusal=self.refusal,
                    # a rise since any date is measured as surely as one against a baseline
                    has_baseline=compared is not None or self.since is not None,
                    first=opening(_baseline(self.context.baseline_choice, prepared)),
                )
            ),
            stage=self.stage,
            notices=(*self.images.set_aside, *self.images.notices, *_notices(self.context), *self.notices),
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
            judged=self._judged(findings),
            since=self.since,
            tissue_ratio=self.tissue_ratio,
            infusions=self.context.infusions,
            evolution=self._course(days, compared, findings, settings),
        )

    def _final_findings(self) -> tuple[Finding, ...]:
        """The findings, doubted where the series are, with those of earlier studies of the course and of a copy."""
        unjudged = indeterminate(self.refusal or "no baseline to compare with", self.patterns)
        findings = carried_on(doubted(self.findings or unjudged, self.images.doubts), self._found_earlier())
        same = None if self.context.baseline_choice is None else self.context.baseline_choice.same
        return findings if same is None else carried_from_copy(findings, same.found, same.study_date)

    @property
    def shown_by_baseline(self) -> tuple[str, ...]:
        """Patterns that the baseline shows, or leaves open, and that do not lie before treatment: that nothing changed
        against it excludes none of them."""
        choice = self.context.baseline_choice
        return () if choice is None or choice.since is not None else (*choice.carried, *choice.left_open)

    def _found_earlier(self) -> dict[str, date]:
        """Patterns of the course so far, which go on unless they are shown to be gone. Of a study of which nothing was
        measured none goes on. The first look carries on only what the compared study shows: the rest of the series
        may tell."""
        choice, context = self.context.baseline_choice, self.context
        if self.judged_from is JudgedFrom.NOTHING and self.since is None:
            return {}
        taken, known = self.images.study.study_date, {one.day for one in context.infusions}
        first = min(known | ({context.infusion_date} if context.infusion_date is not None else set()), default=None)
        start = first if first is not None and taken is not None and taken >= first else None
        found = found_earlier(context.earlier, start)
        compared = () if choice is None else choice.carried
        return {name: day for name, day in found.items() if self.stage is Stage.FULL or name in compared}

    def _judged(self, findings: tuple[Finding, ...]) -> Judged:
        return Judged(
            self.judged_from,
            self.protocol,
            self.refusal,
            tuple(carried := self._carried(findings)),
            max(carried.values(), default=None),
            self._is_before_treatment(),
        )

    def _is_before_treatment(self) -> bool:
        """Whether nothing but an earlier study is missing, which a scan before treatment does not need.

        A human has to look at a doubt about its images, a refused comparison, and a copy of another study.
        """
        choice = self.context.baseline_choice
        return (
            self.judged_from is JudgedFrom.SINGLE_SCAN
            and self.clear_before_treatment
            and (self.refusal or "").startswith(f"{NO_BASELINE}: ")
            and not self.images.doubts
            and (choice is None or choice.same is None)
        )

    def _with_objects(self, decision: Decision) -> Decision:
        """The decision, saying that objects were set aside, and that another study holds the same images: worklists
        show reasons, not notices."""
        said = [f"{SET_ASIDE}: {one}" for one in self.images.set_aside]
        choice = self.context.baseline_choice
        if choice is not None and choice.same is not None:
            same = choice.same
            found = f"; what was found in it ({', '.join(same.found)}) is carried on" if same.found else ""
            said.insert(
                0, f"{SAME_ACQUISITION}: the study of {same.study_date} holds these images under other UIDs{found}"
            )
        return replace(decision, reasons=(*decision.reasons, *said))

    def _carried(self, findings: tuple[Finding, ...]) -> dict[str, date]:
        """What the findings rest on beside the figures of this study: patterns with the date of the study that showed
        them."""
        choice, earlier = self.context.baseline_choice, self._found_earlier()
        gone_on = {f.pattern for f in findings if NOT_GONE in f.explanation}
        carried = {name: day for name, day in earlier.items() if self.since is not None or name in gone_on}
        if choice is not None and choice.study_date is not None:
            carried = dict.fromkeys(self.shown_by_baseline, choice.study_date) | carried
        if choice is not None and choice.same is not None:
            carried = dict.fromkeys(choice.same.found, choice.same.study_date) | carried
        return carried

    def _course(
        self,
        days: int | None,
        prepared: PreparedBaseline | None,
        findings: tuple[Finding, ...],
        settings: TriageSettings,
    ) -> Evolution | None:
        """How the patterns and figures went on since the patient's earlier studies."""
        visit = visit_now(
            (self.images.study.study_instance_uid, self.images.study.study_date, days),
            self.stage.value,
            None if prepared is None else prepared.study_instance_uid,
            self.measurements,
            findings,
            [(one.volume_ml, one.enhancing_volume_ml) for one in self.lesions],
            self.protocol,
        )
        return evolution(visit, self.context.earlier, settings.evolution, limits_of(settings, self.patterns))


def _placed(session: Session, to_followup: Affine) -> dict[SequenceKind, Volume]:
    """Native voxels in follow-up space. to_followup: (4, 4), of the session's anchor, LPS mm."""
    return {
        kind: Volume(v.voxels, np.asarray(to_followup @ session.to_anchor[kind] @ v.affine))
        for kind, v in session.volumes.items()
    }


def _used_as(images: StudyImages) -> dict[str, str]:
    return {uid: kind.value for kind, uid in images.used.items()}


def _baseline(choice: BaselineChoice | None, prepared: PreparedBaseline | None) -> BaselineChoice | None:
    """The choice as the result states it: without a prepared baseline nothing was compared, so no study is named."""
    if choice is None or (choice.study_instance_uid is not None and prepared is not None):
        return choice
    return replace(choice, study_instance_uid=None, study_date=None)


def _notices(context: Context) -> tuple[str, ...]:
    known = () if context.infusion_date is not None else ("no infusion date is known for this patient",)
    return (*known, *context.notices)
