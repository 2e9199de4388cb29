"""Identified series in, the one to measure out: each question of the order decides in one case."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from tests.builders_dicom import a_header
from triage.model import Identification, SequenceKind, Series
from triage.sequences.choose import choose, rank

K = SequenceKind


def a_series(
    uid: str,
    *,
    kind: SequenceKind = K.FLAIR,
    confidence: float = 0.95,
    reasons: tuple[str, ...] = ("r",),
    **header: Any,
) -> Series:
    values = {"frame_count": 40, "slice_thickness_mm": 4.0, "orientation": "axial", **header}
    return Series(a_header(series_instance_uid=uid, **values), Identification(kind, confidence, reasons))


CHOICES = [
    pytest.param(
        {"frame_count": 15}, {"frame_count": 40, "series_number": 1}, "whole brain", id="whole-brain-over-slab"
    ),
    pytest.param(
        {"image_type": ("DERIVED", "SECONDARY", "MPR"), "frame_count": 60}, {}, "original", id="original-over-reformat"
    ),
    pytest.param(
        {"reasons": ("after contrast: acquired after series 2, which states a contrast agent",)},
        {},
        "before contrast",
        id="before-contrast",
    ),
    pytest.param({"vendor": {"eight_bits": "YES"}, "series_number": 9}, {}, "more than 8 bits", id="display-copy"),
    pytest.param({"vendor": {"lossy": "YES"}, "series_number": 9}, {}, "without loss", id="lossy-copy"),
    pytest.param({"series_description": "SyMRI FLAIR", "series_number": 9}, {}, "original", id="synthetic"),
    pytest.param(
        {"series_number": 3, "acquisition_time": time(9)}, {"series_number": 4}, "later repeat", id="one-without-a-time"
    ),
    pytest.param({"orientation": "coronal"}, {}, "axial", id="axial-over-coronal"),
    pytest.param(
        {"orientation": "coronal"},
        {"orientation": "sagittal", "mr_acquisition_type": "3D"},
        "3-D",
        id="3d-sagittal-over-coronal",
    ),
    pytest.param({"frame_count": 30}, {"frame_count": 40}, "more slices", id="more-slices"),
    pytest.param({"series_number": 3}, {"series_number": 4}, "later repeat", id="later-repeat"),
    pytest.param(
        {"acquisition_time": time(9)}, {"acquisition_time": time(9, 5)}, "later repeat", id="later-repeat-by-time"
    ),
    pytest.param({"confidence": 0.6}, {"confidence": 0.95}, "surer", id="surer"),
    pytest.param(
        {"image_type": ("ORIGINAL", "PRIMARY", "M", "ND")},
        {"image_type": ("ORIGINAL", "PRIMARY", "M", "NORM")},
        "normalised",
        id="normalised",
    ),
]


@pytest.mark.parametrize("turned", [False, True], ids=["worse-first", "better-first"])
@pytest.mark.parametrize(("worse", "better", "reason"), CHOICES)
def test_choose(worse: dict[str, Any], better: dict[str, Any], reason: str, turned: bool) -> None:
    candidates = [a_series("worse", **worse), a_series("better", **better)]
    choice = choose(candidates[::-1] if turned else candidates, K.FLAIR)
    assert choice is not None
    assert choice.series.header.series_instance_uid == "better"
    assert reason in choice.reasons[-1]
    assert [uid for uid, _ in choice.passed_over] == ["worse"]
    assert choice.passed_over[0][1]


DWI_CHOICES = [
    pytest.param({"b_values": (0.0, 3000.0)}, {"b_values": (0.0, 1000.0)}, id="b1000-over-b3000"),
    pytest.param(
        {"b_values": (0.0, 1000.0), "frame_count": 200},
        {"b_values": (1000.0,), "image_type": ("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW")},
        id="trace-over-directions",
    ),
]


@pytest.mark.parametrize(("worse", "better"), DWI_CHOICES)
def test_choose_diffusion(worse: dict[str, Any], better: dict[str, Any]) -> None:
    choice = choose([a_series("worse", kind=K.DWI, **worse), a_series("better", kind=K.DWI, **better)], K.DWI)
    assert choice is not None
    assert choice.series.header.series_instance_uid == "better"


def test_choose_none_of_the_kind() -> None:
    assert choose([a_series("a", kind=K.T2)], K.FLAIR) is None
    assert rank([], K.FLAIR) == ()


def test_choose_the_only_one() -> None:
    choice = choose([a_series("a"), a_series("b", kind=K.T2)], K.FLAIR)
    assert choice is not None
    assert choice.reasons == ("r", "the only series of its kind")
    assert choice.passed_over == ()


SPIN_ECHO = {"scanning_sequence": ("SE",), "repetition_time_ms": 550.0, "echo_time_ms": 12.0}
VOLUME = {"scanning_sequence": ("GR", "IR"), "repetition_time_ms": 2200.0, "echo_time_ms": 3.0, "frame_count": 160,
          "slice_thickness_mm": 1.0, "mr_acquisition_type": "3D"}  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [
        pytest.param([SPIN_ECHO], [SPIN_ECHO, VOLUME], 0, id="the same spin echo, not the finer volume"),
        pytest.param([SPIN_ECHO, VOLUME], [SPIN_ECHO, VOLUME], 1, id="two pairs: the finer one"),
        pytest.param([VOLUME], [SPIN_ECHO], 0, id="unlike, the only one"),
        pytest.param([], [SPIN_ECHO, VOLUME], 1, id="nothing to compare with"),
    ],
)
def test_t1_after_contrast_is_like_the_one_before(
    before: list[dict[str, Any]], after: list[dict[str, Any]], taken: int
) -> None:
    series = [a_series(f"before {n}", kind=K.T1, **one) for n, one in enumerate(before)]
    series += [a_series(f"after {n}", kind=K.T1_GD, **one) for n, one in enumerate(after)]
    choice = choose(series, K.T1_GD)
    assert choice is not None
    assert choice.series.header.series_instance_uid == f"after {taken}"
    if len(before) == 1 < len(after):
        assert choice.passed_over == (("after 1", "unlike the T1 before contrast"),)
