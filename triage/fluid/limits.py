"""The limits by which triage.fluid.shares and triage.fluid.changes measure fluid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from triage.fluid.lobes import LobeLimits


@dataclass(frozen=True)
class FluidLimits:
    """How fluid is measured (docs/method.md, Pattern D)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # shares of fluid up to this count as none. Below lies the spread of cortex itself, which would dilute a change: on
    # simulated effacement of -40 % a window from 0.05 found -24 %, this one -38 %
    window_low: float = 0.15
    # shares of fluid from this on count as all
    window_high: float = 0.7
    # fluid as near as this to midbrain and pons is cisternal
    cistern_mm: float = 15.0
    # taken off the rim of the brain for T1 and FLAIR, where bone looks like fluid
    rim_mm: float = 3.0
    # edge of the blocks that are left out in turn, to see how much the answer depends on any of them (jackknife)
    block_mm: float = 40.0
    # relative difference of sharpness below which the dates count as equally sharp
    sharpness: float = 0.03
    # what T2 itself costs: one standard deviation of a fluid volume, added to what the pair shows
    error_t2_percent: float = 5.0
    # the same for T1
    error_t1_percent: float = 8.0
    # the same for FLAIR, same protocol: real pairs without oedema moved by -1, +1 and +15 %
    error_flair_percent: float = 10.0
    # the same for FLAIR, different protocols: real pairs without oedema moved by -31 to +43 %
    error_flair_different_percent: float = 22.0
    # the same for the brain's volume, as a share of the contrast's figure
    brain_share: float = 0.05
    # FLAIR measures no fluid when the signal of pure fluid rose by more than this, percent of white matter: oxygen and
    # gadolinium brighten it (Radiology 2004;233:51)
    csf_flair_percent: float = 15.0
    # less fluid than this at the baseline gives no percentage
    min_volume_ml: float = 2.0
    # share of the brain, or of a compartment, that counts as in view
    min_seen: float = 0.8
    # how the cortex of each lobe is measured
    lobe: LobeLimits = field(default_factory=LobeLimits)
