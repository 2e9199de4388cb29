"""Same or different protocol, from headers and geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from triage.model import ProtocolMatch, SeriesHeader, Volume
from triage.protocol import ProtocolLimits, compare

HEADER: dict[str, Any] = {
    "manufacturer": "SIEMENS",
    "model_name": "Avanto",
    "mr_acquisition_type": "2D",
    "repetition_time_ms": 9000.0,
    "echo_time_ms": 120.0,
    "inversion_time_ms": 2500.0,
    "magnetic_field_strength_t": 1.5,
}
SPACING = (0.8, 0.8, 4.0)


def a_side(spacing: tuple[float, float, float] = SPACING, **changes: Any) -> tuple[SeriesHeader, Volume]:
    return SeriesHeader("1.2", **{**HEADER, **changes}), Volume(np.zeros((2, 2, 2)), np.diag([*spacing, 1.0]))


@pytest.mark.parametrize(
    ("followup", "names"),
    [
        pytest.param(a_side(), None, id="noop: alike"),
        pytest.param(a_side(manufacturer=" siemens "), None, id="written otherwise"),
        pytest.param(a_side(echo_time_ms=125.0), None, id="echo time nearly the same"),
        pytest.param(a_side(echo_time_ms=90.0), "echo time", id="echo time"),
        pytest.param(a_side(repetition_time_ms=6000.0), "repetition time", id="repetition time"),
        pytest.param(a_side(inversion_time_ms=1800.0), "inversion time", id="inversion time"),
        pytest.param(a_side(manufacturer="GE MEDICAL SYSTEMS"), "manufacturer", id="manufacturer"),
        pytest.param(a_side(model_name="Skyra"), "scanner model", id="model"),
        pytest.param(a_side(series_description="SyMRI FLAIR"), "images ", id="synthetic"),
        pytest.param(a_side(mr_acquisition_type="3D"), "acquisition", id="acquisition"),
        pytest.param(a_side(magnetic_field_strength_t=3.0), "field strength", id="field strength"),
        pytest.param(a_side(magnetic_field_strength_t=1.494), None, id="field strength as measured"),
        pytest.param(a_side((0.5, 0.5, 4.0)), "in-plane", id="finer pixels"),
        pytest.param(a_side((1.0, 1.0, 1.0)), "slice distance", id="thin slices"),
        pytest.param(a_side((0.8, 0.8, 3.0)), None, id="slices a little thinner"),
        pytest.param(a_side((4.0, 0.8, 0.8)), None, id="the same voxels in another order"),
        pytest.param(a_side(**dict.fromkeys(HEADER, None) | {"manufacturer": ""}), None, id="the header says nothing"),
    ],
)
def test_compare(followup: tuple[SeriesHeader, Volume], names: str | None) -> None:
    for pair in ((followup, a_side()), (a_side(), followup)):
        match, reasons = compare(*pair, ProtocolLimits())
        assert match is (ProtocolMatch.DIFFERENT if names else ProtocolMatch.SAME)
        assert bool(reasons) == bool(names)
        assert not names or any(reason.startswith(names) for reason in reasons)


def test_every_difference_is_named() -> None:
    _, reasons = compare(a_side(echo_time_ms=90.0, model_name="Skyra"), a_side(), ProtocolLimits())
    assert reasons == ("scanner model Skyra against Avanto", "echo time (ms) 90 against 120")


def test_limits_of_the_site_are_used() -> None:
    assert compare(a_side(echo_time_ms=90.0), a_side(), ProtocolLimits(timing=0.5))[0] is ProtocolMatch.SAME
