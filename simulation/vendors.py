"""What each vendor's scanner is told to do and what it writes about it: vendor and 2-D or 3-D in, Protocol out. Pure.

Timings and header strings follow what the vendors' clinical brain protocols and classic MR objects typically hold.
Times in ms, lengths in mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from simulation.contrast import Weighting
from simulation.protocols import DWI_B, SEQUENCES, Geometry, Private, Protocol, Scanner, Sequence
from triage.errors import Misconfigured
from triage.model import SequenceKind

SCANNERS: Mapping[str, Scanner] = {
    "siemens": Scanner(
        "siemens",
        "SIEMENS",
        "Skyra",
        3.0,
        "SIMMR1",
        ("syngo MR E11",),
        "900001",
        "Simulated Hospital",
        "HeadNeck_20",
        420.0,
    ),
    "ge": Scanner(
        "ge",
        "GE MEDICAL SYSTEMS",
        "DISCOVERY MR750",
        3.0,
        "SIMMR2",
        ("27", "LX", "MR Software release:DV26.0_R01_1725.a"),
        "900002",
        "Simulated Hospital",
        "32Ch Head",
        1900.0,
    ),
    "philips": Scanner(
        "philips",
        "Philips Medical Systems",
        "Ingenia",
        1.5,
        "SIMMR3",
        ("5.3.1", "5.3.1.0"),
        "900003",
        "Simulated Hospital",
        "MULTI COIL",
        900.0,
        1.7316239316239,
    ),
}

_AXIAL: Mapping[str, Geometry] = {
    "siemens": Geometry("2D", "axial", 230 / 256, 4.0, 0.4, 256, 256, resolved=(0.98, 0.80, 1.0)),
    "ge": Geometry("2D", "axial", 240 / 256, 4.0, 1.0, 256, 256, resolved=(1.0, 0.88, 1.0)),
    "philips": Geometry("2D", "axial", 230 / 288, 4.0, 0.5, 288, 288, resolved=(0.85, 0.78, 1.0)),
}
_SAGITTAL: Mapping[str, Geometry] = {
    "siemens": Geometry("3D", "sagittal", 1.0, 1.0, 0.0, 256, 256, 176, resolved=(1.0, 0.95, 0.92)),
    "ge": Geometry("3D", "sagittal", 1.0, 1.0, 0.0, 256, 256, 180, resolved=(0.95, 0.95, 0.9)),
    "philips": Geometry("3D", "sagittal", 1.0, 1.1, 0.0, 240, 240, 170, resolved=(0.95, 0.95, 0.95)),
}
_DIFFUSION: Mapping[str, Geometry] = {
    "siemens": Geometry("2D", "axial", 220 / 160, 4.0, 0.4, 160, 160, resolved=(1.0, 0.9, 1.0)),
    "ge": Geometry("2D", "axial", 240 / 256, 5.0, 0.0, 256, 256, resolved=(0.55, 0.55, 1.0)),
    "philips": Geometry("2D", "axial", 224 / 224, 4.0, 0.5, 224, 224, resolved=(0.6, 0.6, 1.0)),
}


def protocol(vendor: str, dimensions: str) -> Protocol:
    """The protocol of a vendor: dimensions "2d" or "3d" (FLAIR and T1 in 3-D; T2 and diffusion stay 2-D, as in
    practice)."""
    if vendor not in SCANNERS:
        raise Misconfigured(f"vendor must be one of {', '.join(SCANNERS)}, got {vendor!r}")
    if dimensions not in ("2d", "3d"):
        raise Misconfigured(f"protocol must be 2d or 3d, got {dimensions!r}")
    scanner = SCANNERS[vendor]
    planned = {"siemens": _siemens, "ge": _ge, "philips": _philips}[vendor](dimensions == "3d")
    t1 = planned["t1"]
    after = dict(t1.header) | {
        "SeriesDescription": f"{t1.header['SeriesDescription']}{_AFTER_GD[vendor]}",
        "ContrastBolusAgent": "Gadobutrol",
        "ContrastBolusRoute": "IV",
        "ContrastBolusVolume": "7.5",
    }
    if "ProtocolName" in after and vendor != "ge":
        after["ProtocolName"] = after["SeriesDescription"]
    planned["t1_gd"] = replace(
        t1, kind=SequenceKind.T1_GD, weighting=replace(t1.weighting, gadolinium=True), header=after
    )
    return Protocol(scanner, {name: planned[name] for name in SEQUENCES})


_AFTER_GD = {"siemens": "_KM", "ge": " +C", "philips": " Gd"}


def _times(tr: float, te: float, ti: float | None, flip: float, train: int) -> dict[str, object]:
    out: dict[str, object] = {"RepetitionTime": tr, "EchoTime": te, "FlipAngle": flip, "EchoTrainLength": train}
    if ti is not None:
        out["InversionTime"] = ti
    return out


def _siemens(three_d: bool) -> dict[str, Sequence]:
    axial, sagittal, epi = _AXIAL["siemens"], _SAGITTAL["siemens"], _DIFFUSION["siemens"]
    original = ("ORIGINAL", "PRIMARY", "M", "ND", "NORM")

    def header(
        name: str, sequence: str, scanning: tuple[str, ...], variant: tuple[str, ...], options: tuple[str, ...]
    ) -> dict[str, object]:
        return {
            "SeriesDescription": name,
            "ProtocolName": name,
            "SequenceName": sequence,
            "ScanningSequence": scanning,
            "SequenceVariant": variant,
            "ScanOptions": options,
            "ImageType": original,
            "AngioFlag": "N",
        }

    if three_d:
        flair = Sequence(
            SequenceKind.FLAIR,
            sagittal,
            Weighting("ir_se", 9000, 125, 2450, 150, fat=0.35),
            32,
            290,
            header(
                "t2_space_dark-fluid_sag_p2_iso", "*spcir_242ns", ("SE", "IR"), ("SK", "SP", "MP"), ("PFP", "IR", "FS")
            )
            | _times(5000, 388, 1800, 120, 242),
        )
        t1 = Sequence(
            SequenceKind.T1,
            sagittal,
            Weighting("ir_gre", 2300, 3, 1100, 0),
            40,
            310,
            header("t1_mprage_sag_p2_iso", "*tfl3d1_16ns", ("GR", "IR"), ("SK", "SP", "MP"), ("IR", "WE"))
            | _times(2300, 2.98, 1100, 9, 1),
        )
    else:
        flair = Sequence(
            SequenceKind.FLAIR,
            axial,
            Weighting("ir_se", 9000, 119, 2500, 150, fat=0.2),
            55,
            200,
            header("t2_tirm_tra_dark-fluid", "*tir2d1_16", ("SE", "IR"), ("SK", "SP", "MP"), ("IR", "PFP", "FS"))
            | _times(9000, 119, 2500, 150, 16),
        )
        t1 = Sequence(
            SequenceKind.T1,
            axial,
            Weighting("se", 550, 9, 0, 10),
            60,
            150,
            header("t1_se_tra", "*se2d1", ("SE",), ("SP",), ("PFP",)) | _times(550, 9, None, 70, 1),
        )
    t2 = Sequence(
        SequenceKind.T2,
        axial,
        Weighting("se", 5500, 95, 0, 150, fat=0.8),
        60,
        120,
        header("t2_tse_tra", "*tse2d1_18", ("SE",), ("SK", "SP"), ("PFP",)) | _times(5500, 95, None, 150, 18),
    )
    dwi_header = header("ep2d_diff_3scan_trace_p2", "*ep_b1000t", ("EP",), ("SK", "SP"), ("PFP", "FS")) | _times(
        6200, 78, None, 90, 1
    )
    dwi = Sequence(
        SequenceKind.DWI,
        epi,
        Weighting("se", 6200, 78, 0, 50, fat=0.04, b=DWI_B),
        30,
        90,
        dwi_header
        | {
            "SeriesDescription": "ep2d_diff_3scan_trace_p2_TRACEW",
            "ImageType": ("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "ND", "NORM"),
        },
    )
    adc = replace(
        dwi,
        kind=SequenceKind.ADC,
        seconds=0,
        header=dwi_header
        | {
            "SeriesDescription": "ep2d_diff_3scan_trace_p2_ADC",
            "SequenceName": "*ep_b0_1000",
            "ImageType": ("DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND", "NORM"),
        },
    )
    return {"flair": flair, "t1": t1, "t2": t2, "dwi": dwi, "adc": adc}


def _ge(three_d: bool) -> dict[str, Sequence]:
    axial, sagittal, epi = _AXIAL["ge"], _SAGITTAL["ge"], _DIFFUSION["ge"]

    def header(
        name: str, scanning: tuple[str, ...], variant: tuple[str, ...], options: tuple[str, ...]
    ) -> dict[str, object]:
        return {
            "SeriesDescription": name,
            "ProtocolName": "BRAIN ONCOLOGY",
            "ScanningSequence": scanning,
            "SequenceVariant": variant,
            "ScanOptions": options,
            "ImageType": ("ORIGINAL", "PRIMARY", "OTHER"),
            "AngioFlag": "N",
        }

    def pulse(name: str) -> tuple[Private, ...]:
        return (Private(0x0019, "GEMS_ACQU_01", 0x9C, "LO", name),)

    common = ("FAST_GEMS", "VB_GEMS", "TRF_GEMS", "FILTERED_GEMS")
    if three_d:
        flair = Sequence(  # CUBE writes no inversion time: recognised by the pulse sequence name
            SequenceKind.FLAIR,
            sagittal,
            Weighting("ir_se", 9500, 122, 2480, 150, fat=0.35),
            30,
            300,
            header(
                "Sag CUBE T2 FLAIR",
                ("SE",),
                ("SK", "SS"),
                ("FAST_GEMS", "EDR_GEMS", "FILTERED_GEMS", "ACC_GEMS", "PFP", "FS"),
            )
            | _times(6300, 112.4, None, 90, 140),
            pulse("Cubet2flair"),
        )
        t1 = Sequence(
            SequenceKind.T1,
            sagittal,
            Weighting("ir_gre", 2200, 3, 1050, 0),
            38,
            280,
            header("Sag T1 BRAVO", ("GR",), ("SS", "SP"), ("FAST_GEMS", "EDR_GEMS", "FILTERED_GEMS", "ACC_GEMS"))
            | _times(8.2, 3.2, 450, 12, 1),
            pulse("BRAVO"),
        )
    else:
        flair = Sequence(
            SequenceKind.FLAIR,
            axial,
            Weighting("ir_se", 9500, 118, 2475, 150, fat=0.25),
            50,
            230,
            header("Ax T2 FLAIR", ("SE", "IR"), ("SK", "OSP"), (*common, "FS")) | _times(9500, 118.4, 2475, 111, 26),
            pulse("fse-xl"),
        )
        t1 = Sequence(
            SequenceKind.T1,
            axial,
            Weighting("se", 600, 10, 0, 10),
            55,
            160,
            header("Ax T1", ("SE",), ("NONE",), ("FILTERED_GEMS",)) | _times(600, 10, None, 90, 1),
            pulse("memp"),
        )
    t2 = Sequence(
        SequenceKind.T2,
        axial,
        Weighting("se", 5200, 100, 0, 150, fat=0.85),
        55,
        130,
        header("Ax T2 FSE", ("SE",), ("SK", "OSP"), common) | _times(5200, 100.6, None, 125, 20),
        pulse("fse-xl"),
    )
    dwi = Sequence(
        SequenceKind.DWI,
        epi,
        Weighting("se", 7000, 82, 0, 50, fat=0.04, b=DWI_B),
        26,
        80,
        header("Ax DWI b1000", ("EP", "SE"), ("NONE",), ("SAT_GEMS", "EPI_GEMS", "FILTERED_GEMS", "PFF", "FS"))
        | _times(7000, 82.1, None, 90, 1),
        pulse("epi2"),
    )
    adc = replace(
        dwi,
        kind=SequenceKind.ADC,
        seconds=0,
        header=dict(dwi.header)
        | {
            "SeriesDescription": "Apparent Diffusion Coefficient (mm2/s)",
            "ImageType": ("DERIVED", "SECONDARY", "COMBINED", "ADC"),
        },
    )
    return {"flair": flair, "t1": t1, "t2": t2, "dwi": dwi, "adc": adc}


def _philips(three_d: bool) -> dict[str, Sequence]:
    axial, sagittal, epi = _AXIAL["philips"], _SAGITTAL["philips"], _DIFFUSION["philips"]

    def header(
        name: str, scanning: tuple[str, ...], variant: tuple[str, ...], options: tuple[str, ...], kind: str
    ) -> dict[str, object]:
        return {
            "SeriesDescription": name,
            "ProtocolName": name,
            "ScanningSequence": scanning,
            "SequenceVariant": variant,
            "ScanOptions": options,
            "ImageType": ("ORIGINAL", "PRIMARY", "M_" + kind, "M", kind),
        }

    def technique(name: str) -> tuple[Private, ...]:
        return (Private(0x2001, "Philips Imaging DD 001", 0x20, "LO", name),)

    if three_d:
        flair = Sequence(
            SequenceKind.FLAIR,
            sagittal,
            Weighting("ir_se", 10000, 130, 2550, 150, fat=0.3),
            30,
            310,
            header("sag 3D FLAIR VIEW", ("IR",), ("SK", "MP"), ("FC", "SP"), "IR") | _times(4800, 311, 1660, 90, 182),
            technique("TIR"),
        )
        t1 = Sequence(
            SequenceKind.T1,
            sagittal,
            Weighting("ir_gre", 2200, 3.5, 950, 0),
            36,
            300,
            header("sag T1W 3D TFE", ("GR",), ("MP",), ("OTHER",), "FFE") | _times(7.6, 3.5, None, 8, 222),
            technique("T1TFE"),
        )
    else:
        flair = Sequence(
            SequenceKind.FLAIR,
            axial,
            Weighting("ir_se", 11000, 125, 2660, 250, fat=0.2),
            48,
            240,
            header("T2W_FLAIR SENSE", ("IR",), ("SK",), ("FS",), "IR") | _times(11000, 125, 2750, 90, 27),
            technique("TIR"),
        )
        t1 = Sequence(
            SequenceKind.T1,
            axial,
            Weighting("se", 560, 12, 0, 12),
            55,
            170,
            header("T1W_SE", ("SE",), ("OSP",), ("OTHER",), "SE") | _times(560, 12, None, 69, 1),
            technique("SE"),
        )
    t2 = Sequence(
        SequenceKind.T2,
        axial,
        Weighting("se", 4400, 100, 0, 150, fat=0.8),
        55,
        130,
        header("T2W_TSE SENSE", ("SE",), ("SK",), ("OTHER",), "SE") | _times(4400, 100, None, 90, 15),
        technique("TSE"),
    )
    dwi = Sequence(
        SequenceKind.DWI,
        epi,
        Weighting("se", 4200, 88, 0, 50, fat=0.05, b=DWI_B),
        24,
        70,
        header("DWI_3b SENSE", ("SE",), ("SK",), ("FS",), "SE") | _times(4200, 88, None, 90, 59),
        technique("DwiSE"),
    )
    adc = replace(
        dwi,
        kind=SequenceKind.ADC,
        seconds=0,
        header=dict(dwi.header)
        | {"SeriesDescription": "dADC", "ImageType": ("DERIVED", "PRIMARY", "ADC", "ADC", "UNSPECIFIED")},
    )
    return {"flair": flair, "t1": t1, "t2": t2, "dwi": dwi, "adc": adc}
