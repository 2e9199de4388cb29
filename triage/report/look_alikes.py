"""Measurements in, plain sentences about what else could look like this out. None of them lowers a priority.

The signs are those of docs/method.md, look-alikes. Each sentence names the figures that made it. A last sentence says
what was not examined.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from triage.anatomy import THALAMI, WHITE
from triage.measurements import lookup
from triage.model import Finding, Lesion, Measurement, Presence, SequenceKind

FLAIR = "flair_change_percent"


@dataclass(frozen=True)
class LookAlikeLimits:
    """When a sign counts as measured, in percent FLAIR change unless named otherwise.

    Starting values (docs/method.md, look-alikes).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # a part of a region rises
    rise: float = 8.0
    # and its counterpart by this much less
    apart: float = 6.0
    # raised share of the white matter behind
    posterior_percent: float = 2.0
    # and this many times that in front
    posterior_share: float = 2.0
    # restricted deep grey or white matter. Hypoxic injury is counted below 650; normal deep grey has 750, white 700
    # (AJNR 2002;23:194)
    adc_low_um2_s: float = 600.0
    # of the brain below an ADC of 650: hypoxic injury
    brain_restricted_percent: float = 10.0
    # volume of a sphere of 1 cm: acute disseminated encephalomyelitis (ADEM)
    large_ml: float = 0.52
    # lesion volume of the smaller over the larger side
    lopsided: float = 0.5
    # fluid rises by this much, percent of white matter (fluid itself is near 0 on FLAIR)
    csf: float = 15.0
    # and does not rise, below this
    csf_quiet: float = 7.5
    # FLAIR of tissue counts as near normal below this
    quiet: float = 5.0


@dataclass(frozen=True, eq=False)
class Signs:
    """What a sentence may look at."""

    measurements: Sequence[Measurement]
    findings: Sequence[Finding]
    lesions: Sequence[Lesion]

    def value(self, region: str, quantity: str = FLAIR) -> float | None:
        """None: not measured, or without a baseline to compare with."""
        return lookup(tuple(self.measurements), region, quantity).value

    def least(self, regions: Sequence[str], quantity: str = FLAIR) -> float | None:
        """The smallest of the regions; None when one is unknown."""
        found = [self.value(region, quantity) for region in regions]
        known = [v for v in found if v is not None]
        return min(known) if len(known) == len(found) else None

    def first(self, quantity: str) -> float | None:
        """The figure of whichever region has it."""
        return next((m.value for m in self.measurements if m.quantity == quantity and m.value is not None), None)


def sentences(
    measurements: Sequence[Measurement],
    findings: Sequence[Finding],
    lesions: Sequence[Lesion] = (),
    *,
    examined: Collection[SequenceKind],
    limits: LookAlikeLimits,
) -> tuple[str, ...]:
    """One sentence per look-alike whose sign was measured, then one on what was not examined.

    Args:
        examined: the kinds of series that were measured.
    """
    signs = Signs(measurements, findings, lesions)
    found = (rule(signs, limits) for rule in RULES)
    return (*(text for text in found if text is not None), *_not_examined(frozenset(examined)))


def _medial(s: Signs, limits: LookAlikeLimits) -> str | None:
    medial, lateral = s.value("thalami_medial"), s.value("thalami_lateral")
    if medial is None or lateral is None or medial < limits.rise or medial - lateral < limits.apart:
        return None
    return (
        f"The medial halves of the thalami rise by {medial:+.0f} %, the lateral ones by {lateral:+.0f} %: "
        "Wernicke encephalopathy does so (with the mammillary bodies, which are not measured)."
    )


def _basal_ganglia(s: Signs, limits: LookAlikeLimits) -> str | None:
    ganglia, thalami = s.least(("basal_ganglia_left", "basal_ganglia_right")), s.least(THALAMI)
    if ganglia is None or thalami is None or min(ganglia, thalami) < limits.rise:
        return None
    return (
        f"The basal ganglia rise with the thalami ({ganglia:+.0f} % and {thalami:+.0f} % on the smaller side): "
        "deep venous thrombosis does so; bleeding and the veins themselves were not measured. "
        "Viral and acute necrotising encephalitis too."
    )


def _percheron(s: Signs, limits: LookAlikeLimits) -> str | None:
    found = [(r, s.value(r, "adc_um2_s")) for r in (*THALAMI, "midbrain")]
    low = [f"{_words(r)} {v:.0f}" for r, v in found if v is not None and v <= limits.adc_low_um2_s]
    if not low:
        return None
    return f"Diffusion is restricted in the {' and '.join(low)} (ADC, um2/s): an artery of Percheron infarct does so."


def _pontine_core(s: Signs, limits: LookAlikeLimits) -> str | None:
    core, rim = s.value("pons_core"), s.value("pons_rim")
    if core is None or rim is None or core < limits.rise or core - rim < limits.apart:
        return None
    return (
        f"The core of the pons rises by {core:+.0f} %, its rim by {rim:+.0f} %: "
        "osmotic demyelination does so (ask for the sodium's course)."
    )


def _posterior(s: Signs, limits: LookAlikeLimits) -> str | None:
    behind, before = (s.value(f"white_matter_{part}", "raised_fraction_percent") for part in ("posterior", "anterior"))
    thalami = s.least(THALAMI)
    if behind is None or before is None or thalami is None or thalami >= limits.rise:
        return None
    if behind < limits.posterior_percent or behind < limits.posterior_share * max(before, 0.0):
        return None
    return (
        f"White matter rises behind ({behind:.1f} % of it, {before:.1f} % in front) and the thalami do not "
        f"({thalami:+.0f} %): posterior reversible encephalopathy (PRES) does so (ask for the blood pressure)."
    )


def _hypoxic(s: Signs, limits: LookAlikeLimits) -> str | None:
    share = s.first("adc_below_650_percent")
    if share is None or share < limits.brain_restricted_percent:
        return None
    return f"{share:.0f} % of the brain lies below an ADC of 650 um2/s: hypoxic injury does so (from 10 %)."


def _large_lopsided(s: Signs, limits: LookAlikeLimits) -> str | None:
    large = [one for one in s.lesions if one.volume_ml >= limits.large_ml]
    if not large:
        return None
    sides = [sum(one.volume_ml for one in s.lesions if one.site.endswith(side)) for side in ("_left", "_right")]
    if min(sides) >= limits.lopsided * max(sides):
        return None
    return (
        f"{len(large)} focal lesion{'s' * (len(large) > 1)} of 1 cm or more, "
        f"{sides[0]:.1f} mL on the left and {sides[1]:.1f} mL on the right: "
        "acute disseminated encephalomyelitis (ADEM) is asymmetric like this."
    )


def _methotrexate(s: Signs, limits: LookAlikeLimits) -> str | None:
    for region in WHITE:
        adc, change = s.value(region, "adc_um2_s"), s.value(region)
        if adc is not None and adc <= limits.adc_low_um2_s and change is not None and abs(change) < limits.quiet:
            what = f"{_words(region).capitalize()} has an ADC of {adc:.0f} um2/s"
            return f"{what} with near-normal FLAIR ({change:+.0f} %): methotrexate does so."
    return None


def _leptomeningeal(s: Signs, limits: LookAlikeLimits) -> str | None:
    sulci, ventricles = (s.value(r, "csf_flair_change_percent") for r in ("sulcal_csf", "ventricles"))
    if sulci is None or ventricles is None or sulci < limits.csf or ventricles >= limits.csf_quiet:
        return None
    return (
        f"The sulci are brighter on FLAIR ({sulci:+.0f} % of white matter), the ventricles are not "
        f"({ventricles:+.0f} %): leptomeningeal leukaemia or lymphoma, blood, or inhaled oxygen do so."
    )


def _fluid_only(s: Signs, limits: LookAlikeLimits) -> str | None:
    sulci, ventricles = (s.value(r, "csf_flair_change_percent") for r in ("sulcal_csf", "ventricles"))
    if sulci is None or ventricles is None or min(sulci, ventricles) < limits.csf_quiet or sulci < limits.csf:
        return None
    if any(f.presence is Presence.PRESENT for f in s.findings):
        return None
    return (
        f"Only the fluid is brighter on FLAIR (sulci {sulci:+.0f} %, ventricles {ventricles:+.0f} % of white matter): "
        "inhaled oxygen (anaesthesia) or recent gadolinium do so; this is not counted as a finding."
    )


Rule = Callable[[Signs, LookAlikeLimits], str | None]
RULES: tuple[Rule, ...] = (
    _medial, _basal_ganglia, _percheron, _pontine_core, _posterior, _hypoxic, _large_lopsided, _methotrexate,
    _leptomeningeal, _fluid_only,
)  # fmt: skip


def _not_examined(examined: frozenset[SequenceKind]) -> Iterator[str]:
    missing = []
    if not examined & {SequenceKind.DWI, SequenceKind.ADC}:
        missing.append("diffusion (no DWI or ADC: infarct, hypoxic injury, methotrexate)")
    missing.append("susceptibility (SWI is not measured: bleeding, thrombosed veins)")
    if not {SequenceKind.T1, SequenceKind.T1_GD} <= examined:
        missing.append("contrast enhancement (no T1 before and after contrast)")
    yield f"Not examined: {'; '.join(missing)}."


def _words(region: str) -> str:
    """thalamus_left -> left thalamus."""
    for side in ("left", "right"):
        if region.endswith(f"_{side}"):
            return f"{side} {region.removesuffix(f'_{side}')}".replace("_", " ")
    return region.replace("_", " ")
