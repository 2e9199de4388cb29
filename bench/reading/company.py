"""What else lies in a study or a series: parts, components, times, reports, other files; and UIDs that are odd."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID

from bench.reading.multiframe import one_object
from bench.reading.values import captured, of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import Change, copies, each, files_of, folder_of, put, values_of

TWO = ("mixed_contrasts", "duplicate_slices", "mixed_orientation", "as:unknown")
REPORTS = {
    "1.2.840.10008.5.1.4.1.1.88.11": "SR", "1.2.840.10008.5.1.4.1.1.11.1": "PR", "1.2.840.10008.5.1.4.1.1.104.1": "DOC",
    "1.2.840.10008.5.1.4.1.1.88.59": "KO", "1.2.840.10008.5.1.4.1.1.66": "MR",
}  # fmt: skip
THIRDS = (range(5), range(5, 10), range(10, 14))
CHARACTER_SETS = ("ISO_IR 999", "GB18030", "\\ISO 2022 IR 87", "", "ISO_IR 192")


def variants() -> Iterator[Variant]:
    for token in ("R", "I", "P", "PHASE", "REAL", "IMAGINARY"):
        yield variant(f"FLAIR: images of the component {token} beside", component(token), *TWO)
    yield variant("FLAIR: a second set of other values, nothing tells them apart", beside(_inverted), *TWO)
    for stated in (True, False):
        what = f"FLAIR before and after contrast under one UID, the agent {'' if stated else 'not '}stated"
        yield variant(what, beside(after_contrast(stated=stated)), *TWO)
    yield variant("FLAIR after contrast in a series of its own", beside(after_contrast(stated=True, apart=True)))
    for keyword in ("TemporalPositionIdentifier", "AcquisitionNumber", ""):
        yield variant(f"FLAIR: four runs, by {keyword or 'nothing'}", four_runs(keyword), *TWO)
    yield variant("an object in three parts", parts(THIRDS))
    yield variant("an object in three parts, slices in turn", parts([range(n, 14, 3) for n in range(3)]))
    for lost in (0, 1, 2):
        yield variant(f"an object in three parts, number {lost + 1} lost",
                      parts(THIRDS, lost), "missing_slices", "too_few_slices")  # fmt: skip
    yield variant("slices at a growing distance", of("flair", growing), "uneven_spacing", "missing_slices")
    yield variant("a stack that leans", of("flair", leaning), "sheared_stack")
    yield from _uids()
    yield from _others()


def _uids() -> Iterator[Variant]:
    yield variant("one SOP Instance UID for all slices", of("flair", stating("SOPInstanceUID", "1.2.3.4.5")),
                  "duplicate_sop_instance_uids")  # fmt: skip
    yield variant("no series UID", of("flair", stating("SeriesInstanceUID", "")), "incomplete_header")
    for keyword in ("SeriesInstanceUID", "StudyInstanceUID"):
        yield variant(f"{keyword}: a space behind it in half of the files", spaced(keyword))
    yield variant("every object under one series UID", under_one, *TWO, "absent", "as:t1_gd")
    yield variant("a series UID for each slice of every series", under_many)


def _others() -> Iterator[Variant]:
    yield variant("reports, presentations and raw data of a later day", reports)
    yield variant("texts, pictures, archives and broken files", broken)
    yield variant("the FLAIR is a capture, its copy is not", copy_captured)
    yield variant("a scan over midnight", over_midnight)
    yield variant("imported over midnight", imported)
    for name in CHARACTER_SETS:
        yield variant(f"character set '{name}'", character_set(name))


def stating(keyword: str, value: object) -> Change:
    return lambda ds, _n: setattr(ds, keyword, value)


def beside(change: Callable[[Dataset], None], name: str = "beside") -> Alter:
    """The FLAIR again under other instance UIDs, changed."""

    def alter(study: Path) -> None:
        for ds, path in copies(study, "flair", name):
            change(ds)
            ds.save_as(path)

    return alter


def _inverted(ds: Dataset) -> None:
    put(ds, 4095 - values_of(ds))


def component(token: str) -> Alter:
    def change(ds: Dataset) -> None:
        _inverted(ds)
        ds.ImageType = ["ORIGINAL", "PRIMARY", token, "ND"]

    return beside(change)


def after_contrast(*, stated: bool, apart: bool = False) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        put(ds, values_of(ds) * 2)
        ds.AcquisitionTime = ds.ContentTime = "163000"
        ds.InstanceNumber = int(ds.InstanceNumber) + 14
        if stated:
            ds.ContrastBolusAgent = "Gadobutrol"
        if apart:
            ds.SeriesInstanceUID += ".9"

    return change


def four_runs(keyword: str) -> Alter:
    """The last one is right."""

    def alter(study: Path) -> None:
        for run in range(1, 4):

            def change(ds: Dataset, run: int = run) -> None:
                put(ds, values_of(ds)[::-1] // (1 + run))
                if keyword:
                    setattr(ds, keyword, run)

            beside(change, f"run{run}")(study)
        if keyword:
            for path in files_of(folder_of(study, "flair")):
                ds = dcmread(path)
                setattr(ds, keyword, 9)
                ds.save_as(path)

    return alter


def parts(shares: Sequence[range], lost: int | None = None) -> Alter:
    """The FLAIR as one object that is sent in several (a concatenation)."""

    def alter(study: Path) -> None:
        files = files_of(folder_of(study, "flair"))
        slices = [dcmread(path) for path in files]
        for path in files:
            path.unlink()
        for number, share in enumerate(shares):
            ds = one_object([slices[n] for n in share])
            ds.ConcatenationUID, ds.SOPInstanceUIDOfConcatenationSource = "1.2.9", "1.2.8"
            ds.InConcatenationNumber, ds.InConcatenationTotalNumber = number + 1, len(shares)
            if number != lost:
                ds.save_as(files[number], enforce_file_format=True)

    return alter


def _placed(ds: Dataset, y: float, z: float) -> None:
    ds.ImagePositionPatient = [float(ds.ImagePositionPatient[0]), y, z]


def growing(ds: Dataset, n: int) -> None:
    _placed(ds, float(ds.ImagePositionPatient[1]), -60 + 9 * n + 0.175 * n * n)


def leaning(ds: Dataset, n: int) -> None:
    _placed(ds, float(ds.ImagePositionPatient[1]) + 2.7 * n, float(ds.ImagePositionPatient[2]))


def spaced(keyword: str) -> Alter:
    def change(ds: Dataset, n: int) -> None:
        ds[keyword]._value = UID(f"{ds[keyword].value}{' ' * (n % 2)}")

    return lambda study: each(study, "", change)


def under_one(study: Path) -> None:
    def change(ds: Dataset, _n: int) -> None:
        ds.SeriesInstanceUID, ds.SeriesNumber = "1.2.3.4", 1

    each(study, "", change)


def under_many(study: Path) -> None:
    def change(ds: Dataset, n: int) -> None:
        ds.SeriesInstanceUID = f"{str(ds.SeriesInstanceUID)[:50]}.{n}"

    each(study, "", change)


def reports(study: Path) -> None:
    for n, (sop_class, modality) in enumerate(REPORTS.items()):
        ds = dcmread(files_of(folder_of(study, "flair"))[0])
        for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient"):
            del ds[keyword]
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.78.{n}"
        ds.Modality, ds.SeriesInstanceUID = modality, f"1.2.77.{n}"
        ds.ContentDate = ds.AcquisitionDate = ds.SeriesDate = "20240501"
        ds.save_as(study / f"report{n}")


def broken(study: Path) -> None:
    contents = {
        "readme.txt": b"hello", "a.jpg": b"\xff\xd8\xff\xe0" + os.urandom(500), "empty.dcm": b"",
        "b.zip": b"PK\3\4" + os.urandom(300), "cut.dcm": files_of(folder_of(study, "flair"))[0].read_bytes()[:300],
    }  # fmt: skip
    for name, content in contents.items():
        (study / name).write_bytes(content)


def copy_captured(study: Path) -> None:
    def change(ds: Dataset) -> None:
        captured(ds, 0)
        ds.SeriesInstanceUID += ".9"
        put(ds, values_of(ds) // 4)

    beside(change)(study)


def over_midnight(study: Path) -> None:
    def change(ds: Dataset, _n: int) -> None:
        late = float(ds.AcquisitionTime) > 152300
        if late:
            ds.AcquisitionDate = ds.SeriesDate = ds.ContentDate = "20240312"
        ds.AcquisitionTime = ds.ContentTime = "000300" if late else "235800"

    each(study, "", change)


def imported(study: Path) -> None:
    def change(ds: Dataset, _n: int) -> None:
        ds.InstanceCreationDate = ds.ContentDate = ds.SeriesDate = "20240312"
        ds.InstanceCreationTime = ds.ContentTime = ds.SeriesTime = "000500"

    each(study, "", change)


def character_set(name: str) -> Alter:
    def change(ds: Dataset, _n: int) -> None:
        ds["SpecificCharacterSet"]._value = name

    return lambda study: each(study, "", change)
