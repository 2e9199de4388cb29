"""Sources of a small study, with and without a baseline: 12 slices of 32 by 32, 7 mm by 6 mm by 10 mm."""

from __future__ import annotations

from pydicom.uid import MRImageStorage

from workers.outputs.sources import SourceInstance, Sources, SourceSeries, SourceStudy

SHAPE = (12, 32, 32)  # (k, j, i)
SPACING_MM = (7.0, 6.0, 10.0)  # (i, j, k)
ORIGIN_MM = (-108.5, -93.0, -55.0)


def a_study(number: int, name: str, day: str) -> SourceStudy:
    series = f"1.2.826.0.1.3680043.{number}.5"
    instances = tuple(
        SourceInstance(
            str(MRImageStorage), f"{series}.{k + 1}", 1,
            (ORIGIN_MM[0], ORIGIN_MM[1], ORIGIN_MM[2] + k * SPACING_MM[2]),
            (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), SHAPE[1], SHAPE[2], (SPACING_MM[1], SPACING_MM[0]), 8.0,
            (300.0, 600.0), (1.0, 0.0),
        )
        for k in range(SHAPE[0])
    )  # fmt: skip
    header = {
        "PatientName": name, "PatientID": "SECRET-4711", "IssuerOfPatientID": "HOSP", "PatientBirthDate": "19700102",
        "PatientSex": "F", "StudyInstanceUID": f"1.2.826.0.1.3680043.{number}", "StudyDate": day,
        "StudyTime": "101500", "StudyID": "S1", "AccessionNumber": "ACC1", "ReferringPhysicianName": "Doe^Jane",
        "StudyDescription": "Brain", "Manufacturer": "Maker", "InstitutionName": "Hospital",
    }  # fmt: skip
    flair = SourceSeries(series, "flair", "MR", "FLAIR", f"1.2.826.0.1.3680043.{number}.9", instances)
    return SourceStudy(header, (flair,))


def some_sources(name: str = "Yamada^Tarou=山田^太郎", *, compared: bool = True) -> Sources:
    return Sources(a_study(77, name, "20240311"), a_study(76, name, "20240223") if compared else None, revision=2)
