"""Words and stated contrasts against the timing: a FLAIR that is called something else stays one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders_dicom import ENHANCED_MR, a_header
from triage.model import SequenceKind
from triage.sequences.identify import identify

K = SequenceKind


def timed(sequence: str, tr: float | None, te: float | None, ti: float | None = None, **more: Any) -> dict[str, Any]:
    return {
        "scanning_sequence": tuple(sequence.split("\\")),
        "repetition_time_ms": tr, "echo_time_ms": te, "inversion_time_ms": ti,
        "frame_count": 40, "orientation": "axial", **more,
    }  # fmt: skip


FLAIR = timed("SE\\IR", 9000, 119, 2500)
NO_TI = timed("SE", 9000, 119)
T1, T2 = timed("SE", 550, 9), timed("SE", 5000, 95)
MPRAGE = timed("GR\\IR", 2300, 3, 900, mr_acquisition_type="3D")
DSC = timed("EP\\GR", 1500, 30, contrast_agent="Gd")
SCOUT = timed("GR", 8.6, 4, frame_count=11)
NONE = timed("SE", None, None)

NAMED = [
    ("t2_tirm", FLAIR, K.FLAIR),  # noop
    ("AX FLAIR post perfusion", FLAIR, K.FLAIR),
    ("FLAIR pre perf", FLAIR, K.FLAIR),
    ("FLAIR perfusion", FLAIR, K.FLAIR),
    ("AX FLAIR post perf", NO_TI, K.FLAIR),
    ("t1_mprage post perf", MPRAGE, K.T1_GD),
    ("t1_mprage perf", MPRAGE, K.T1),
    ("T1 after DSC", T1, K.T1_GD),
    ("T1 perf", T1, K.T1),
    ("T2 after DSC", T2, K.T2),
    ("ep2d_perf", DSC, K.PERFUSION),  # noop
    ("perf", timed("SE", 1600, 70), K.PERFUSION),  # Philips calls echo planar SE
    ("DCE perfusion", timed("GR", 4, 1.5), K.PERFUSION),
    ("3D ASL", timed("SE", 4800, 10.5, 2025), K.PERFUSION),
    ("perfusion", NONE, K.PERFUSION),  # not measured: no timing
    ("T2 FLAIR 3 plane", FLAIR, K.FLAIR),
    ("FLAIR Survey", FLAIR, K.FLAIR),
    ("FLAIR neuronav loc", FLAIR, K.FLAIR),
    ("AX FLAIR loc", NO_TI, K.FLAIR),
    ("T1 MPRAGE 3 plane recon", MPRAGE, K.T1),
    ("T1 loc", MPRAGE, K.T1),
    ("loc", SCOUT, K.LOCALIZER),  # noop
    ("3 plane", timed("GR", 8.6, 4, frame_count=90) | {"orientation": "mixed"}, K.LOCALIZER),
    ("AAHead_Scout", timed("GR", 3.2, 1.4, frame_count=128), K.LOCALIZER),
    ("loc", {"scanning_sequence": ("GR",)}, K.LOCALIZER),  # not measured: no timing, no count
]


@pytest.mark.parametrize(("name", "header", "kind"), NAMED)
def test_words_yield_to_the_timing(name: str, header: dict[str, Any], kind: SequenceKind) -> None:
    found = identify(a_header(series_description=name, **header))
    assert found.kind is kind, found.reasons


STATED = [
    *((stated, FLAIR, K.FLAIR) for stated in (
        "T1", "T2", "T2_STAR", "PROTON_DENSITY", "PERFUSION", "TOF", "FLOW_ENCODED", "SUSCEPTIBILITY", "STIR",
        "TAGGING", "FLUID_ATTENUATED", "UNKNOWN",
    )),
    *((stated, T2, K.T2) for stated in ("T2", "T1", "PROTON_DENSITY", "T2_STAR", "TOF")),
    *((stated, T1, K.T1) for stated in ("T1", "T2", "PROTON_DENSITY")),
    ("T1", MPRAGE, K.T1),
    ("PROTON_DENSITY", timed("SE", 3000, 15), K.PD),  # noop
    ("T2_STAR", timed("GR", 700, 23), K.T2_STAR),
    ("PERFUSION", timed("EP\\GR", 1500, 30), K.PERFUSION),
    ("STIR", timed("SE\\IR", 4500, 80, 170), K.UNKNOWN),
    ("T1", NONE, K.T1),  # not measured: no timing contradicts
    ("PROTON_DENSITY", NONE, K.PD),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "header", "kind"), STATED)
def test_a_stated_contrast_yields_to_the_timing(stated: str, header: dict[str, Any], kind: SequenceKind) -> None:
    found = identify(a_header(sop_class_uid=ENHANCED_MR, acquisition_contrast=stated, **header))
    assert found.kind is kind, found.reasons


PARTS = [
    *((part, K.DERIVED) for part in ("F", "FAT", "OP", "OPP_PHASE", "OUT_PHASE", "R", "REAL", "I", "IMAGINARY", "P")),
    *((part, K.FLAIR) for part in ("W", "WATER", "IN_PHASE", "M")),
]


@pytest.mark.parametrize(("part", "kind"), PARTS)
def test_only_what_has_the_contrast_is_measured(part: str, kind: SequenceKind) -> None:
    found = identify(a_header(image_type=("DERIVED", "PRIMARY", "DIXON", part), **FLAIR))
    assert found.kind is kind, found.reasons


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("t1_vibe_dixon_tra_W", K.T1),
        ("t1_vibe_dixon_tra_in", K.T1),
        ("t1_vibe_dixon_tra_F", K.DERIVED),
        ("t1_vibe_dixon_tra_opp", K.DERIVED),
        ("FAT: Ax T1 Flex", K.DERIVED),
        ("WATER: Ax T1 Flex", K.T1),
        ("FAT SAT T1", K.T1),
    ],
)
def test_a_part_by_its_description(name: str, kind: SequenceKind) -> None:
    assert identify(a_header(series_description=name, **T1)).kind is kind
