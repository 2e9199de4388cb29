"""A follow-up's FLAIR and its prepared baseline in, how the one lies on the other out. Pure."""

from __future__ import annotations

from typing import Protocol

from triage.alignment.images import to_sitk
from triage.alignment.registration import Pyramid, RegistrationLimits, register_followup
from triage.libraries import sitk
from triage.model import RegistrationResult, Volume
from triage.preparation import PreparedBaseline


class Registering(Protocol):
    """``register_on_baseline``, or what was found before of the same two FLAIRs."""

    def __call__(self, flair: Volume, prepared: PreparedBaseline, limits: RegistrationLimits) -> RegistrationResult: ...


def register_on_baseline(flair: Volume, prepared: PreparedBaseline, limits: RegistrationLimits) -> RegistrationResult:
    """The FLAIR of the follow-up on that of the baseline.

    Raises:
        NotAssessable: as ``register_followup``.
    """
    working = (
        Pyramid(**{name: to_sitk(volume) for name, volume in prepared.working.items()}) if prepared.working else None
    )
    return register_followup(
        to_sitk(flair), to_sitk(prepared.flair), to_sitk(prepared.brain, sitk.sitkUInt8), limits,
        slice_thickness_mm=max(*flair.spacing_mm, *prepared.flair.spacing_mm), baseline_pyramid=working,
    )  # fmt: skip
