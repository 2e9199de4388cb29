"""Patterns that are not built yet say so in every result."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.builders import figures
from triage.model import Measurement, Presence, ProtocolMatch
from triage.patterns import cortical_diffusion, focal_white_matter, global_oedema


@pytest.mark.parametrize(
    ("module", "pattern"),
    [
        pytest.param(focal_white_matter, "B", id="B"),
        pytest.param(cortical_diffusion, "C", id="C"),
        pytest.param(global_oedema, "D", id="D"),
    ],
)
@pytest.mark.parametrize(
    "measured", [pytest.param((), id="nothing"), pytest.param(figures(thalamus__both=50.0), id="something")]
)
def test_indeterminate_and_why(module: ModuleType, pattern: str, measured: tuple[Measurement, ...]) -> None:
    finding = module.detect(measured, ProtocolMatch.SAME)
    assert finding.pattern == module.PATTERN == pattern
    assert finding.presence is Presence.INDETERMINATE
    assert finding.strength is None
    assert "not built" in finding.explanation
