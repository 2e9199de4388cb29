"""The sequences of each vendor as data: vendor -> series -> timing, geometry and header elements.

Timings and header strings follow what the vendors' clinical brain protocols and classic MR objects typically hold.
Times in ms, lengths in mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from simulation.contrast import Weighting
from simulation.protocols import DWI_B, Geometry, Scanner

HOSPITAL = "Simulated Hospital"

SCANNERS: Mapping[str, Scanner] = {
    "siemens": Scanner(
        vendor="siemens",
        manufacturer="SIEMENS",
        model_name="Skyra",
        field_t=3.0,
        station_name="SIMMR1",
        software_versions=("syngo MR E11",),
        device_serial_number="900001",
        institution=HOSPITAL,
        coil="HeadNeck_20",
        white_level=420.0,
    ),
    "ge": Scanner(
        vendor="ge",
        manufacturer="GE MEDICAL SYSTEMS",
        model_name="DISCOVERY MR750",
        field_t=3.0,
        station_name="SIMMR2",
        software_versions=("27", "LX", "MR Software release:DV26.0_R01_1725.a"),
        device_serial_number="900002",
        institution=HOSPITAL,
        coil="32Ch Head",
        white_level=1900.0,
    ),
    "philips": Scanner(
        vendor="philips",
        manufacturer="Philips Medical Systems",
        model_name="Ingenia",
        field_t=1.5,
        station_name="SIMMR3",
        software_versions=("5.3.1", "5.3.1.0"),
        device_serial_number="900003",
        institution=HOSPITAL,
        coil="MULTI COIL",
        white_level=900.0,
        slope=1.7316239316239,
    ),
}

# vendor -> slice stack -> geometry
STACKS: Mapping[str, Mapping[str, Geometry]] = {
    "siemens": {
        "axial": Geometry("2D", "axial", 230 / 256, 4.0, 0.4, 256, 256, resolved=(0.98, 0.80, 1.0)),
        "sagittal": Geometry("3D", "sagittal", 1.0, 1.0, 0.0, 256, 256, 176, resolved=(1.0, 0.95, 0.92)),
        "epi": Geometry("2D", "axial", 220 / 160, 4.0, 0.4, 160, 160, resolved=(1.0, 0.9, 1.0)),
    },
    "ge": {
        "axial": Geometry("2D", "axial", 240 / 256, 4.0, 1.0, 256, 256, resolved=(1.0, 0.88, 1.0)),
        "sagittal": Geometry("3D", "sagittal", 1.0, 1.0, 0.0, 256, 256, 180, resolved=(0.95, 0.95, 0.9)),
        "epi": Geometry("2D", "axial", 240 / 256, 5.0, 0.0, 256, 256, resolved=(0.55, 0.55, 1.0)),
    },
    "philips": {
        "axial": Geometry("2D", "axial", 230 / 288, 4.0, 0.5, 288, 288, resolved=(0.85, 0.78, 1.0)),
        "sagittal": Geometry("3D", "sagittal", 1.0, 1.1, 0.0, 240, 240, 170, resolved=(0.95, 0.95, 0.95)),
        "epi": Geometry("2D", "axial", 224 / 224, 4.0, 0.5, 224, 224, resolved=(0.6, 0.6, 1.0)),
    },
}


class Times(NamedTuple):
    """What the header says. ti None: no inversion time is written."""

    tr: float
    te: float
    ti: float | None
    flip: float
    train: int


@dataclass(frozen=True)
class Row:
    """One series.

    stack: a key of STACKS. weighting: what the physics uses (an effective value where the header's is nominal).
    snr: white matter signal over noise. scanning, variant, options: ScanningSequence, SequenceVariant, ScanOptions.
    private: name of the pulse sequence where the vendor writes one privately. also: further header elements.
    """

    description: str
    stack: str
    weighting: Weighting
    snr: float
    seconds: int
    times: Times
    scanning: tuple[str, ...]
    variant: tuple[str, ...]
    options: tuple[str, ...]
    private: str | None = None
    also: Mapping[str, object] = field(default_factory=dict)


# vendor -> header elements of every series; a row's own elements replace them
EVERY_SERIES: Mapping[str, Mapping[str, object]] = {
    "siemens": {"ImageType": ("ORIGINAL", "PRIMARY", "M", "ND", "NORM"), "AngioFlag": "N"},
    "ge": {"ProtocolName": "BRAIN ONCOLOGY", "ImageType": ("ORIGINAL", "PRIMARY", "OTHER"), "AngioFlag": "N"},
    "philips": {},
}

# vendor -> (group, creator, element) of the LO that names the pulse sequence
PULSE_NAME: Mapping[str, tuple[int, str, int]] = {
    "ge": (0x0019, "GEMS_ACQU_01", 0x9C),
    "philips": (0x2001, "Philips Imaging DD 001", 0x20),
}

# vendor -> what is appended to the description of the series after contrast
AFTER_GD: Mapping[str, str] = {"siemens": "_KM", "ge": " +C", "philips": " Gd"}

# vendor -> header elements of the ADC map that differ from the DWI's
ADC: Mapping[str, Mapping[str, object]] = {
    "siemens": {
        "SeriesDescription": "ep2d_diff_3scan_trace_p2_ADC",
        "SequenceName": "*ep_b0_1000",
        "ImageType": ("DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND", "NORM"),
    },
    "ge": {
        "SeriesDescription": "Apparent Diffusion Coefficient (mm2/s)",
        "ImageType": ("DERIVED", "SECONDARY", "COMBINED", "ADC"),
    },
    "philips": {"SeriesDescription": "dADC", "ImageType": ("DERIVED", "PRIMARY", "ADC", "ADC", "UNSPECIFIED")},
}

_FAST = ("FAST_GEMS", "VB_GEMS", "TRF_GEMS", "FILTERED_GEMS")
_CUBE = ("FAST_GEMS", "EDR_GEMS", "FILTERED_GEMS", "ACC_GEMS")


def _image_type(kind: str) -> Mapping[str, object]:
    return {"ImageType": ("ORIGINAL", "PRIMARY", "M_" + kind, "M", kind)}


# vendor -> series -> row; FLAIR and T1 by dimension, T2 and DWI are 2-D in both, as in practice
ROWS: Mapping[str, Mapping[str, Row]] = {
    "siemens": {
        "flair 2d": Row(
            "t2_tirm_tra_dark-fluid", "axial", Weighting("ir_se", 9000, 119, 2500, 150, fat=0.2), 55, 200,
            Times(9000, 119, 2500, 150, 16), ("SE", "IR"), ("SK", "SP", "MP"), ("IR", "PFP", "FS"),
            also={"SequenceName": "*tir2d1_16"},
        ),
        "flair 3d": Row(
            "t2_space_dark-fluid_sag_p2_iso", "sagittal", Weighting("ir_se", 9000, 125, 2450, 150, fat=0.35), 32, 290,
            Times(5000, 388, 1800, 120, 242), ("SE", "IR"), ("SK", "SP", "MP"), ("PFP", "IR", "FS"),
            also={"SequenceName": "*spcir_242ns"},
        ),
        "t1 2d": Row(
            "t1_se_tra", "axial", Weighting("se", 550, 9, 0, 10), 60, 150,
            Times(550, 9, None, 70, 1), ("SE",), ("SP",), ("PFP",),
            also={"SequenceName": "*se2d1"},
        ),
        "t1 3d": Row(
            "t1_mprage_sag_p2_iso", "sagittal", Weighting("ir_gre", 2300, 3, 1100, 0), 40, 310,
            Times(2300, 2.98, 1100, 9, 1), ("GR", "IR"), ("SK", "SP", "MP"), ("IR", "WE"),
            also={"SequenceName": "*tfl3d1_16ns"},
        ),
        "t2": Row(
            "t2_tse_tra", "axial", Weighting("se", 5500, 95, 0, 150, fat=0.8), 60, 120,
            Times(5500, 95, None, 150, 18), ("SE",), ("SK", "SP"), ("PFP",),
            also={"SequenceName": "*tse2d1_18"},
        ),
        "dwi": Row(
            "ep2d_diff_3scan_trace_p2", "epi", Weighting("se", 6200, 78, 0, 50, fat=0.04, b=DWI_B), 30, 90,
            Times(6200, 78, None, 90, 1), ("EP",), ("SK", "SP"), ("PFP", "FS"),
            also={
                "SequenceName": "*ep_b1000t",
                "SeriesDescription": "ep2d_diff_3scan_trace_p2_TRACEW",
                "ImageType": ("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "ND", "NORM"),
            },
        ),
    },
    "ge": {
        "flair 2d": Row(
            "Ax T2 FLAIR", "axial", Weighting("ir_se", 9500, 118, 2475, 150, fat=0.25), 50, 230,
            Times(9500, 118.4, 2475, 111, 26), ("SE", "IR"), ("SK", "OSP"), (*_FAST, "FS"), "fse-xl",
        ),
        # CUBE writes no inversion time: it is recognised by the name of the pulse sequence
        "flair 3d": Row(
            "Sag CUBE T2 FLAIR", "sagittal", Weighting("ir_se", 9500, 122, 2480, 150, fat=0.35), 30, 300,
            Times(6300, 112.4, None, 90, 140), ("SE",), ("SK", "SS"), (*_CUBE, "PFP", "FS"), "Cubet2flair",
        ),
        "t1 2d": Row(
            "Ax T1", "axial", Weighting("se", 600, 10, 0, 10), 55, 160,
            Times(600, 10, None, 90, 1), ("SE",), ("NONE",), ("FILTERED_GEMS",), "memp",
        ),
        "t1 3d": Row(
            "Sag T1 BRAVO", "sagittal", Weighting("ir_gre", 2200, 3, 1050, 0), 38, 280,
            Times(8.2, 3.2, 450, 12, 1), ("GR",), ("SS", "SP"), _CUBE, "BRAVO",
        ),
        "t2": Row(
            "Ax T2 FSE", "axial", Weighting("se", 5200, 100, 0, 150, fat=0.85), 55, 130,
            Times(5200, 100.6, None, 125, 20), ("SE",), ("SK", "OSP"), _FAST, "fse-xl",
        ),
        "dwi": Row(
            "Ax DWI b1000", "epi", Weighting("se", 7000, 82, 0, 50, fat=0.04, b=DWI_B), 26, 80,
            Times(7000, 82.1, None, 90, 1), ("EP", "SE"), ("NONE",),
            ("SAT_GEMS", "EPI_GEMS", "FILTERED_GEMS", "PFF", "FS"), "epi2",
        ),
    },
    "philips": {
        "flair 2d": Row(
            "T2W_FLAIR SENSE", "axial", Weighting("ir_se", 11000, 125, 2660, 250, fat=0.2), 48, 240,
            Times(11000, 125, 2750, 90, 27), ("IR",), ("SK",), ("FS",), "TIR", _image_type("IR"),
        ),
        "flair 3d": Row(
            "sag 3D FLAIR VIEW", "sagittal", Weighting("ir_se", 10000, 130, 2550, 150, fat=0.3), 30, 310,
            Times(4800, 311, 1660, 90, 182), ("IR",), ("SK", "MP"), ("FC", "SP"), "TIR", _image_type("IR"),
        ),
        "t1 2d": Row(
            "T1W_SE", "axial", Weighting("se", 560, 12, 0, 12), 55, 170,
            Times(560, 12, None, 69, 1), ("SE",), ("OSP",), ("OTHER",), "SE", _image_type("SE"),
        ),
        "t1 3d": Row(
            "sag T1W 3D TFE", "sagittal", Weighting("ir_gre", 2200, 3.5, 950, 0), 36, 300,
            Times(7.6, 3.5, None, 8, 222), ("GR",), ("MP",), ("OTHER",), "T1TFE", _image_type("FFE"),
        ),
        "t2": Row(
            "T2W_TSE SENSE", "axial", Weighting("se", 4400, 100, 0, 150, fat=0.8), 55, 130,
            Times(4400, 100, None, 90, 15), ("SE",), ("SK",), ("OTHER",), "TSE", _image_type("SE"),
        ),
        "dwi": Row(
            "DWI_3b SENSE", "epi", Weighting("se", 4200, 88, 0, 50, fat=0.05, b=DWI_B), 24, 70,
            Times(4200, 88, None, 90, 59), ("SE",), ("SK",), ("FS",), "DwiSE", _image_type("SE"),
        ),
    },
}  # fmt: skip
