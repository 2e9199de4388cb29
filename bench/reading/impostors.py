"""Series whose timing is that of a measured one and which show something else, in its place and beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydicom import Dataset

from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import copies, each, put, values_of

Elements = Mapping[str, object]
ELSE = ("as:unknown", "as:derived", "as:localizer", "as:angiography", "as:swi", "as:t2_star", "as:pd", "as:perfusion",
        "as:not_image", "display_copy", "absent")  # fmt: skip
GRADIENT: Elements = {"ScanningSequence": "GR", "InversionTime": None, "ContrastBolusAgent": None, "SequenceName": None}
SPIN: Elements = {**GRADIENT, "ScanningSequence": "SE"}
DERIVED = ["DERIVED", "SECONDARY"]

# what it looks like -> name -> what its header states
IMPOSTORS: Mapping[str, Mapping[str, Elements]] = {
    "t1": {
        "magnitude of a field map": {**GRADIENT, "RepetitionTime": 488, "EchoTime": 4.92, "FlipAngle": 60,
                                     "SeriesDescription": "gre_field_mapping"},
        "magnitude of a field map, by its sequence": {
            **GRADIENT, "RepetitionTime": 488, "EchoTime": 4.92, "FlipAngle": 60, "SequenceName": "*fm2d2r",
            "SeriesDescription": ""},
        "B0 map of Philips": {**GRADIENT, "RepetitionTime": 650, "EchoTime": 7, "FlipAngle": 80, "ImageType":
                              ["ORIGINAL", "PRIMARY", "B0 MAP", "B0", "UNSPECIFIED"], "SeriesDescription": "B0map"},
        "attenuation map": {**GRADIENT, "RepetitionTime": 3.6, "EchoTime": 1.23, "FlipAngle": 10,
                            "MRAcquisitionType": "3D", "SeriesDescription": "Head_MRAC_PET_UTE_UMAP"},
        "ultrashort echo": {**GRADIENT, "RepetitionTime": 3.3, "EchoTime": 0.07, "FlipAngle": 6,
                            "MRAcquisitionType": "3D", "SeriesDescription": "petra"},
        "ultrashort echo, zero": {**GRADIENT, "RepetitionTime": 1.2, "EchoTime": 0.016, "FlipAngle": 2,
                                  "MRAcquisitionType": "3D", "SeriesDescription": ""},
        "proton density with a small flip angle": {
            **GRADIENT, "RepetitionTime": 15, "EchoTime": 4, "FlipAngle": 3, "MRAcquisitionType": "3D",
            "SeriesDescription": "vfa_fa3"},
        "T1 map": {**GRADIENT, "RepetitionTime": 15, "EchoTime": 4, "FlipAngle": 20, "ImageType": [*DERIVED, "T1 MAP"],
                   "SeriesDescription": ""},
        "T1 map by its description": {**GRADIENT, "RepetitionTime": 15, "EchoTime": 4, "FlipAngle": 20,
                                      "ImageType": ["DERIVED", "PRIMARY", "M"], "SeriesDescription": "T1 map"},
        "subtraction": {"ImageType": ["DERIVED", "SECONDARY", "SUBTRACTION"], "SeriesDescription": "t1 sub"},
        "segmentation": {"ImageType": DERIVED, "SeriesDescription": "T1 segmentation mask"},
        "scout of the head": {**GRADIENT, "RepetitionTime": 3.15, "EchoTime": 1.37, "FlipAngle": 8,
                              "MRAcquisitionType": "3D", "SeriesDescription": "AAHead_Scout"},
        "B1 map": {**GRADIENT, "RepetitionTime": 20, "EchoTime": 2.3, "FlipAngle": 8, "SeriesDescription": "B1map"},
        "dynamic perfusion": {**GRADIENT, "RepetitionTime": 5, "EchoTime": 1.9, "FlipAngle": 15,
                              "SeriesDescription": "dce perf t1 vibe"},
        "elastography": {**GRADIENT, "RepetitionTime": 50, "EchoTime": 20, "SeriesDescription": "MRE"},
    },
    "t2": {
        "T2 map": {"ImageType": [*DERIVED, "T2 MAP"], "SeriesDescription": ""},
        "T2 map by its description": {"ImageType": ["DERIVED", "PRIMARY", "M"], "SeriesDescription": "T2 map"},
        "relaxometry by its description": {"ImageType": DERIVED, "SeriesDescription": "SyMRI T2 relax map"},
        "myelin map": {"ImageType": DERIVED, "SeriesDescription": "SyMRI MyC"},
        "segmentation": {"ImageType": DERIVED, "SeriesDescription": "lesion mask"},
        "balanced steady state": {**GRADIENT, "RepetitionTime": 5.5, "EchoTime": 2.7, "FlipAngle": 50,
                                  "SequenceVariant": ["SS", "SP"], "SeriesDescription": ""},
        "MR myelography": {**SPIN, "RepetitionTime": 8000, "EchoTime": 900, "SeriesDescription": "myelo"},
        "cholangiography": {**SPIN, "RepetitionTime": 4500, "EchoTime": 750, "SeriesDescription": ""},
    },
    "flair": {
        "subtraction": {"ImageType": ["DERIVED", "SECONDARY", "SUBTRACTION"], "SeriesDescription": "FLAIR sub"},
        "subtraction by its description": {"ImageType": DERIVED, "SeriesDescription": "FLAIR subtraction"},
        "change map": {"ImageType": DERIVED, "SeriesDescription": "FLAIR change map"},
        "projection": {"ImageType": ["DERIVED", "SECONDARY", "MIP"], "SeriesDescription": "FLAIR MIP"},
        "lesion mask": {"ImageType": DERIVED, "SeriesDescription": "FLAIR lesion segmentation"},
        "fat image": {"ImageType": ["DERIVED", "PRIMARY", "FAT"], "SeriesDescription": "FLAIR dixon"},
        "registered copy": {"ImageType": [*DERIVED, "REGISTERED"], "SeriesDescription": "FLAIR reg"},
    },
}  # fmt: skip
# maps and pictures are made of the images; of these alone the header does not tell, and they are named
TOLD = ("registered copy", "dynamic perfusion")


def variants() -> Iterator[Variant]:
    for kind, impostors in IMPOSTORS.items():
        for name, elements in impostors.items():
            yield variant(f"{kind}: {name} beside it", beside(kind, elements))
            if name not in TOLD:
                yield variant(f"{kind}: {name} in its place", in_its_place(kind, elements), *ELSE)
    yield variant("T1 after contrast beside its subtraction", beside("t1_gd", {"ImageType": DERIVED,
                  "SeriesDescription": "t1 SUB"}))  # fmt: skip


def _as(elements: Elements) -> Callable[[Dataset, int], None]:
    """Other values as well: what is taken for another is seen."""

    def change(ds: Dataset, n: int) -> None:
        put(ds, (values_of(ds)[::-1] * 3 + 7 * (n % 3)) % 601)
        for keyword, value in elements.items():
            if value is None:
                ds.pop(keyword, None)
            else:
                setattr(ds, keyword, value)
        if "SeriesDescription" in elements:
            ds.ProtocolName = ds.SeriesDescription

    return change


def in_its_place(kind: str, elements: Elements) -> Alter:
    return lambda study: each(study, kind, _as(elements))


def beside(kind: str, elements: Elements) -> Alter:
    """Later, and with slices between its slices: what is newer and finer is preferred."""

    def alter(study: Path) -> None:
        change = _as(elements)
        for n, (ds, path) in enumerate(copies(study, kind, "impostor")):
            change(ds, n)
            ds.SeriesInstanceUID, ds.SeriesNumber = f"{ds.SeriesInstanceUID}.9", 90
            ds.AcquisitionTime = ds.ContentTime = "155900"
            ds.save_as(path)

    return alter
