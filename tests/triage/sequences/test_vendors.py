"""The vendor table: every kind of sequence of every vendor under its name, without names, and under a wrong one.

A kind that nothing in the header tells is unknown. No header is called what it is not.
"""

from __future__ import annotations

import pytest

from tests.triage.sequences.vendor_headers import TABLE, Row, header_of, rows
from triage.model import SequenceKind
from triage.sequences.identify import identify

K = SequenceKind
ALL = [pytest.param(vendor, one, id=f"{vendor}: {one.name}") for vendor, one in rows()]
MEASURED = frozenset({K.FLAIR, K.T1, K.T1_GD, K.T2, K.DWI, K.ADC})
# Words that people copy from another protocol
MISLEADING = (
    "T2 FLAIR AX", "T1 FLAIR", "t2_tse_tra", "T1 MPRAGE", "DWI b1000", "ADC", "TRACE", "TOF", "localizer", "SWI",
    "STIR", "DIR", "PERFUSION", "loc", "3 plane", "FLAIR POST CAR-T", "dixon F",
)  # fmt: skip


@pytest.mark.parametrize(("vendor", "one"), ALL)
def test_under_its_name(vendor: str, one: Row) -> None:
    found = identify(header_of(vendor, one, name=one.name))
    assert found.kind is one.kind, found.reasons


@pytest.mark.parametrize(("vendor", "one"), [one for one in ALL if one.values[1].kind is K.DWI])
@pytest.mark.parametrize("name", ["AX DWI 3 DIR", "DTI 25 dir"])
def test_directions_of_diffusion_are_no_double_inversion(vendor: str, one: Row, name: str) -> None:
    found = identify(header_of(vendor, one, name=name))
    assert found.kind is K.DWI, found.reasons


@pytest.mark.parametrize(("vendor", "one"), ALL)
def test_without_names(vendor: str, one: Row) -> None:
    found = identify(header_of(vendor, one, name=""))
    assert found.kind in {one.kind, *one.nameless}, found.reasons


@pytest.mark.parametrize(("vendor", "one"), ALL)
def test_without_names_and_private_elements(vendor: str, one: Row) -> None:
    found = identify(header_of(vendor, one, name="", private=False))
    assert found.kind in {one.kind, *one.bare}, found.reasons


@pytest.mark.parametrize(("vendor", "one"), ALL)
def test_under_a_wrong_name(vendor: str, one: Row) -> None:
    """A wrong name may hide what a series shows. It makes nothing of it that is measured as something else."""
    found = {name: identify(header_of(vendor, one, name=name)) for name in MISLEADING}
    allowed = {one.kind, *one.nameless}
    assert {n: f.reasons for n, f in found.items() if f.kind not in allowed and f.kind in MEASURED} == {}


def test_what_is_not_measured_says_what_it_is() -> None:
    wanted = {"dir": "double inversion", "stir": "STIR", "b0": "b = 0"}
    for vendor, one in rows():
        said = " ".join(identify(header_of(vendor, one, name=one.name)).reasons)
        for word, sentence in wanted.items():
            if word in one.name.lower().replace("*", " ").replace("_", " ").split():
                assert sentence in said, (vendor, one.name, said)


def test_a_flair_after_contrast_says_so() -> None:
    for vendor, one in rows():
        if one.kind is K.FLAIR:
            reasons = identify(header_of(vendor, one, name=one.name)).reasons
            assert any(r.startswith("after contrast") for r in reasons) == ("contrast_agent" in one.header), vendor


def test_the_table_holds_every_kind_of_every_vendor() -> None:
    for vendor, those in TABLE.items():
        if vendor not in ("siemens mosaic", "hyperfine"):
            wanted = {K.T1, K.T1_GD, K.T2, K.FLAIR, K.DWI, K.ADC, K.ANGIOGRAPHY, K.PERFUSION, K.UNKNOWN}
            assert wanted <= {one.kind for one in those}, vendor
