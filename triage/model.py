"""The words of the core as frozen values: Study, Series, SequenceKind, Volume, Measurement, Lesion, Finding, Decision.

Frame everywhere: DICOM patient coordinates, LPS+ mm. Arrays are ``(k, j, i)``; affines map ``(i, j, k, 1)`` to LPS mm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Voxels = npt.NDArray[np.float32]  # (k, j, i)
Mask = npt.NDArray[np.bool_]  # (k, j, i)
Labels = npt.NDArray[np.uint8]  # (k, j, i)
Affine = npt.NDArray[np.float64]  # (4, 4), voxel index (i, j, k, 1) -> LPS mm


class SequenceKind(StrEnum):
    """What a series shows, decided from its headers."""

    FLAIR = "flair"
    T1 = "t1"
    T1_GD = "t1_gd"
    T2 = "t2"
    T2_STAR = "t2_star"
    SWI = "swi"
    DWI = "dwi"
    ADC = "adc"
    PD = "pd"
    PERFUSION = "perfusion"
    ANGIOGRAPHY = "angiography"
    LOCALIZER = "localizer"
    DERIVED = "derived"  # FA, colour maps, projections, subtractions: never measured
    NOT_IMAGE = "not_image"  # SR, SEG, presentation states, documents
    UNKNOWN = "unknown"


class Presence(StrEnum):
    """Whether a pattern is there. INDETERMINATE: it could not be judged."""

    PRESENT = "present"
    ABSENT = "absent"
    INDETERMINATE = "indeterminate"


class Strength(StrEnum):
    """How strongly a present pattern points to neurotoxicity, weakest first."""

    POSSIBLE = "possible"
    SUSPECTED = "suspected"
    STRONG = "strong"


class Category(StrEnum):
    """What the program says about a study."""

    NEUROTOXICITY_SUSPECTED = "neurotoxicity_suspected"
    POSSIBLE = "possible"
    NO_PATTERN = "no_pattern"
    NOT_ASSESSABLE = "not_assessable"


class Priority(StrEnum):
    """P1 is the most urgent. ``unchanged`` keeps what the worklist has: the program never lowers a priority."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    UNCHANGED = "unchanged"


class Stage(StrEnum):
    """How far an assessment went: FLAIR alone within seconds, or everything."""

    FIRST_LOOK = "first_look"
    FULL = "full"


class ProtocolMatch(StrEnum):
    """Whether two FLAIR series were acquired alike; sets which limits apply."""

    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar image.

    voxels: shape (k, j, i), float32 (labels: uint8 is allowed).
    affine: (4, 4), voxel index (i, j, k, 1) -> LPS mm; columns orthogonal, no shear.
    """

    voxels: npt.NDArray[Any]
    affine: Affine

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise ValueError(f"voxels must have 3 axes (k, j, i), got shape {self.voxels.shape}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"affine must be (4, 4), got {self.affine.shape}")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing (i, j, k) in mm."""
        s = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(s[0]), float(s[1]), float(s[2])

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


@dataclass(frozen=True)
class SeriesHeader:
    """The header facts that one series is recognised by.

    Times in ms, b-values in s/mm2, lengths in mm. ``None``, "" or an empty tuple: the header does not state it.
    """

    series_instance_uid: str
    sop_class_uid: str = ""
    modality: str = ""
    manufacturer: str = ""
    model_name: str = ""
    station_name: str = ""
    software_versions: str = ""
    magnetic_field_strength_t: float | None = None
    series_number: int | None = None
    series_description: str = ""
    protocol_name: str = ""
    sequence_name: str = ""  # SequenceName or PulseSequenceName
    scanning_sequence: tuple[str, ...] = ()
    sequence_variant: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    acquisition_contrast: str = ""  # (0008,9209), enhanced objects
    mr_acquisition_type: str = ""  # 2D | 3D
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    inversion_time_ms: float | None = None
    flip_angle_deg: float | None = None
    echo_train_length: int | None = None
    b_values: tuple[float, ...] = ()
    contrast_agent: str = ""
    slice_thickness_mm: float | None = None
    rows: int | None = None
    columns: int | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    instance_count: int = 0
    frame_count: int = 0
    acquisition_time: time | None = None
    acquisition_date: date | None = None  # of acquisition_time: a study can go on after midnight
    orientation: str = ""  # axial | coronal | sagittal | oblique | mixed
    # private facts by name, e.g. {"ge_pulse_sequence": "CubeT2flair"}
    vendor: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Identification:
    """What a series is, how sure, and why.

    confidence: 0..1, a rank for choosing between candidates of one kind, not a probability.
    """

    kind: SequenceKind
    confidence: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Patient:
    """Identity as the headers state it. Never logged."""

    patient_id: str
    issuer: str = ""
    birth_date: date | None = None
    sex: str = ""


@dataclass(frozen=True)
class Series:
    """One series: what its header states and what it was identified as."""

    header: SeriesHeader
    identification: Identification


@dataclass(frozen=True)
class Study:
    """One imaging session of one patient."""

    study_instance_uid: str
    patient: Patient
    study_date: date | None
    study_time: time | None
    series: tuple[Series, ...] = ()
    accession_number: str = ""
    study_description: str = ""
    acquisition: frozenset[str] = frozenset()  # digests of its FLAIR; studies that share one hold the same images
    acquired: date | None = None  # AcquisitionDate of its FLAIR
    stated_ages: tuple[float, ...] = ()  # PatientAge of its objects, in years


@dataclass(frozen=True)
class SkippedSeries:
    """A series that could not become a volume, or objects that are in no series; reason code and a sentence."""

    series_instance_uid: str
    code: str
    message: str
    objects: int | None = None  # that are in no series of the study


@dataclass(frozen=True)
class DiffusionFacts:
    """What the headers state about the diffusion images. b-values in s/mm2, None when not stated."""

    b_high: float | None = None  # of the DWI volume
    b_low: float | None = None  # of the image beside it
    adc_unit: str = ""  # that the vendor's ADC map was stored in, "" without one; the volume itself is in um2/s


@dataclass(frozen=True, eq=False)
class StudyImages:
    """A study with the volumes chosen from it."""

    study: Study
    volumes: Mapping[SequenceKind, Volume]  # one of each kind; of DWI that with the highest b-value
    used: Mapping[SequenceKind, str]  # kind -> UID of the series that its volume came from
    skipped: tuple[SkippedSeries, ...] = ()
    # the image without diffusion weighting of the DWI series, on the grid of the DWI volume
    dwi_b0: Volume | None = None
    diffusion: DiffusionFacts = field(default_factory=DiffusionFacts)
    set_aside: tuple[str, ...] = ()  # why objects that were stored with the study are not among its images
    notices: tuple[str, ...] = ()  # what the reader of a result should know about the objects
    ignored: tuple[SkippedSeries, ...] = ()  # objects that are in no series; with the series they are all there are
    spare_flairs: tuple[tuple[str, Callable[[], Volume]], ...] = ()  # (series UID, how to read it); the best first
    doubts: tuple[str, ...] = ()  # why a pattern that is not seen may be there all the same


@dataclass(frozen=True, eq=False)
class Atlas:
    """The atlas in MNI152 2009a symmetric space (LPS mm). All volumes share shape and affine."""

    template_t1: Volume
    template_flair: Volume
    grey: Volume  # probability 0..255
    white: Volume  # probability 0..255
    brain_mask: Volume
    labels: Volume  # uint8, 0 is outside
    label_names: Mapping[int, str]  # label -> region
    version: str
    coarse: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)  # see template.coarse_images; or empty


@dataclass(frozen=True)
class Measurement:
    """One figure of one region. ``value`` is None exactly when ``assessable`` is False; then ``reason`` says why.

    uncertainty: one standard deviation in ``unit``, None when unknown.

    Raises:
        ValueError: ``value`` and ``assessable`` contradict each other, or the value is not finite.
    """

    region: str
    quantity: str
    value: float | None
    unit: str
    uncertainty: float | None = None
    baseline_value: float | None = None
    assessable: bool = True
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.assessable == (self.value is None):
            raise ValueError(
                f"{self.region}/{self.quantity}: value {self.value} contradicts assessable={self.assessable}"
            )
        if self.value is not None and not math.isfinite(self.value):  # nan >= limit is False, a silent negative
            raise ValueError(
                f"{self.region}/{self.quantity}: {self.value} is no figure; say not_measured with a reason"
            )


@dataclass(frozen=True)
class Lesion:
    """One focal change."""

    # its label in the evidence's new_lesions.nii.gz; 1 is the largest
    number: int
    # "new" or "enlarging"
    kind: str
    # region of the atlas
    site: str
    volume_ml: float
    # in follow-up space
    centre_lps_mm: tuple[float, float, float]
    # median FLAIR change
    change_percent: float
    # None without a pair of T1 before and after contrast
    enhancing_volume_ml: float | None = None
    # distance to the nearest lesion or cavity of the baseline; None when there is none
    prior_injury_mm: float | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """What one measuring step gives. masks: name -> uint8 Volume in follow-up space (LPS mm); label 0 is outside."""

    measurements: tuple[Measurement, ...] = ()
    masks: Mapping[str, Volume] = field(default_factory=dict)
    lesions: tuple[Lesion, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What one pattern detector says. strength is None unless present."""

    pattern: str
    presence: Presence
    strength: Strength | None
    explanation: str
    evidence: tuple[str, ...] = ()  # lines of measurements.evidence_line: the figures that carried the call


@dataclass(frozen=True)
class Decision:
    """What the program says about a study, how urgent it is, and why."""

    category: Category
    priority: Priority
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RejectedBaseline:
    """An earlier study that is not the baseline, and why."""

    study_instance_uid: str
    reason: str


class Basis(StrEnum):
    """What a follow-up is compared with."""

    BEFORE_INFUSION = "before_infusion"  # the study before the infusion that the follow-up belongs to
    DATE_UNKNOWN = "date_unknown"  # the latest earlier study without an acute finding; no infusion date is known
    COURSE_ONLY = "course_only"  # no baseline: an earlier study shows the course since its date, nothing more
    NONE = "none"


@dataclass(frozen=True)
class SameAcquisition:
    """An earlier study with the images of the follow-up under other UIDs. found: patterns of its decision."""

    study_instance_uid: str
    study_date: date
    found: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaselineChoice:
    """Which earlier study is the baseline and why; every rejected candidate with its reason.

    since: study UID and date of the study that the course is measured against, with Basis.COURSE_ONLY. carried: found
    in the compared study, not before treatment; left_open: neither found nor excluded in it. same: the latest copy.
    """

    study_instance_uid: str | None
    study_date: date | None
    reason: str
    rejected: tuple[RejectedBaseline, ...] = ()
    basis: Basis = Basis.NONE
    since: tuple[str, date] | None = None
    carried: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()
    same: SameAcquisition | None = None


@dataclass(frozen=True, eq=False)
class RegistrationResult:
    """How a follow-up lies on its baseline, and whether that can be relied on."""

    accepted: bool
    # reason code and sentence of the refusal
    reason: str | None
    # named figures, mm or ratios
    quality: Mapping[str, float]
    # (4, 4), follow-up points -> baseline points, LPS mm
    followup_to_baseline: Affine
