"""The words of a scan protocol as frozen values: Scanner, Geometry, Private, Sequence, Protocol. Units: ms, mm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulation.contrast import Weighting
from triage.model import SequenceKind

SEQUENCES: tuple[str, ...] = ("flair", "t1", "t2", "dwi", "adc", "t1_gd")  # acquisition order
DWI_B = 1000.0  # s/mm2


@dataclass(frozen=True)
class Scanner:
    """One machine. field_t in tesla; white_level: stored value of white matter on FLAIR; slope: RescaleSlope, None when
    not written."""

    vendor: str
    manufacturer: str
    model_name: str
    field_t: float
    station_name: str
    software_versions: tuple[str, ...]
    device_serial_number: str
    institution: str
    coil: str
    white_level: float
    slope: float | None = None


@dataclass(frozen=True)
class Geometry:
    """Slice stack. plane: "axial" or "sagittal"; in-plane pixel and thickness, gap in mm; rows x columns; slices None:
    cover the brain.

    resolved: share of k-space acquired along i, j (and k in 3-D): below 1 the image is zero-filled.
    """

    acquisition: str
    plane: str
    pixel_mm: float
    thickness_mm: float
    gap_mm: float
    rows: int
    columns: int
    slices: int | None = None
    resolved: tuple[float, float, float] = (1.0, 0.85, 1.0)

    @property
    def spacing_mm(self) -> float:
        return self.thickness_mm + self.gap_mm


@dataclass(frozen=True)
class Private:
    """One private element. element: low byte; vr as in the vendor's dictionary."""

    group: int
    creator: str
    element: int
    vr: str
    value: object


@dataclass(frozen=True)
class Sequence:
    """One series as planned. snr: white matter signal over noise; seconds: scan time; header: DICOM keyword ->
    value."""

    kind: SequenceKind
    geometry: Geometry
    weighting: Weighting
    snr: float
    seconds: int
    header: Mapping[str, object]
    private: tuple[Private, ...] = ()


@dataclass(frozen=True)
class Protocol:
    scanner: Scanner
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
