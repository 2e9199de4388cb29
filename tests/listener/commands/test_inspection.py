"""`icansee inspect` on DICOM files: every series is said, with why; only the atlas is a fake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders_dicom import STUDY_UID, T1_PHYSICS, a_series, planes
from tests.listener.commands.cli_runner import Icansee
from tests.workers.reading.heads import head_of_grey_levels as head
from triage import inspection as core
from triage.errors import NotAssessable
from triage.inspection import FlairFit, patterns_of
from triage.model import SequenceKind, StudyImages, Volume

K = SequenceKind


def a_study(folder: Path, uid: str = STUDY_UID) -> None:
    stack = {"count": 24, "spacing_mm": 5.0, "StudyInstanceUID": uid}
    a_series(folder / "flair", series=1, **stack)
    a_series(folder / "copy", series=2, pixels=np.zeros((24, 16, 20), np.uint16), **{**stack, "count": 24})
    a_series(folder / "t1", series=3, pixels=planes(24)[:, :, ::-1], InversionTime=None, **T1_PHYSICS, **stack)
    a_series(folder / "holes", series=4, only=[0, 1, 2, 9, 10, 11, 12, 13, 14, 15, 16], InversionTime=None,
             **{**T1_PHYSICS, **stack})  # fmt: skip
    a_series(folder / "loc", series=5, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **{**stack, "count": 3})


def test_every_series_is_said_with_why(icansee: Icansee, tmp_path: Path) -> None:
    a_study(tmp_path / "in")
    answer = icansee("inspect", str(tmp_path / "in"), "--json")
    assert answer.code == 0, answer.err
    (study,) = json.loads(answer.out)
    series = {one["number"]: one for one in study["series"]}
    assert {n: (one["kind"], one["used_as"]) for n, one in series.items()} == {
        1: ("flair", "flair"), 2: ("flair", None), 3: ("t1", "t1"), 4: ("t1", None), 5: ("localizer", None),
    }  # fmt: skip
    assert "TI 2500 ms" in series[1]["reasons"][0]
    assert series[1]["quality"]["slices"] == 24
    assert series[1]["quality"]["spacing_mm"] == [1.0, 1.0, 5.0]
    assert series[2]["why_not"] == "image: passed over: all slices are empty"
    assert series[2]["faults"] == ["all slices are empty"]
    assert series[4]["why_not"].startswith("missing_slices")
    assert (series[4]["quality"], series[5]["quality"]) == (None, None)
    assert series[5]["why_not"] == "not_measured: this kind is not measured"
    assert [series[n]["why_not_codes"] for n in (1, 2, 4, 5)] == [[], ["image"], ["missing_slices"], ["not_measured"]]
    assert study["serves_as"] == "baseline or follow-up"
    assert study["patterns"]["C"] == "not assessable: no diffusion-weighted images"
    assert "SECRET" not in answer.out.upper().replace("SECRET-ACC", "")


@pytest.mark.parametrize(
    ("elements", "code", "said"),
    [
        pytest.param({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived", "a reformat or otherwise derived",
                     id="a reformat"),
        pytest.param({"SeriesDescription": "Ax T2 FLAIR post Gd"}, "after_contrast", "after contrast", id="after"),
        pytest.param({}, "earlier_repeat", "an earlier repeat", id="an earlier repeat"),
    ],
)  # fmt: skip
def test_why_another_of_its_kind_is_used(
    icansee: Icansee, tmp_path: Path, elements: dict[str, Any], code: str, said: str
) -> None:
    a_series(tmp_path / "in" / "a", series=1, pixels=head().astype(np.uint16), **elements)
    a_series(tmp_path / "in" / "b", series=2, pixels=head().astype(np.uint16))
    (study,) = json.loads(icansee("inspect", str(tmp_path / "in"), "--json").out)
    other = next(one for one in study["series"] if one["number"] == 1)
    assert other["why_not_codes"] == [code]
    assert other["why_not"] == f"{code}: {said}; series 2 is used instead"


def test_the_parts_of_one_series_uid_are_said_each(icansee: Icansee, tmp_path: Path) -> None:
    timing = {"InversionTime": None, "RepetitionTime": 4000, "EchoTime": 100, "SeriesDescription": "Ax T2"}
    a_series(tmp_path / "in" / "flair", count=24, series=1)
    a_series(tmp_path / "in" / "flair2", pixels=planes(24) // 2, series=2)
    a_series(tmp_path / "in" / "t2", pixels=planes(26), series=2, **{**T1_PHYSICS, **timing})
    answer = icansee("inspect", str(tmp_path / "in"), "--json")
    (study,) = json.loads(answer.out)
    found = {one["series_instance_uid"]: (one["kind"], one["quality"]["slices"]) for one in study["series"]}
    assert found == {
        f"{STUDY_UID}.1": ("flair", 24), f"{STUDY_UID}.2": ("flair", 24), f"{STUDY_UID}.2.2": ("t2", 26)
    }  # fmt: skip
    parts = {one["series_instance_uid"]: "; ".join(one["reasons"]) for one in study["series"]}
    assert [uid for uid, said in parts.items() if f"a part of the series {STUDY_UID}.2," in said] == [
        f"{STUDY_UID}.2.2"
    ]


def test_several_studies_for_a_person(icansee: Icansee, tmp_path: Path) -> None:
    a_study(tmp_path / "in" / "one", f"{STUDY_UID}.7")
    a_series(tmp_path / "in" / "two", InversionTime=None, StudyInstanceUID=f"{STUDY_UID}.8", **T1_PHYSICS)
    answer = icansee("inspect", str(tmp_path / "in"))
    assert answer.code == 0, answer.err
    for said in (
        f"study {STUDY_UID}.7", f"study {STUDY_UID}.8", "used as flair",
        "not used: not_measured: this kind is not measured",
        "neither baseline nor follow-up: no FLAIR", "24 slices of 1 x 1 x 5 mm", "but all slices are empty",
    ):  # fmt: skip
        assert said in answer.out


@pytest.mark.parametrize("placed", [True, False])
def test_the_picture_of_the_fit(
    icansee: Icansee, tmp_path: Path, placed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(images: StudyImages, *_: object) -> FlairFit:
        if not placed:
            raise NotAssessable("atlas_failed", "no human head?")
        labels = np.zeros((20, 20, 20), np.uint8)
        labels[5:15, 5:15, 5:15] = 1
        return FlairFit(Volume(labels * np.float32(9), np.eye(4)), Volume(labels, np.eye(4)), {1: "pons"})

    monkeypatch.setattr(core, "fit_flair", fit)
    a_series(tmp_path / "in", count=24)
    answer = icansee("inspect", str(tmp_path / "in"), "--pictures", str(tmp_path / "out"), "--json")
    study = json.loads(answer.out)[0]
    found = study["fit"]
    assert study["serves_as"].startswith("baseline or follow-up" if placed else "neither baseline nor follow-up: atlas")
    assert [said.startswith("assessable") for name, said in study["patterns"].items() if name != "C"] == [placed] * 3
    assert (found["placed"], found["reason"]) == (placed, None if placed else "atlas_failed: no human head?")
    assert [path.name for path in tmp_path.glob("out/*")] == ([f"{STUDY_UID}.png"] if placed else [])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["inspect"], "FOLDER", id="no folder"),
        pytest.param(["inspect", "absent"], "absent", id="a folder that does not exist"),
        pytest.param(["inspect", "."], "no DICOM files", id="no images"),
    ],
)
def test_wrong_requests(icansee: Icansee, arguments: list[str], says: str) -> None:
    answer = icansee(*arguments)
    assert answer.code == 2
    assert says in answer.err


@pytest.mark.parametrize(
    ("kinds", "b0", "said"),
    [
        pytest.param({K.FLAIR}, False, {"A": "assessable", "D": "assessable, from FLAIR alone"}, id="FLAIR alone"),
        pytest.param({K.FLAIR, K.T1, K.T1_GD}, False, {"B": "assessable, with enhancement"}, id="a contrast pair"),
        pytest.param({K.FLAIR, K.T1, K.T2}, False, {"D": "assessable, with T1 and T2"}, id="T1 and T2"),
        pytest.param({K.DWI}, True, {"C": "assessable", "A": "not assessable: no FLAIR"}, id="diffusion alone"),
        pytest.param({K.DWI}, False, {"C": "not assessable: no ADC map and no b = 0 image"}, id="DWI without b = 0"),
        pytest.param(set(), False, {"C": "not assessable: no diffusion-weighted images"}, id="not measured: nothing"),
    ],
)
def test_what_a_study_can_answer(kinds: set[SequenceKind], b0: bool, said: dict[str, str]) -> None:
    found = patterns_of(kinds, with_b0=b0)
    assert {pattern: found[pattern] for pattern in said} == said
