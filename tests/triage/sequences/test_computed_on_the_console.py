"""Images that a console computed from diffusion images: a b-value in the header does not make a map a DWI."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders_dicom import a_header
from triage.model import SequenceKind
from triage.sequences.identify import identify

K = SequenceKind
PLANAR = {"scanning_sequence": ("EP", "SE"), "repetition_time_ms": 8000.0, "echo_time_ms": 80.0}
CONSOLE = ("DERIVED", "SECONDARY")
CASES = [
    pytest.param(K.DWI, {"image_type": ("ORIGINAL", "PRIMARY", "OTHER"), "b_values": (0.0, 1000.0)}, id="noop"),
    pytest.param(K.UNKNOWN, {"image_type": (*CONSOLE, "PROCESSED"), "b_values": (1000.0,)}, id="GE ADC, unnamed"),
    pytest.param(K.UNKNOWN, {"image_type": CONSOLE, "sequence_name": "ep_b1000"}, id="b-value in the name"),
    pytest.param(K.DWI, {"image_type": (*CONSOLE, "TRACEW"), "b_values": (1000.0,)}, id="trace"),
    pytest.param(
        K.DWI,
        {"image_type": CONSOLE, "b_values": (1000.0,), "series_description": "Isotropic DWI"},
        id="trace by its words",
    ),
    pytest.param(
        K.ADC, {"image_type": CONSOLE, "b_values": (1000.0,), "series_description": "ADC"}, id="ADC by its words"
    ),
]


@pytest.mark.parametrize(("kind", "header"), CASES)
def test_a_computed_image_is_a_dwi_only_when_something_says_so(kind: SequenceKind, header: dict[str, Any]) -> None:
    assert identify(a_header(**{"series_description": "", **PLANAR, **header})).kind is kind
