"""Patterns that are not built yet say so in every result."""

from __future__ import annotations

from types import ModuleType

import pytest

from triage.model import Presence, ProtocolMatch
from triage.patterns import cortical_diffusion

NOT_BUILT = [
    pytest.param(cortical_diffusion, cortical_diffusion.CorticalDiffusionLimits(), id="C"),
]


@pytest.mark.parametrize(("module", "limits"), NOT_BUILT)
def test_indeterminate_and_why(module: ModuleType, limits: object) -> None:
    finding = module.detect((), ProtocolMatch.SAME, limits)
    assert finding.presence is Presence.INDETERMINATE
    assert finding.strength is None
    assert "not built" in finding.explanation
