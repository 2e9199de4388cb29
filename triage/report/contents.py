"""What a report says about one study and about the patient's studies over time, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from triage.infusions import Infusion
from triage.model import (
    BaselineChoice,
    Category,
    Decision,
    Finding,
    Lesion,
    Measurement,
    Priority,
    ProtocolMatch,
    RegistrationResult,
    SkippedSeries,
    Stage,
    Study,
)


class JudgedFrom(StrEnum):
    """Which figures a study's findings were judged from."""

    COMPARISON = "comparison"  # against a baseline
    SINGLE_SCAN = "single_scan"  # without a baseline
    COURSE = "course"  # of a single scan, and against a study that is no baseline
    DIFFUSION = "diffusion"  # diffusion images alone, without a FLAIR
    NOTHING = "nothing"  # nothing was measured


@dataclass(frozen=True)
class Judged:
    """What findings and decision rest on.

    protocol: None without a comparison. refusal: why the assessment is incomplete, else None. carried: patterns that
    earlier studies showed and that do not lie before treatment, the latest date of these in ``carried_on``.
    before_treatment: the study is the scan before treatment: the single scan was measured, and nothing in it is a
    pattern.
    """

    source: JudgedFrom = JudgedFrom.NOTHING
    protocol: ProtocolMatch | None = None
    refusal: str | None = None
    carried: tuple[str, ...] = ()
    carried_on: date | None = None
    before_treatment: bool = False


@dataclass(frozen=True, eq=False)
class Since:
    """What went on since the date of a study that is no baseline."""

    study_instance_uid: str
    study_date: date
    registration: RegistrationResult | None
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]


class Course(StrEnum):
    """How a pattern went on since the patient's earlier studies."""

    NEW = "new"
    WORSE = "worse"
    STABLE = "stable"
    RESOLVING = "resolving"
    RESOLVED = "resolved"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True)
class PatternCourse:
    """How one pattern went on.

    since: date of the study that first showed this episode of the pattern (resolved: first showed it gone); None when
    unknown.
    """

    pattern: str
    state: Course
    since: date | None
    reason: str


@dataclass(frozen=True)
class TrendPoint:
    """One figure at one date. value None: not measured then. protocol None: not compared with a baseline."""

    study_instance_uid: str
    study_date: date | None
    days_after_infusion: int | None
    value: float | None
    uncertainty: float | None
    stage: str
    protocol: str | None
    baseline_study_instance_uid: str | None


@dataclass(frozen=True)
class Trend:
    """One quantity of one region over the patient's studies, oldest first."""

    region: str
    quantity: str
    unit: str
    points: tuple[TrendPoint, ...]


@dataclass(frozen=True)
class Evolution:
    """The course of the patient's studies.

    later_loss: cortical loss where diffusion was restricted in an earlier study; None when nothing was restricted
    before.
    """

    patterns: tuple[PatternCourse, ...]
    trend: tuple[Trend, ...]
    later_loss: Finding | None = None


@dataclass(frozen=True)
class BaselineReport:
    """What was abnormal before treatment.

    abnormal: None when unknown. sites: atlas regions with old lesions, largest load first. found: the statements that
    make it abnormal.
    """

    study_instance_uid: str
    study_date: date | None
    abnormal: bool | None
    statements: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    lesions: tuple[Lesion, ...]
    sites: tuple[str, ...]
    found: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assessment:
    """Everything said about one study; becomes the JSON document of the contract."""

    study: Study
    days_after_infusion: int | None
    baseline: BaselineChoice | None
    used_as: Mapping[str, str]  # series UID -> what it was used as, e.g. "follow-up FLAIR"
    skipped: tuple[SkippedSeries, ...]
    registration: RegistrationResult | None
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    decision: Decision
    stage: Stage
    notices: tuple[str, ...]  # e.g. "no infusion date is known"; shown with every output
    timings_s: Mapping[str, float]
    versions: Mapping[str, str]
    lesions: tuple[Lesion, ...] = ()
    look_alikes: tuple[str, ...] = ()  # sentences; none of them lowers a priority
    evolution: Evolution | None = None  # None: no earlier document of the patient
    baseline_report: BaselineReport | None = None  # None: no scan before treatment was measured
    judged: Judged = Judged()
    infusions: tuple[Infusion, ...] = ()  # all that are known of the patient
    since: Since | None = None  # None: not compared with a study that is no baseline
    ignored: tuple[SkippedSeries, ...] = ()  # objects of the study that are in none of its series
    tissue_ratio: float | None = None  # FLAIR of healthy grey over that of white matter; None: not measured

    @property
    def is_before_treatment(self) -> bool:
        """The scan before treatment, measured, with no pattern in it and no priority: the category is
        ``not_assessable`` because there is nothing to compare it with, and there need not be."""
        said = (self.decision.category, self.decision.priority)
        return self.judged.before_treatment and said == (Category.NOT_ASSESSABLE, Priority.UNCHANGED)
