"""What one patient's scans show, and a measurement core that measures exactly that.

The choice of the baseline, the merging of findings and the policy are the real ones; only the figures are given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.fakes import a_volume
from triage.assessment import Assessed
from triage.baseline import Candidate, choose_baseline
from triage.course import merged, merged_for, seen_alone
from triage.detection import before_infusion, indeterminate
from triage.draft import Context, Draft
from triage.errors import NotAssessable, Transient
from triage.infusions import Infusion
from triage.model import (
    BaselineChoice,
    Finding,
    Identification,
    Patient,
    Presence,
    SequenceKind,
    Series,
    SeriesHeader,
    Stage,
    Strength,
    Study,
    StudyImages,
)
from triage.patterns.all import PATTERNS
from triage.report.contents import JudgedFrom, Since
from triage.settings import TriageSettings
from workers.identities import ObjectAnswer, StudyFacts, sort_out
from workers.index.persons import row_votes
from workers.moments import parse_time
from workers.ports import StudyIndex
from workers.rejection_notes import RejectionNote

DAY_0 = date(2024, 3, 4)  # of the first infusion of most histories
ME = "P1"
SEEN_ALONE = 2  # so much of a pattern shows in a single scan; less needs a comparison
BLANK, FILLED = "blank-", "filled-"  # begin of file names: an empty image, and what came again under its UID
FLAIR, T1 = ("flair",), ("t1",)


@dataclass(frozen=True)
class Scan:
    """One study.

    day: days after DAY_0. shows: pattern -> how much of it is in the images, 1 or more; patterns that are not named are
    not there. parts: kinds of series that arrive together. nameless: so many objects without a patient ID come first.
    wrong_id: the patient ID of the first part, whose later parts are more. blank: so many FLAIR images are blank when
    they come first (``events.Filled``). answered: patient ID of its objects about which a human says something, and
    what. corrected: the patient ID under which it comes again. copies: the study whose images it holds. unfit:
    its content is refused as baseline. broken: its content cannot be assessed. afterwards: events that follow its last
    part, in their order. part_days: the day that each part states, where that is not ``day``. counts: objects for each
    series of each part; empty: later parts hold more. seen_in: pattern -> the only kind of series that shows it.
    visit: the day of the later of two visits that came under this UID, which the reader finds.
    unmeasured: patterns whose regions are in doubt, so that nobody can judge them.
    """

    uid: str
    day: int | None
    shows: Mapping[str, int] = field(default_factory=dict)
    at: str = "120000"
    patient_id: str = ME
    issuer: str = ""
    birth_date: date | None = None
    parts: tuple[tuple[str, ...], ...] = (FLAIR,)
    nameless: int = 0
    wrong_id: str = ""
    blank: int = 0
    answered: tuple[str, ObjectAnswer] | None = None
    corrected: str = ""
    copies: str = ""
    unfit: bool = False
    broken: bool = False
    afterwards: tuple[Any, ...] = ()
    part_days: tuple[int | None, ...] = ()
    counts: tuple[int, ...] = ()
    seen_in: Mapping[str, str] = field(default_factory=dict)
    visit: int | None = None
    unmeasured: tuple[str, ...] = ()

    def seen_with(self, kinds: Collection[str]) -> Scan:
        """What is seen of it with series of these kinds."""
        shows = {name: n for name, n in self.shows.items() if self.seen_in.get(name, "flair") in kinds}
        return replace(self, shows=shows)

    @property
    def date(self) -> date | None:
        return None if self.day is None else on(self.day)


def on(day: int) -> date:
    """The date so many days after DAY_0."""
    return DAY_0 + timedelta(days=day)


class ScanReader:
    """Studies as their stored objects describe them. away: studies that cannot be read now."""

    def __init__(self, index: StudyIndex, scans: Mapping[str, Scan]) -> None:
        self._index, self.scans = index, scans
        self.away: set[str] = set()
        self.notes_away: set[str] = set()  # by file name
        self.notes: dict[str, RejectionNote] = {}  # by file name

    def note_reader(self) -> Callable[[Path], RejectionNote | None]:
        return self.rejection_note

    def rejection_note(self, path: Path) -> RejectionNote | None:
        if path.parent.name in self.away or path.name in self.notes_away:
            raise Transient("a file of the study cannot be read now")
        return self.notes.get(path.name)

    def read(
        self,
        paths: Sequence[Path],
        *,
        kinds: frozenset[SequenceKind] | None = None,
        vouched: frozenset[Path] = frozenset(),
    ) -> StudyImages:
        study = self.describe(paths, vouched=vouched)
        wanted = [one for one in study.series if kinds is None or one.identification.kind in kinds]
        volume = a_volume()
        used = {one.identification.kind: one.header.series_instance_uid for one in wanted}
        empty = sum(path.name.startswith(BLANK) for path in paths)
        doubts = (f"in the FLAIR {empty} of 10 slices are empty between others",) if empty else ()
        return StudyImages(study, dict.fromkeys(used, volume), used, doubts=doubts)

    def describe(self, paths: Sequence[Path], *, vouched: frozenset[Path] = frozenset()) -> Study:
        uid = paths[0].parent.name
        if uid in self.away:
            raise Transient("a file of the study cannot be read now")
        given = {path.name.replace(FILLED, BLANK) for path in paths}
        rows = [row for row in self._index.instances(uid) if Path(row.path).name in given]
        names = {path.name for path in vouched}
        found = sort_out([*map(row_votes, rows)], {n for n, row in enumerate(rows) if Path(row.path).name in names})
        if not found.clear:
            raise NotAssessable("mixed_patients", "one study carries 2 patient IDs")
        scan = self.scans.get(uid)
        said = found.facts if scan is None or scan.visit is None else replace(found.facts, study_date=on(scan.visit))
        rows = [row for number, row in enumerate(rows) if number not in found.strays]
        series = {row.series_instance_uid: SequenceKind(row.series_description) for row in rows}
        images = scan.copies if scan is not None and scan.copies else uid
        acquired = self.scans[images].date if images in self.scans else said.study_date
        return Study(
            uid,
            _patient(said),
            said.study_date,
            parse_time(said.study_time),
            tuple(map(_series, series.items())),
            acquisition=frozenset({images}),
            acquired=acquired,
        )


def _patient(said: StudyFacts) -> Patient:
    return Patient(said.patient_id, said.issuer, said.birth_date, said.sex)


def _series(said: tuple[str, SequenceKind]) -> Series:
    uid, kind = said
    return Series(SeriesHeader(uid), Identification(kind, 1.0, ("said so",)))


class ScanEngine:
    """ports.Engine whose figures are what the scans show. before: called at the start of each stage, e.g. to fail."""

    versions: Mapping[str, str] = {"icansee": "test", "config_sha256": "0" * 64, "atlas": "test"}
    preparation_key = "key"

    def __init__(self, scans: Mapping[str, Scan]) -> None:
        self._scans = scans
        self._settings = TriageSettings()
        self.before: Callable[[str], None] = lambda _stage: None

    def warm_up(self) -> None:
        pass

    def choose_baseline(
        self, study: Study, candidates: Sequence[Candidate], infusions: Sequence[Infusion]
    ) -> BaselineChoice:
        return choose_baseline(study, candidates, infusions=infusions, latest_days_before_infusion=365)

    def prepare_baseline(self, images: StudyImages) -> Any:
        if self._scans[images.study.study_instance_uid].unfit:
            raise NotAssessable("motion", "too much motion")
        if images.doubts:
            raise NotAssessable("blank_slices", images.doubts[0])
        return " ".join((images.study.study_instance_uid, *sorted(kind.value for kind in images.volumes)))

    def first_look(self, images: StudyImages, prepared: Any, context: Context) -> Assessed:
        return self._assess(images, prepared, context, Stage.FIRST_LOOK)

    def full(self, images: StudyImages, prepared: Any, context: Context) -> Assessed:
        return self._assess(images, prepared, context, Stage.FULL)

    def _assess(self, images: StudyImages, prepared: Any, context: Context, stage: Stage) -> Assessed:
        """As triage/assessment.py goes about it."""
        self.before(stage.value)
        draft, choice = Draft(images, context, stage), context.baseline_choice
        scan = self._scans[images.study.study_instance_uid].seen_with([kind.value for kind in images.volumes])
        kept, *kinds = (None,) if prepared is None else prepared.split()
        if images.doubts:
            scan = replace(scan, shows={})  # what there is lies in the slices that are empty
        if SequenceKind.FLAIR not in images.volumes:
            draft = replace(draft, refusal="no_flair: none of its series is a FLAIR")
        elif scan.broken:
            draft = replace(draft, refusal="motion: too much motion")
        elif prepared is None:
            draft = self._alone(draft, scan)
        elif choice is not None and choice.since is not None:
            draft, kept = self._since(draft, scan, self._scans[kept].seen_with(kinds), choice), None
        else:
            draft = self._beside(self._compared(draft, scan, self._scans[kept].seen_with(kinds)), scan)
        baseline: Any = None if kept is None else SimpleNamespace(study_instance_uid=kept)
        return Assessed(draft.finish({}, baseline, self._settings), None)

    def _compared(self, draft: Draft, scan: Scan, other: Scan) -> Draft:
        findings = tuple(
            _unmeasured(pattern.name)
            if pattern.name in (*scan.unmeasured, *other.unmeasured)
            else _finding(pattern.name, scan.shows.get(pattern.name, 0) - other.shows.get(pattern.name, 0), 1)
            for pattern in PATTERNS
        )
        return replace(draft, judged_from=JudgedFrom.COMPARISON, findings=findings)

    def _alone(self, draft: Draft, scan: Scan) -> Draft:
        choice = draft.context.baseline_choice
        why = f"no_baseline: {choice.reason if choice is not None else 'no earlier study was given'}"
        draft = replace(draft, refusal=why, findings=indeterminate("no baseline to compare with"))
        if draft.stage is Stage.FIRST_LOOK:
            return draft
        findings = tuple(
            _unmeasured(pattern.name)
            if pattern.name in scan.unmeasured
            else _finding(pattern.name, scan.shows.get(pattern.name, 0), SEEN_ALONE)
            for pattern in PATTERNS
        )
        study, infusion = draft.images.study, draft.context.infusion_date
        if study.study_date is not None and infusion is not None and study.study_date < infusion:
            findings = before_infusion(findings)
        return replace(draft, judged_from=JudgedFrom.SINGLE_SCAN, findings=findings)

    def _since(self, draft: Draft, scan: Scan, other: Scan, choice: BaselineChoice) -> Draft:
        assert choice.since is not None
        uid, day = choice.since
        compared = self._compared(draft, scan, other)
        alone = self._alone(draft, scan)
        measured = alone.findings if alone.judged_from is JudgedFrom.SINGLE_SCAN else ()
        return replace(
            alone,
            findings=merged(compared.findings, measured, day),
            judged_from=JudgedFrom.COURSE if measured else JudgedFrom.NOTHING,
            since=Since(uid, day, None, (), compared.findings),
        )

    def _beside(self, draft: Draft, scan: Scan) -> Draft:
        choice = draft.context.baseline_choice
        alone = self._alone(replace(draft, judged_from=JudgedFrom.NOTHING), scan)
        found = alone.findings if alone.judged_from is JudgedFrom.SINGLE_SCAN else ()
        findings = draft.findings
        if choice is not None and choice.study_date is not None:
            findings = merged_for(findings, draft.shown_by_baseline, found, choice.study_date)
        return replace(draft, findings=seen_alone(findings, found, ()))


def _unmeasured(pattern: str) -> Finding:
    return Finding(pattern, Presence.INDETERMINATE, None, "its regions could not be measured")


def _finding(pattern: str, amount: int, least: int) -> Finding:
    if amount >= least:
        strength = Strength.SUSPECTED if amount > least else Strength.POSSIBLE
        return Finding(pattern, Presence.PRESENT, strength, f"{amount} of it")
    if amount > 0:
        return Finding(pattern, Presence.INDETERMINATE, None, "too little to tell")
    return Finding(pattern, Presence.ABSENT, None, "none of it")
