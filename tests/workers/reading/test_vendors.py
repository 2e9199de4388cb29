"""The vendor table with images: a study of every kind of sequence, read and chosen from as it would arrive.

Names are removed, or every series has the same wrong one. What is measured as a kind shows that kind; a FLAIR that its
header does not tell from a T2 is told by its image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.builders_dicom import a_series
from tests.triage.sequences.vendor_headers import MAKERS, TABLE, Row, row
from tests.workers.reading.heads import SHAPE, adc_of_a_head, signal_of_a_head, stored
from tests.workers.reading.reading import private_element
from triage.model import SequenceKind, StudyImages
from workers.reading.study import read_study

K = SequenceKind
MEASURED = (K.FLAIR, K.T1, K.T1_GD, K.T2, K.DWI, K.ADC)
# white matter, grey matter, fluid, air
LEVELS = {K.FLAIR: (260, 320, 60, 8), K.T2: (260, 360, 900, 8), K.T1: (420, 320, 90, 8), K.T1_GD: (440, 340, 90, 8),
          K.UNKNOWN: (90, 400, 90, 8)}  # fmt: skip


def head_of(kind: SequenceKind, seed: int) -> NDArray[np.uint16]:
    """What a series of the kind shows, (14, 32, 36)."""
    if kind is K.DWI:
        return signal_of_a_head(1000.0, seed)
    if kind is K.ADC:
        return stored(adc_of_a_head(seed).clip(0))
    white, grey, fluid, air = LEVELS.get(kind, LEVELS[K.UNKNOWN])
    axes = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in SHAPE), indexing="ij")
    radius = np.sqrt(sum(np.square(axis) for axis in axes))
    bright = np.select([radius < 0.3, radius < 0.8, radius < 1.0], [fluid, white, grey], air).astype(float)
    return stored(bright * np.random.default_rng(seed).normal(1.0, 0.03, SHAPE))


KEYWORDS = {
    "scanning_sequence": "ScanningSequence", "repetition_time_ms": "RepetitionTime", "echo_time_ms": "EchoTime",
    "inversion_time_ms": "InversionTime", "image_type": "ImageType", "sequence_name": "SequenceName",
    "mr_acquisition_type": "MRAcquisitionType", "contrast_agent": "ContrastBolusAgent",
    "sequence_variant": "SequenceVariant", "scan_options": "ScanOptions", "flip_angle_deg": "FlipAngle",
    "magnetic_field_strength_t": "MagneticFieldStrength",
}  # fmt: skip


def written(folder: Path, vendor: str, one: Row, number: int, name: str | None) -> list[Path]:
    """One series on disk. name: None for its own."""
    elements: dict[str, Any] = {"InversionTime": None, "SequenceVariant": None, "AcquisitionTime": f"10{number:02d}00"}
    elements |= {KEYWORDS[fact]: value or None for fact, value in one.header.items() if fact in KEYWORDS}
    elements |= {key: list(value) for key, value in elements.items() if isinstance(value, tuple)}

    def change(_k: int, ds: Any) -> None:
        if "ge_pulse_sequence" in one.private and name != "":
            private_element(ds, 0x0019, "GEMS_ACQU_01", 0x9C, "LO", one.private["ge_pulse_sequence"])
        if b_values := one.header.get("b_values"):
            ds.DiffusionBValue = float(max(b_values))

    own = one.name if name is None else name
    return a_series(folder, pixels=head_of(one.kind, number), spacing_mm=9.0, series=number, change=change,
                    SeriesDescription=own, ProtocolName=own, Manufacturer=MAKERS[vendor], **elements)  # fmt: skip


def study_of(folder: Path, vendor: str, rows: list[Row], name: str | None) -> tuple[StudyImages, dict[str, Row]]:
    paths, by_uid = [], {}
    for number, one in enumerate(rows, start=1):
        paths += written(folder, vendor, one, number, name)
        by_uid[f"{STUDY}.{number}"] = one
    return read_study(paths), by_uid


STUDY = "1.2.826.0.1.3680043.8.498.1001"
CHOSEN = ("siemens classic", "ge", "canon", "hyperfine")
NAMES = (None, "", "t2_tse_tra", "T2 FLAIR AX")


def measured_rows(vendor: str) -> list[Row]:
    """Those that may be taken for one that is measured: one of each kind, and DIR and STIR."""
    found: dict[tuple[SequenceKind, bool], Row] = {}
    for one in TABLE[vendor]:
        if one.kind in (*MEASURED, K.T2_STAR, K.UNKNOWN) and "contrast_agent" not in one.header:
            found.setdefault((one.kind, "DIR" in one.name.upper()), one)
    return list(found.values())


@pytest.mark.parametrize("name", NAMES, ids=lambda name: "its own" if name is None else name or "no names")
@pytest.mark.parametrize("vendor", CHOSEN)
def test_what_is_measured_shows_its_kind(tmp_path: Path, vendor: str, name: str | None) -> None:
    images, rows = study_of(tmp_path, vendor, measured_rows(vendor), name)
    assert {kind: rows[uid].kind for kind, uid in images.used.items()} == {kind: kind for kind in images.used}
    if name in (None, ""):
        assert K.FLAIR in images.used


UNTOLD = {
    "2-D, TR 5 s": row(K.FLAIR, "", "SE", 5000, 100),
    "2-D, TR 9 s": row(K.FLAIR, "", "SE", 9000, 120),
    "low field, 3-D, TR 4 s": row(K.FLAIR, "", "SE", 4000, 166, magnetic_field_strength_t=0.064,
                                  mr_acquisition_type="3D"),
    "low field, TI 1400": row(K.FLAIR, "", "SE\\IR", 4000, 166, 1400, magnetic_field_strength_t=0.064,
                              mr_acquisition_type="3D"),
}  # fmt: skip
NOT_FLAIR = {
    "T2, TR 5 s": row(K.T2, "", "SE", 5000, 100),
    "T2, TR 9 s": row(K.T2, "", "SE", 9000, 100),
    "DIR without a TI": row(K.UNKNOWN, "", "SE", 7500, 320, mr_acquisition_type="3D"),
}


@pytest.mark.parametrize("name", ["", "FLAIR"])
@pytest.mark.parametrize("one", UNTOLD.values(), ids=UNTOLD)
def test_a_flair_without_an_inversion_time_is_told_by_its_image(tmp_path: Path, one: Row, name: str) -> None:
    images, _ = study_of(tmp_path, "hyperfine", [one], name)
    assert set(images.used) == {K.FLAIR}


@pytest.mark.parametrize("name", ["", "FLAIR"])
@pytest.mark.parametrize("one", NOT_FLAIR.values(), ids=NOT_FLAIR)
def test_what_shows_no_dark_fluid_is_no_flair(tmp_path: Path, one: Row, name: str) -> None:
    """A word alone makes a FLAIR of it only at the repetition time of a FLAIR."""
    images, _ = study_of(tmp_path, "siemens classic", [one], name)
    kind = images.study.series[0].identification.kind
    assert kind is not K.FLAIR or (name == "FLAIR" and one.header["repetition_time_ms"] > 6000)
