"""Objects under one UID that do not belong together, and objects under several that do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import copies, each, files_of, folder_of, put, values_of

TWO = ("mixed_contrasts", "duplicate_slices", "mixed_orientation")
UNTOLD = (
    "RepetitionTime", "InversionTime", "EchoTime", "ScanningSequence", "ContrastBolusAgent", "SequenceName",
    "AcquisitionTime", "ContentTime", "SeriesTime",
)  # fmt: skip
HOLES = ("missing_slices", "uneven_spacing", "too_few_slices")
GEOMETRY = ("no_geometry", "mixed_geometry", "mixed_orientation", "sheared_stack", "uneven_spacing")


def variants() -> Iterator[Variant]:
    for kind, other in (
        ("flair", "t2"),
        ("t2", "flair"),
        ("t1", "t1_gd"),
        ("t1_gd", "t1"),
        ("flair", "t1"),
        ("t2", "t1"),
    ):
        yield variant(f"{other} under the UID of {kind}", under_one_uid(kind, other), *TWO, "as:unknown", "as:t1_gd")
    yield from _runs()
    for kind in ("flair", "t1", "dwi", "adc"):
        yield variant(f"{kind}: a UID for each slice", uid_for_each_slice(kind))
        yield variant(f"{kind}: again under other UIDs, all slices", again(kind, every=1))
        yield variant(f"{kind}: again under other UIDs, every third slice", again(kind, every=3))
    yield variant("baseline under the study UID of the follow-up", two_visits, "other_visit")
    yield variant(
        "baseline under the study UID of the follow-up, same series UIDs", two_visits_joined, "other_visit", *TWO
    )
    for slices in ((6,), (3, 4, 5), tuple(range(0, 14, 2))):
        yield variant(f"slices {slices} lost", lost(slices), *HOLES)
    yield variant("no FLAIR", no_flair, "absent")
    yield from _geometry()


def _runs() -> Iterator[Variant]:
    yield variant("T2: an earlier echo in the series", echoes)
    yield variant("T1: phase images in the series", phase_beside)
    yield variant("T1: phase images in the series, told by the component", phase_by_component)
    for how in ("AcquisitionNumber", "TemporalPositionIdentifier", "AcquisitionTime", "InstanceNumber"):
        yield variant(f"FLAIR: an earlier run half a slice off, by {how}", half_a_slice("flair", how))
        yield variant(f"T2: an earlier run half a slice off, by {how}", half_a_slice("t2", how))
        yield variant(f"T1: another run half a slice off, by {how}", half_a_slice("t1", how), "duplicate_slices")
        yield variant(f"T1 after contrast under the UID of T1, no agent stated, by {how}", untold_agent(how), *TWO)
    for kind, other in (("flair", "t2"), ("t1", "t1_gd")):
        yield variant(f"{kind} and {other} under one UID, no timing", under_one_uid(kind, other, timing=False), *TWO,
                      "as:t1_gd", "as:unknown")  # fmt: skip
    for kind in ("flair", "t2"):
        yield variant(f"{kind}: coronal reformats under its UID", reformatted(kind))
        yield variant(f"{kind}: every second image lost its inversion and repetition time", timing_lost(kind), *TWO)
    yield variant("FLAIR: three sagittal slices in the series", localizer_inside, "mixed_orientation")
    yield variant("FLAIR: one sagittal slice in the series", one_localizer, "mixed_orientation")
    yield variant("FLAIR: three slices repeated after motion", repeated(3), "duplicate_slices")
    yield variant("FLAIR: all slices repeated after motion", repeated(14), "duplicate_slices")
    yield variant("DWI: another matrix in the series", other_matrix, "mixed_geometry")


def _geometry() -> Iterator[Variant]:
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        yield variant(f"one slice without {keyword}", without(keyword, one=True), *GEOMETRY, *HOLES)
        yield variant(f"no slice with {keyword}", without(keyword, one=False), *GEOMETRY)
    yield variant("one slice with another spacing", other_spacing, *GEOMETRY)
    yield variant("instance numbers in any order", shuffled_numbers)
    yield variant("slices drift sideways", sheared, *GEOMETRY)


def under_one_uid(kind: str, other: str, *, timing: bool = True) -> Alter:
    """As a gateway does it: UID, number and description are those of one series; the physics are their own, when they
    are left."""

    def alter(study: Path) -> None:
        first = dcmread(files_of(folder_of(study, kind))[0])

        def change(ds: Dataset, _n: int) -> None:
            ds.SeriesInstanceUID, ds.SeriesNumber = first.SeriesInstanceUID, first.SeriesNumber

        def bare(ds: Dataset, _n: int) -> None:
            for keyword in UNTOLD:
                ds.pop(keyword, None)

        each(study, other, change)
        if not timing:
            each(study, kind, bare)
            each(study, other, bare)

    return alter


def echoes(study: Path) -> None:
    for ds, path in copies(study, "t2", "echo"):
        put(ds, values_of(ds) // 2 + 40)
        ds.EchoTime, ds.EchoNumbers = 12, 1
        ds.save_as(path)


def phase_beside(study: Path) -> None:
    for ds, path in copies(study, "t1", "phase"):
        put(ds, 4095 - values_of(ds))
        ds.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]
        ds.save_as(path)


def phase_by_component(study: Path) -> None:
    for ds, path in copies(study, "t1", "phase"):
        put(ds, 4095 - values_of(ds))
        ds.ComplexImageComponent = "PHASE"
        ds.save_as(path)


def half_a_slice(kind: str, how: str) -> Alter:
    """The earlier run is turned upside down."""

    def alter(study: Path) -> None:
        _number(study, kind, how, 500, "163000")
        for n, (ds, path) in enumerate(copies(study, kind, "run2")):
            _move(ds, 4.5)
            put(ds, values_of(ds)[::-1])
            _set(ds, how, 1 if how != "InstanceNumber" else n + 1, "152000")
            ds.save_as(path)

    return alter


def _number(study: Path, kind: str, how: str, number: int, at: str) -> None:
    each(study, kind, lambda ds, n: _set(ds, how, number + n * (how == "InstanceNumber"), at))


def _set(ds: Dataset, how: str, number: int, at: str) -> None:
    setattr(ds, how, at if how == "AcquisitionTime" else number)


def untold_agent(how: str) -> Alter:
    """Only order tells T1 before contrast from T1 after it, and the order of two T1 tells nothing."""

    def alter(study: Path) -> None:
        under_one_uid("t1", "t1_gd")(study)
        for kind, number, at in (("t1", 1, "152000"), ("t1_gd", 500, "163000")):
            for keyword in ("ContrastBolusAgent", "ContrastBolusVolume", "ContrastBolusRoute"):
                each(study, kind, lambda ds, _n, keyword=keyword: ds.pop(keyword, None))
            _number(study, kind, how, number, at)

    return alter


def reformatted(kind: str) -> Alter:
    """Coronal images made of the axial ones, in the same series."""

    def alter(study: Path) -> None:
        for n, (ds, path) in enumerate(copies(study, kind, "coronal")):
            ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            ds.ImagePositionPatient = [-100.0, -90.0 + 9.0 * n, 60.0]
            ds.ImageType = ["DERIVED", "SECONDARY", "REFORMATTED"]
            ds.InstanceNumber = 500 + n
            ds.save_as(path)

    return alter


def timing_lost(kind: str) -> Alter:
    def change(ds: Dataset, n: int) -> None:
        if n % 2:
            ds.pop("InversionTime", None)
            ds.RepetitionTime = 2000

    return lambda study: each(study, kind, change)


def _move(ds: Dataset, mm: float) -> None:
    x, y, z = map(float, ds.ImagePositionPatient)
    ds.ImagePositionPatient = [x, y, z + mm]


def localizer_inside(study: Path, count: int = 3) -> None:
    for ds, path in list(copies(study, "flair", "localizer"))[:count]:
        ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        ds.save_as(path)


def one_localizer(study: Path) -> None:
    localizer_inside(study, 1)


def repeated(count: int) -> Alter:
    """The repeat is right; what it repeats is spoilt by motion."""

    def alter(study: Path) -> None:
        again = list(copies(study, "flair", "repeat"))[:count]
        for ds, path in again:
            put(ds, np.roll(values_of(ds), 5, axis=1))
            ds.save_as(path)  # the earlier, spoilt one
        names = {path.name for _, path in again}

        def later(ds: Dataset, _n: int) -> None:
            ds.AcquisitionNumber = 2
            ds.AcquisitionTime = ds.ContentTime = "153000"

        for path in files_of(folder_of(study, "flair")):
            if path.name in names:
                ds = dcmread(path)
                later(ds, 0)
                ds.save_as(path)

    return alter


def other_matrix(study: Path) -> None:
    for ds, path in list(copies(study, "dwi", "matrix"))[:3]:
        put(ds, values_of(ds)[:10])
        ds.Rows = 10
        ds.save_as(path)


def uid_for_each_slice(kind: str) -> Alter:
    def change(ds: Dataset, n: int) -> None:
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[ds.SeriesInstanceUID, str(n)])

    return lambda study: each(study, kind, change)


def again(kind: str, every: int) -> Alter:
    def alter(study: Path) -> None:
        for ds, path in list(copies(study, kind, "again"))[::every]:
            ds.InstanceNumber = int(ds.InstanceNumber) + 500
            ds.save_as(path)

    return alter


def two_visits(study: Path, *, join: bool = False) -> None:
    uid = dcmread(files_of(study)[0]).StudyInstanceUID
    earlier = study.parent / "visits" / "baseline"
    for kind in ("flair", "t1", "t2", "dwi", "adc", "t1_gd"):
        series = dcmread(files_of(folder_of(study, kind))[0]).SeriesInstanceUID
        shutil.copytree(folder_of(earlier, kind), study / f"earlier_{kind}_")

        def change(ds: Dataset, _n: int, series: str = series) -> None:
            ds.StudyInstanceUID = uid
            if join:
                ds.SeriesInstanceUID = series

        for n, path in enumerate(files_of(study / f"earlier_{kind}_")):
            ds = dcmread(path)
            change(ds, n)
            ds.save_as(path)


def two_visits_joined(study: Path) -> None:
    two_visits(study, join=True)


def lost(slices: tuple[int, ...]) -> Alter:
    def alter(study: Path) -> None:
        files = files_of(folder_of(study, "flair"))
        for n in slices:
            files[n].unlink()

    return alter


def no_flair(study: Path) -> None:
    shutil.rmtree(folder_of(study, "flair"))


def without(keyword: str, *, one: bool) -> Alter:
    def change(ds: Dataset, n: int) -> None:
        if n == 5 or not one:
            del ds[keyword]

    return lambda study: each(study, "flair", change)


def other_spacing(study: Path) -> None:
    def change(ds: Dataset, n: int) -> None:
        if n == 5:
            ds.PixelSpacing = [4.5, 4.5]

    each(study, "flair", change)


def shuffled_numbers(study: Path) -> None:
    def change(ds: Dataset, n: int) -> None:
        ds.InstanceNumber = (n * 5) % 14 + 1

    each(study, "flair", change)


def sheared(study: Path) -> None:
    def change(ds: Dataset, n: int) -> None:
        x, y, z = map(float, ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x + n, y, z]

    each(study, "flair", change)
