"""Headers of the vendor table that lost one element and their names: what is not measured is not taken for a T1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders_dicom import a_header
from tests.triage.sequences.vendor_headers import header_of, rows
from triage.model import SequenceKind
from triage.sequences.facts import is_gradient_echo
from triage.sequences.identify import identify

K = SequenceKind
LOST: dict[str, Any] = {
    "scanning_sequence": (),
    "sequence_variant": (),
    "scan_options": (),
    "mr_acquisition_type": "",
    "flip_angle_deg": None,
    "repetition_time_ms": None,
    "manufacturer": "",
}
T1 = (K.T1, K.T1_GD)


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("kind", [K.T2_STAR, K.SWI, K.ANGIOGRAPHY])
def test_a_gradient_echo_that_is_not_measured_is_no_t1(kind: SequenceKind, lost: str) -> None:
    found = {
        (vendor, one.name): identify(replace(header_of(vendor, one, name=""), **{lost: LOST[lost]})).kind
        for vendor, one in rows()
        if one.kind is kind
    }
    assert {key: one for key, one in found.items() if one in T1} == {}


@pytest.mark.parametrize(
    ("facts", "gradient"),
    [
        pytest.param({"scanning_sequence": ("GR",)}, True, id="no-op: it says so"),
        pytest.param({"scanning_sequence": ("SE",), "flip_angle_deg": 20.0, "repetition_time_ms": 500.0}, False,
                     id="no-op: it says otherwise"),
        pytest.param({}, False, id="nothing is stated"),
        pytest.param({"repetition_time_ms": 28.0}, True, id="too short a TR for a spin echo"),
        pytest.param({"repetition_time_ms": 650.0, "flip_angle_deg": 20.0}, True, id="a small flip angle"),
        pytest.param({"repetition_time_ms": 550.0, "flip_angle_deg": 90.0}, False, id="spin echo"),
        pytest.param({"repetition_time_ms": 9000.0, "flip_angle_deg": 20.0}, False, id="a long TR"),
        pytest.param({"flip_angle_deg": 20.0}, False, id="no TR"),
    ],
)  # fmt: skip
def test_a_gradient_echo_that_does_not_say_so(facts: dict[str, Any], *, gradient: bool) -> None:
    assert is_gradient_echo(a_header(**facts)) is gradient
