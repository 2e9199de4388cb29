"""Everything that can change a result, in one value: the ``triage`` section of config.yaml."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, make_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from triage.alignment.placement import RegionLimits
from triage.alignment.registration import RegistrationLimits
from triage.diffusion.figures import DiffusionLimits
from triage.fluid.atrophy import AtrophyLimits
from triage.fluid.limits import FluidLimits
from triage.lesions.burden import BurdenLimits
from triage.lesions.enhancement import EnhancementLimits
from triage.lesions.limits import LesionLimits
from triage.patterns.all import PATTERNS
from triage.patterns.pattern import Pattern
from triage.protocol import ProtocolLimits
from triage.report.baseline_report import BaselineReportLimits
from triage.report.evolution import EvolutionLimits
from triage.report.look_alikes import LookAlikeLimits
from triage.signal.change import MeasurementLimits
from triage.signal.single_scan import SingleScanLimits

# larger whenever a baseline is prepared otherwise: what an earlier program prepared is then prepared anew
PREPARED_FORM = 5


@dataclass(frozen=True)
class PreparationSettings:
    """The settings that the preparation of a baseline reads. Prepared work stays valid while they stay the same."""

    threads: int
    regions: RegionLimits
    burden: BurdenLimits
    atrophy: AtrophyLimits
    # of patients below this age intensities are not compared with those of adults
    youngest_years: float = SingleScanLimits.youngest_years


@dataclass(frozen=True)
class CommonSettings:
    """Everything that can change a result, except the limits of the patterns."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # whose studies are looked at: all, or roster (patients of whom an infusion is known; every other study gets a
    # result that says it was not looked at, and is decided when an infusion becomes known)
    cohort: Literal["all", "roster"] = "all"
    # most processor threads that SimpleITK uses for one assessment
    threads: int = 2
    # edge of the cubic voxels of the half-way grid on which both dates are compared
    measuring_spacing_mm: float = 1.5
    registration: RegistrationLimits = field(default_factory=RegistrationLimits)
    regions: RegionLimits = field(default_factory=RegionLimits)
    measurement: MeasurementLimits = field(default_factory=MeasurementLimits)
    protocol: ProtocolLimits = field(default_factory=ProtocolLimits)
    lesions: LesionLimits = field(default_factory=LesionLimits)
    enhancement: EnhancementLimits = field(default_factory=EnhancementLimits)
    diffusion: DiffusionLimits = field(default_factory=DiffusionLimits)
    fluid: FluidLimits = field(default_factory=FluidLimits)
    single_scan: SingleScanLimits = field(default_factory=SingleScanLimits)
    burden: BurdenLimits = field(default_factory=BurdenLimits)
    atrophy: AtrophyLimits = field(default_factory=AtrophyLimits)
    baseline_report: BaselineReportLimits = field(default_factory=BaselineReportLimits)
    evolution: EvolutionLimits = field(default_factory=EvolutionLimits)
    look_alikes: LookAlikeLimits = field(default_factory=LookAlikeLimits)

    @property
    def preparation(self) -> PreparationSettings:
        """The part that is read when a baseline is prepared."""
        return PreparationSettings(
            self.threads, self.regions, self.burden, self.atrophy, self.single_scan.youngest_years
        )


def settings_with(patterns: Iterable[Pattern[Any]]) -> type[CommonSettings]:
    """The settings with a section for each pattern: its limits, under its key."""
    return make_dataclass(
        "TriageSettings",
        [(pattern.key, pattern.limits, field(default_factory=pattern.limits)) for pattern in patterns],
        bases=(CommonSettings,),
        frozen=True,
        namespace={"__doc__": "Everything that can change a result; the ``triage`` section of config.yaml."},
    )


def limits_of(settings: CommonSettings, patterns: Iterable[Pattern[Any]] = PATTERNS) -> dict[Pattern[Any], Any]:
    """Each pattern with its limits."""
    return {pattern: pattern.limits_in(settings) for pattern in patterns}


if TYPE_CHECKING:
    TriageSettings = CommonSettings  # a type checker cannot see the sections of the patterns
else:
    TriageSettings = settings_with(PATTERNS)
    TriageSettings.__module__ = __name__
