"""Own copies, other patients and dates: which earlier study is a prior, and which is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import JPEGLSLossless, generate_uid

from bench.reading.verdicts import Outcome, Verdict, read
from bench.reading.visits import each, put, values_of
from triage.baseline import Candidate, choose_baseline
from triage.errors import NotAssessable
from triage.model import BaselineChoice, StudyImages

Copy = Callable[[Dataset, int], None]


def _nothing(_ds: Dataset, _n: int) -> None:
    """Only the UIDs are new."""


def _second_earlier(ds: Dataset, _n: int) -> None:
    ds.StudyTime = "151359"


def _day_earlier(ds: Dataset, _n: int) -> None:
    ds.StudyDate = "20240310"


def _acquired_elsewhere(ds: Dataset, _n: int) -> None:
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240310"


def _brightened(ds: Dataset, _n: int) -> None:
    """A router that rescales: the values differ, the acquisition is the same."""
    put(ds, values_of(ds) * 2)
    ds.StudyDate = "20240310"


def _brightened_elsewhere(ds: Dataset, n: int) -> None:
    put(ds, (values_of(ds) * 1.5 + 7).round())
    _acquired_elsewhere(ds, n)


def _compressed(ds: Dataset, _n: int) -> None:
    ds.StudyDate = "20240310"
    ds.compress(JPEGLSLossless, generate_instance_uid=False)


COPIES: dict[str, Copy] = {
    "the same times": _nothing,
    "a second earlier": _second_earlier,
    "a day earlier": _day_earlier,
    "all dates a day earlier": _acquired_elsewhere,
    "brighter, a day earlier": _brightened,
    "brighter, all dates a day earlier": _brightened_elsewhere,
    "compressed, a day earlier": _compressed,
}


def prior_verdicts(work: Path) -> Iterator[tuple[str, Verdict]]:
    """Each case and its verdict; ``work``/visits holds the two visits."""
    visits = work / "visits"
    now, before = _images(visits / "followup"), _images(visits / "baseline")
    yield "noop: the baseline is a prior", _prior(now, before, is_prior=True)
    for name, change in COPIES.items():
        copy = work / "copy"
        shutil.copytree(visits / "followup", copy)
        each(copy, "", _under_other_uids(change))
        other = _images(copy)
        for order, (study, prior) in {"the copy first": (now, other), "the copy last": (other, now)}.items():
            yield f"own copy, {name}, {order}", _prior(study, prior, is_prior=False)
        shutil.rmtree(copy)
    yield from _persons(work, visits, now)


def _persons(work: Path, visits: Path, now: StudyImages) -> Iterator[tuple[str, Verdict]]:
    cases: dict[str, tuple[dict[str, Any], bool]] = {
        "the prior without an issuer": ({"IssuerOfPatientID": None}, True),
        "the prior of another patient": ({"PatientID": "READ-2"}, False),
        "the prior with another birth date": ({"PatientBirthDate": "19710102"}, False),
        "the prior with a dotted date": ({"StudyDate": "2024.03.01"}, True),
    }
    for name, (changes, is_prior) in cases.items():
        copy = work / "person"
        shutil.copytree(visits / "baseline", copy)
        each(copy, "", _stating(changes))
        yield name, _prior(now, _images(copy), is_prior=is_prior)
        shutil.rmtree(copy)


def _stating(changes: dict[str, Any]) -> Copy:
    def change(ds: Dataset, _n: int) -> None:
        for keyword, value in changes.items():
            if value is None:
                ds.pop(keyword, None)
            else:
                if keyword not in ds:
                    setattr(ds, keyword, "")
                ds[keyword]._value = value

    return change


def _under_other_uids(change: Copy) -> Copy:
    def both(ds: Dataset, n: int) -> None:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(ds, keyword, generate_uid(entropy_srcs=[str(ds[keyword].value), "second router"]))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        change(ds, n)

    return both


def _images(study: Path) -> StudyImages:
    found = read(study)
    assert not isinstance(found, NotAssessable), found
    return found


def _prior(study: StudyImages, other: StudyImages, *, is_prior: bool) -> Verdict:
    choice = chosen(study, other)
    said = f"chosen: {choice.study_instance_uid is not None}; " + "; ".join(one.reason for one in choice.rejected)
    if (choice.study_instance_uid is not None) is not is_prior:
        return Verdict(Outcome.WRONG, said)
    return Verdict(Outcome.RIGHT if is_prior else Outcome.REFUSED, said)


def chosen(study: StudyImages, other: StudyImages) -> BaselineChoice:
    return choose_baseline(study.study, [Candidate(other.study, True)], infusions=(), latest_days_before_infusion=365)
