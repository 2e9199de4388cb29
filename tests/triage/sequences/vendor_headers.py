"""Headers of every kind of sequence from every vendor, as data: what a clinical protocol of that vendor writes.

A row is (sequence, sequence parameters, ImageType, names, more). Times in ms. Names are what de-identification removes:
description and protocol name. What is private to a vendor is under ``private``, and removed by a stricter one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.builders_dicom import ENHANCED_MR, a_header
from triage.model import SequenceKind, SeriesHeader

K = SequenceKind
UNKNOWN = frozenset({K.UNKNOWN})


@dataclass(frozen=True)
class Row:
    """One series. kind: what it shows. nameless, bare: what it may be called, beside ``kind``, without its names, and
    without private elements too: UNKNOWN where nothing else tells."""

    kind: SequenceKind
    name: str
    header: Mapping[str, Any]
    nameless: frozenset[SequenceKind] = frozenset()
    bare: frozenset[SequenceKind] = frozenset()
    private: Mapping[str, str] = field(default_factory=dict)


def row(
    kind: SequenceKind, name: str, sequence: str, tr: float, te: float, ti: float | None = None, *,
    image_type: str = "", nameless: frozenset[SequenceKind] = frozenset(), bare: frozenset[SequenceKind] = frozenset(),
    private: Mapping[str, str] | None = None, **more: Any,
) -> Row:  # fmt: skip
    header = {
        "scanning_sequence": tuple(sequence.split("\\")) if sequence else (),
        "repetition_time_ms": tr, "echo_time_ms": te, "inversion_time_ms": ti,
        "image_type": tuple(image_type.split("\\")) if image_type else (),
        "frame_count": 40, "orientation": "axial", **more,
    }  # fmt: skip
    return Row(kind, name, header, nameless, nameless | bare, private or {})


def ge(name: str) -> dict[str, str]:
    return {"ge_pulse_sequence": name}


def philips(name: str) -> dict[str, str]:
    return {"philips_technique": name}


def enhanced(contrast: str, **more: Any) -> dict[str, Any]:
    return {"sop_class_uid": ENHANCED_MR, "acquisition_contrast": contrast, **more}


SIEMENS_M = "ORIGINAL\\PRIMARY\\M\\ND\\NORM"
GE_O = "ORIGINAL\\PRIMARY\\OTHER"
IR, SE, FFE = (f"ORIGINAL\\PRIMARY\\M_{kind}\\M\\{kind}" for kind in ("IR", "SE", "FFE"))
GD: dict[str, Any] = {"contrast_agent": "GADOBUTROL"}
LOC: dict[str, Any] = {"frame_count": 9, "orientation": "mixed"}
D3: dict[str, Any] = {"mr_acquisition_type": "3D"}
B = {"b_values": (1000.0,)}

TABLE: dict[str, tuple[Row, ...]] = {
    "siemens classic": (
        row(K.T1, "t1_mprage_sag", "GR\\IR", 2300, 2.98, 900, image_type=SIEMENS_M, sequence_name="*tfl3d1_16ns", **D3),
        row(K.T1, "t1_se_tra", "SE", 550, 9, image_type=SIEMENS_M, sequence_name="*se2d1"),
        row(K.T1_GD, "t1_se_tra_KM", "SE", 550, 9, image_type=SIEMENS_M, sequence_name="*se2d1", **GD),
        row(K.T2, "t2_tse_tra", "SE", 5500, 95, image_type=SIEMENS_M, sequence_name="*tse2d1_18"),
        row(K.FLAIR, "t2_tirm_tra_dark-fluid", "SE\\IR", 9000, 119, 2500, image_type=SIEMENS_M,
            sequence_name="*tir2d1_16"),
        row(K.FLAIR, "t2_space_dark-fluid_sag", "SE\\IR", 5000, 388, 1800, image_type=SIEMENS_M,
            sequence_name="*spcir_242ns", **D3),
        row(K.FLAIR, "t2_tirm_tra_dark-fluid_KM", "SE\\IR", 9000, 119, 2500, image_type=SIEMENS_M,
            sequence_name="*tir2d1_16", **GD),
        row(K.T2_STAR, "t2_fl2d_tra_hemo", "GR", 620, 19.9, image_type=SIEMENS_M, sequence_name="*fl2d1",
            flip_angle_deg=20.0),
        row(K.SWI, "t2_swi_tra", "GR", 27, 20, image_type="ORIGINAL\\PRIMARY\\M\\SWI\\NORM", sequence_name="*swi3d1r",
            **D3),
        row(K.UNKNOWN, "ep2d_diff_b0", "EP", 6200, 78, image_type="ORIGINAL\\PRIMARY\\DIFFUSION\\NONE\\ND",
            sequence_name="*ep_b0", b_values=(0.0,)),
        row(K.DWI, "ep2d_diff_TRACEW", "EP", 6200, 78, image_type="DERIVED\\PRIMARY\\DIFFUSION\\TRACEW\\ND\\NORM",
            sequence_name="*ep_b1000t", **B),
        row(K.ADC, "ep2d_diff_ADC", "EP", 6200, 78, image_type="DERIVED\\PRIMARY\\DIFFUSION\\ADC\\ND\\NORM",
            sequence_name="*ep_b0_1000"),
        row(K.DERIVED, "ep2d_diff_FA", "EP", 6200, 78, image_type="DERIVED\\PRIMARY\\DIFFUSION\\FA\\ND\\NORM",
            sequence_name="*ep_b0_1000"),
        row(K.LOCALIZER, "localizer", "GR", 8.6, 4, image_type=SIEMENS_M, sequence_name="*fl2d1", **LOC),
        row(K.ANGIOGRAPHY, "tof_fl3d_tra", "GR", 21, 3.4, image_type=SIEMENS_M, sequence_name="*fl3d1r_t70",
            vendor={"angio_flag": "Y"}, **D3),
        row(K.PERFUSION, "ep2d_perf", "EP\\GR", 1500, 30, image_type=SIEMENS_M, sequence_name="*epfid2d1_128", **GD),
        row(K.UNKNOWN, "t2_space_dir_sag", "SE\\IR", 7500, 320, 3000, image_type=SIEMENS_M,
            sequence_name="*spcir_242ns", nameless=frozenset({K.FLAIR}), **D3),
        row(K.UNKNOWN, "t2_stir_cor", "SE\\IR", 5000, 70, 220, image_type=SIEMENS_M, sequence_name="*tir2d1_11"),
        row(K.T1, "t1_tirm_tra_dark-fluid", "SE\\IR", 2000, 9, 860, image_type=SIEMENS_M, sequence_name="*tir2d1_8"),
        row(K.T1, "t1_tse_dixon_tra_W", "SE", 550, 9, image_type="DERIVED\\PRIMARY\\M\\ND\\DIXON\\WATER"),
        row(K.T1, "t1_tse_dixon_tra_in", "SE", 550, 9, image_type="ORIGINAL\\PRIMARY\\M\\ND\\DIXON\\IN_PHASE"),
        row(K.DERIVED, "t1_tse_dixon_tra_F", "SE", 550, 9, image_type="DERIVED\\PRIMARY\\M\\ND\\DIXON\\FAT"),
        row(K.DERIVED, "t1_tse_dixon_tra_opp", "SE", 550, 9, image_type="ORIGINAL\\PRIMARY\\M\\ND\\DIXON\\OPP_PHASE"),
        row(K.DERIVED, "t2_tirm_dixon_F", "SE\\IR", 9000, 119, 2500, image_type="DERIVED\\PRIMARY\\M\\ND\\DIXON\\F"),
    ),
    "siemens mosaic": (
        row(K.DWI, "ep2d_diff_mddw_20", "EP", 6200, 78, image_type="ORIGINAL\\PRIMARY\\DIFFUSION\\NONE\\ND\\MOSAIC",
            sequence_name="*ep_b1000#7", b_values=(0.0, 1000.0)),
        row(K.UNKNOWN, "ep2d_bold_rest", "EP\\GR", 2000, 30, image_type="ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC",
            sequence_name="*epfid2d1_64"),
        row(K.PERFUSION, "ep2d_perf", "EP\\GR", 1500, 30, image_type="ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC",
            sequence_name="*epfid2d1_128", **GD),
        row(K.DERIVED, "ep2d_diff_FA", "EP", 6200, 78, image_type="DERIVED\\PRIMARY\\DIFFUSION\\FA\\ND\\MOSAIC"),
    ),
    "siemens XA enhanced": (
        row(K.T1, "t1_mprage_sag", "GR\\IR", 2300, 2.98, 900, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="*tfl3d1_16ns", **enhanced("T1", **D3)),
        row(K.T1_GD, "t1_mprage_sag_Gd", "GR\\IR", 2300, 2.98, 900, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="*tfl3d1_16ns", **enhanced("UNKNOWN", **D3), **GD),
        row(K.T2, "t2_tse_tra", "SE", 5500, 95, image_type="ORIGINAL\\PRIMARY\\M\\NONE", **enhanced("T2")),
        row(K.FLAIR, "t2_spc_da-fl", "SE\\IR", 5000, 386, 1800, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="*spcir3d1_282ns", **enhanced("UNKNOWN", **D3)),
        row(K.FLAIR, "t2_tirm_tra", "SE\\IR", 9000, 81, 2500, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            **enhanced("T2")),
        row(K.SWI, "swi_tra", "GR", 27, 20, image_type="ORIGINAL\\PRIMARY\\M\\SWI", sequence_name="*swi3d1r",
            **enhanced("UNKNOWN", **D3)),
        row(K.DWI, "ep2d_diff_TRACEW", "SE\\EP", 6200, 78, image_type="DERIVED\\PRIMARY\\DIFFUSION\\TRACEW",
            **enhanced("DIFFUSION"), **B),
        row(K.UNKNOWN, "ep2d_diff_b0", "SE\\EP", 6200, 78, image_type="ORIGINAL\\PRIMARY\\DIFFUSION\\NONE",
            **enhanced("DIFFUSION", b_values=(0.0,))),
        row(K.ADC, "ep2d_diff_ADC", "SE\\EP", 6200, 78, image_type="DERIVED\\PRIMARY\\DIFFUSION\\ADC",
            **enhanced("DIFFUSION")),
        row(K.DERIVED, "ep2d_diff_FA", "SE\\EP", 6200, 78, image_type="DERIVED\\PRIMARY\\DIFFUSION\\FA",
            **enhanced("DIFFUSION")),
        row(K.UNKNOWN, "t2_spc_dir", "SE\\IR", 7500, 320, 3000, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            nameless=frozenset({K.FLAIR}), **enhanced("UNKNOWN", **D3)),
        row(K.UNKNOWN, "t2_stir_cor", "SE\\IR", 5000, 70, 220, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            **enhanced("STIR")),
        row(K.ANGIOGRAPHY, "tof_fl3d", "GR", 21, 3.4, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            vendor={"time_of_flight": "YES"}, **enhanced("TOF", **D3)),
        row(K.PERFUSION, "ep2d_perf", "GR\\EP", 1500, 30, image_type="ORIGINAL\\PRIMARY\\PERFUSION\\NONE",
            **enhanced("PERFUSION"), **GD),
        row(K.LOCALIZER, "AAHead_Scout", "GR", 3.2, 1.4, image_type="ORIGINAL\\PRIMARY\\M\\NONE", **enhanced("T1"),
            **LOC),
        row(K.FLAIR, "t2_spc_da-fl", "SE\\IR", 5000, 386, 1800, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            **enhanced("T1", **D3)),
        row(K.FLAIR, "t2_tirm_tra", "SE\\IR", 9000, 81, 2500, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            **enhanced("PROTON_DENSITY")),
        row(K.T2, "t2_tse_tra", "SE", 5500, 95, image_type="ORIGINAL\\PRIMARY\\M\\NONE", sequence_name="*tse2d1_18",
            **enhanced("T1")),
    ),
    "ge": (
        row(K.T1, "Sag T1 BRAVO", "GR", 8.2, 3.2, 450, image_type=GE_O, private=ge("BRAVO"), **D3),
        row(K.T1, "Ax T1", "SE", 600, 10, image_type=GE_O, private=ge("memp")),
        row(K.T1_GD, "Ax T1 +C", "SE", 600, 10, image_type=GE_O, private=ge("memp"), **GD),
        row(K.T2, "Ax T2 FSE", "SE", 5200, 100, image_type=GE_O, private=ge("fse-xl")),
        row(K.T2, "Sag CUBE T2", "SE", 2500, 90, image_type=GE_O, private=ge("Cubet2"), **D3),
        row(K.FLAIR, "Ax T2 FLAIR", "SE\\IR", 9500, 118, 2475, image_type=GE_O, private=ge("fse-xl")),
        row(K.FLAIR, "Ax T2 FLAIR", "SE", 9000, 120, image_type=GE_O, private=ge("T2FLAIR"), bare=UNKNOWN),
        row(K.FLAIR, "Sag CUBE T2 FLAIR", "SE", 6300, 112, image_type=GE_O, private=ge("Cubet2flair"), bare=UNKNOWN,
            **D3),
        row(K.FLAIR, "Ax T2 FLAIR +C", "SE\\IR", 9500, 118, 2475, image_type=GE_O, private=ge("fse-xl"), **GD),
        row(K.T2_STAR, "Ax T2* GRE", "GR", 600, 20, image_type=GE_O, private=ge("gre"), flip_angle_deg=20.0),
        row(K.SWI, "Ax SWAN", "GR", 40, 24, image_type=GE_O, private=ge("SWAN"), bare=frozenset({K.T2_STAR}), **D3),
        row(K.UNKNOWN, "Ax DWI b0", "EP\\SE", 7000, 82, image_type=GE_O, private=ge("epi2"), b_values=(0.0,)),
        row(K.DWI, "Ax DWI b1000", "EP\\SE", 7000, 82, image_type=GE_O, private=ge("epi2"), **B),
        row(K.ADC, "Apparent Diffusion Coefficient (mm2/s)", "EP\\SE", 7000, 82, private=ge("epi2"),
            image_type="DERIVED\\SECONDARY\\COMBINED\\ADC"),
        row(K.ADC, "ADC (10^-6 mm2/s)", "EP\\SE", 7000, 82, image_type="DERIVED\\PRIMARY\\COMBINED", private=ge("epi2"),
            nameless=UNKNOWN),
        row(K.DERIVED, "Fractional Aniso.", "EP\\SE", 7000, 82, image_type="DERIVED\\PRIMARY\\OTHER\\FA"),
        row(K.LOCALIZER, "3Pl Loc SSFSE", "SE\\RM", 1200, 80, image_type=GE_O, private=ge("ssfse"), **LOC),
        row(K.ANGIOGRAPHY, "3D TOF 1 slab", "GR", 25, 2.5, image_type=GE_O, private=ge("3DTOF"), bare=UNKNOWN,
            flip_angle_deg=20.0, **D3),
        row(K.PERFUSION, "Ax Perfusion DSC", "EP\\GR", 1800, 30, image_type=GE_O, private=ge("epi"), **GD),
        row(K.UNKNOWN, "Sag CUBE DIR", "SE", 7000, 90, image_type=GE_O, private=ge("CubeDIR"), **D3),
        row(K.UNKNOWN, "Cor STIR", "SE\\IR", 4500, 45, 170, image_type=GE_O, private=ge("fse-xl")),
        row(K.T1, "Ax T1 FLAIR", "SE\\IR", 2500, 24, 920, image_type=GE_O, private=ge("T1FLAIR")),
        row(K.T1, "Ax T1 FLAIR", "SE", 2300, 24, image_type=GE_O, private=ge("T1FLAIR"), bare=frozenset({K.PD})),
        row(K.T1, "WATER: Ax T1 Flex", "SE", 600, 10, image_type="DERIVED\\PRIMARY\\DIXON\\WATER"),
        row(K.DERIVED, "FAT: Ax T1 Flex", "SE", 600, 10, image_type="DERIVED\\PRIMARY\\DIXON",
            nameless=frozenset({K.T1})),
    ),
    "philips classic": (
        row(K.T1, "sT1W_3D_TFE", "GR", 7.6, 3.5, image_type=FFE, private=philips("T1TFE"), sequence_variant=("MP",),
            **D3),
        row(K.T1, "T1W_SE", "SE", 560, 12, image_type=SE, private=philips("SE")),
        row(K.T1_GD, "T1W_SE Gd", "SE", 560, 12, image_type=SE, private=philips("SE"), **GD),
        row(K.T2, "T2W_TSE", "SE", 4400, 100, image_type=SE, private=philips("TSE")),
        row(K.FLAIR, "T2W_FLAIR SENSE", "IR", 11000, 125, 2750, image_type=IR, private=philips("TIR")),
        row(K.FLAIR, "3D FLAIR VIEW", "IR", 4800, 311, 1660, image_type=IR, private=philips("TIR"), **D3),
        row(K.FLAIR, "T2W_FLAIR Gd", "IR", 11000, 125, 2750, image_type=IR, private=philips("TIR"), **GD),
        row(K.T2_STAR, "T2W_FFE", "GR", 700, 23, image_type=FFE, private=philips("FFE"), flip_angle_deg=18.0),
        row(K.SWI, "SWIp", "GR", 31, 26, image_type=FFE, private=philips("T1FFE"), nameless=frozenset({K.T2_STAR}),
            **D3),
        row(K.UNKNOWN, "DWI b0", "SE", 4200, 88, image_type=SE, private=philips("DwiSE"), b_values=(0.0,),
            bare=frozenset({K.T2})),
        row(K.DWI, "DWI_3b", "SE", 4200, 88, image_type=SE, private=philips("DwiSE"), b_values=(0.0, 1000.0)),
        row(K.ADC, "dADC", "SE", 4200, 88, image_type="DERIVED\\PRIMARY\\ADC\\ADC\\UNSPECIFIED"),
        row(K.DERIVED, "dFA", "SE", 4200, 88, image_type="DERIVED\\PRIMARY\\FA\\FA\\UNSPECIFIED"),
        row(K.LOCALIZER, "Survey_SHC", "GR", 11, 4.6, image_type=FFE, private=philips("FFE"), **LOC),
        row(K.ANGIOGRAPHY, "s3DI_MC_HR", "GR", 23, 3.5, image_type=FFE, private=philips("T1FFE"), scan_options=("FC",),
            sequence_variant=("MTC",), **D3),
        row(K.PERFUSION, "PERFUSION FFE-EPI", "GR", 1500, 30, image_type=FFE, private=philips("FEEPI"),
            bare=frozenset({K.T2_STAR}), **GD),
        row(K.UNKNOWN, "DIR 3D", "IR", 5500, 320, 2550, image_type=IR, private=philips("TIR"),
            nameless=frozenset({K.FLAIR}), **D3),
        row(K.UNKNOWN, "STIR_longTE", "IR", 4500, 80, 170, image_type=IR, private=philips("TIR")),
        row(K.T1, "T1W_IR", "IR", 2000, 20, 800, image_type=IR, private=philips("TIR")),
        row(K.T1, "T1W_mDIXON", "SE", 560, 12, image_type="DERIVED\\PRIMARY\\W\\W\\DERIVED", private=philips("TSE")),
        row(K.DERIVED, "T1W_mDIXON", "SE", 560, 12, image_type="DERIVED\\PRIMARY\\F\\F\\DERIVED",
            private=philips("TSE")),
        row(K.DERIVED, "T1W_mDIXON", "SE", 560, 12, image_type="ORIGINAL\\PRIMARY\\OP\\OP\\SE", private=philips("TSE")),
        row(K.DERIVED, "T2W_FLAIR real", "IR", 11000, 125, 2750, image_type="ORIGINAL\\PRIMARY\\R_IR\\R\\IR"),
        row(K.DERIVED, "T2W_FLAIR imaginary", "IR", 11000, 125, 2750, image_type="ORIGINAL\\PRIMARY\\I_IR\\I\\IR"),
    ),
    "philips enhanced": (
        row(K.T1, "sT1W_3D_TFE", "GR", 7.6, 3.5, image_type="ORIGINAL\\PRIMARY\\T1\\NONE", **enhanced("T1", **D3)),
        row(K.T1_GD, "T1W Gd", "SE", 560, 12, image_type="ORIGINAL\\PRIMARY\\T1\\NONE", **enhanced("T1"), **GD),
        row(K.T2, "T2W_TSE", "SE", 4400, 100, image_type="ORIGINAL\\PRIMARY\\T2\\NONE", **enhanced("T2")),
        row(K.FLAIR, "3D FLAIR", "SE\\IR", 4800, 311, 1660, image_type="ORIGINAL\\PRIMARY\\FLUID_ATTENUATED\\NONE",
            **enhanced("FLUID_ATTENUATED", **D3)),
        row(K.FLAIR, "3D FLAIR Gd", "SE\\IR", 4800, 311, 1660, image_type="ORIGINAL\\PRIMARY\\FLUID_ATTENUATED\\NONE",
            **enhanced("FLUID_ATTENUATED", **D3), **GD),
        row(K.T2_STAR, "T2W_FFE", "GR", 700, 23, image_type="ORIGINAL\\PRIMARY\\T2_STAR\\NONE", **enhanced("T2_STAR")),
        row(K.DWI, "DWI", "SE\\EP", 4200, 88, image_type="ORIGINAL\\PRIMARY\\DIFFUSION\\NONE",
            **enhanced("DIFFUSION", b_values=(0.0, 1000.0))),
        row(K.UNKNOWN, "DWI b0", "SE\\EP", 4200, 88, image_type="ORIGINAL\\PRIMARY\\DIFFUSION\\NONE",
            **enhanced("DIFFUSION", b_values=(0.0,))),
        row(K.ADC, "dADC", "SE\\EP", 4200, 88, image_type="DERIVED\\PRIMARY\\DIFFUSION\\ADC", **enhanced("DIFFUSION")),
        row(K.DERIVED, "dFA", "SE\\EP", 4200, 88, image_type="DERIVED\\PRIMARY\\DIFFUSION\\FRACT_ANISOTROPY",
            **enhanced("DIFFUSION")),
        row(K.ANGIOGRAPHY, "3DI_MC", "GR", 23, 3.5, image_type="ORIGINAL\\PRIMARY\\TOF\\NONE", **enhanced("TOF", **D3)),
        row(K.PERFUSION, "PERF", "GR\\EP", 1500, 30, image_type="ORIGINAL\\PRIMARY\\PERFUSION\\NONE",
            **enhanced("PERFUSION")),
        row(K.UNKNOWN, "STIR", "SE\\IR", 4500, 80, 170, image_type="ORIGINAL\\PRIMARY\\STIR\\NONE", **enhanced("STIR")),
        row(K.UNKNOWN, "DIR 3D", "SE\\IR", 5500, 320, 2550, image_type="ORIGINAL\\PRIMARY\\FLUID_ATTENUATED\\NONE",
            nameless=frozenset({K.FLAIR}), **enhanced("FLUID_ATTENUATED", **D3)),
        row(K.LOCALIZER, "Survey", "GR", 11, 4.6, image_type="ORIGINAL\\PRIMARY\\T1\\NONE", **enhanced("T1"), **LOC),
        row(K.SWI, "SWIp", "GR", 31, 26, image_type="ORIGINAL\\PRIMARY\\SUSCEPTIBILITY\\NONE",
            **enhanced("SUSCEPTIBILITY", **D3)),
        row(K.FLAIR, "3D FLAIR", "SE\\IR", 4800, 311, 1660, image_type="ORIGINAL\\PRIMARY\\T2\\NONE",
            **enhanced("PERFUSION", **D3)),
        row(K.T1, "T1W", "SE", 560, 12, image_type="ORIGINAL\\PRIMARY\\T1\\NONE", **enhanced("T2")),
    ),
    "canon": (
        row(K.T1, "T1 3D", "GR", 6, 2.7, 900, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FFE3D_FLASH", **D3),
        row(K.T1, "T1 AX SE", "SE", 540, 10, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="SE10"),
        row(K.T1_GD, "T1 AX +C", "SE", 540, 10, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="SE10", **GD),
        row(K.T2, "T2 AX", "SE", 4600, 105, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FSE2D"),
        row(K.FLAIR, "FLAIR AX", "SE", 10000, 105, 2700, image_type="ORIGINAL\\PRIMARY\\OTHER",
            sequence_name="FSE+12_ipl_flair"),
        row(K.FLAIR, "FLAIR AX +C", "SE", 10000, 105, 2700, image_type="ORIGINAL\\PRIMARY\\OTHER",
            sequence_name="FSE+12_ipl_flair", **GD),
        row(K.T2_STAR, "T2* AX", "GR", 700, 20, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FE20"),
        row(K.SWI, "FSBB", "GR", 29, 20, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FE3D_sw",
            nameless=frozenset({K.T2_STAR}), **D3),
        row(K.DWI, "DWI b1000", "SE\\EP", 5200, 80, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="SEEPI80",
            **B),
        row(K.UNKNOWN, "DWI b0", "SE\\EP", 5200, 80, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="SEEPI80",
            b_values=(0.0,)),
        row(K.ADC, "isoADC", "SE\\EP", 5200, 80, image_type="DERIVED\\SECONDARY\\ADC"),
        row(K.ADC, "DWI ADC", "SE\\EP", 5200, 80, image_type="DERIVED\\SECONDARY\\OTHER", nameless=UNKNOWN),
        row(K.LOCALIZER, "LOCATOR", "GR", 6, 2.5, image_type="ORIGINAL\\PRIMARY\\OTHER", **LOC),
        row(K.ANGIOGRAPHY, "3D TOF", "GR", 22, 3.4, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FE3D_tof",
            **D3),
        row(K.PERFUSION, "PERFUSION", "GR\\EP", 1500, 40, image_type="ORIGINAL\\PRIMARY\\OTHER", **GD),
        row(K.UNKNOWN, "DIR", "SE\\IR", 8000, 90, 2900, image_type="ORIGINAL\\PRIMARY\\OTHER",
            nameless=frozenset({K.FLAIR})),
        row(K.UNKNOWN, "STIR COR", "SE\\IR", 4500, 60, 150, image_type="ORIGINAL\\PRIMARY\\OTHER"),
        row(K.T1, "T1 FLAIR", "SE\\IR", 2200, 15, 900, image_type="ORIGINAL\\PRIMARY\\OTHER"),
    ),
    "uih": (
        row(K.T1, "t1_gre_fsp3d_sag", "GR\\IR", 7.2, 3.1, 810, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="gre_fsp_3d_ir", **D3),
        row(K.T1_GD, "t1_fse_tra+C", "SE", 600, 11, image_type="ORIGINAL\\PRIMARY\\M\\NONE", sequence_name="fse", **GD),
        row(K.T2, "t2_fse_tra", "SE", 4500, 100, image_type="ORIGINAL\\PRIMARY\\M\\NONE", sequence_name="fse"),
        row(K.FLAIR, "t2_fse_flair_tra", "SE", 8500, 95, 2400, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="fse_ir"),
        row(K.FLAIR, "t2_mx3d_flair", "SE", 5000, 410, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="fse_mx_3d_ir", **D3),
        row(K.FLAIR, "t2_fse_flair_tra+C", "SE", 8500, 95, 2400, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="fse_ir", **GD),
        row(K.T2_STAR, "t2star_gre_tra", "GR", 620, 18, image_type="ORIGINAL\\PRIMARY\\M\\NONE", sequence_name="gre"),
        row(K.SWI, "gre_swi3d", "GR", 29, 20, image_type="ORIGINAL\\PRIMARY\\M\\SWI", sequence_name="gre_swi_3d", **D3),
        row(K.DWI, "epi_dwi_tra b1000", "SE\\EP", 3900, 75, image_type="ORIGINAL\\PRIMARY\\DIFFUSION\\TRACEW",
            sequence_name="epi_dwi", **B),
        row(K.UNKNOWN, "epi_dwi_tra b0", "SE\\EP", 3900, 75, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="epi_dwi", b_values=(0.0,)),
        row(K.ADC, "epi_dwi_tra_ADC", "SE\\EP", 3900, 75, image_type="DERIVED\\PRIMARY\\DIFFUSION\\ADC",
            sequence_name="epi_dwi"),
        row(K.DERIVED, "epi_dti_FA", "SE\\EP", 3900, 75, image_type="DERIVED\\PRIMARY\\DIFFUSION\\FA"),
        row(K.LOCALIZER, "scout", "GR", 5, 2, image_type="ORIGINAL\\PRIMARY\\M\\NONE", sequence_name="gre", **LOC),
        row(K.ANGIOGRAPHY, "tof3d_tra", "GR", 20, 3.6, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="gre_tof_3d", **D3),
        row(K.PERFUSION, "epi_dsc", "GR\\EP", 1500, 30, image_type="ORIGINAL\\PRIMARY\\M\\NONE", **GD),
        row(K.UNKNOWN, "mx3d_dir", "SE", 7000, 300, 2900, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="fse_mx_3d_dir", **D3),
        row(K.UNKNOWN, "t2_fse_stir_cor", "SE", 4200, 60, 180, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="fse_ir"),
        row(K.T1, "t1_fse_flair_tra", "SE", 2100, 12, 870, image_type="ORIGINAL\\PRIMARY\\M\\NONE",
            sequence_name="fse_ir"),
    ),
    "hitachi": (
        row(K.T1, "T1 SE AX", "SE", 520, 12, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="SE"),
        row(K.T1, "T1 FIR", "SE\\IR", 2000, 12, 850, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FIR"),
        row(K.T1_GD, "T1 +CE", "SE", 520, 12, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="SE", **GD),
        row(K.T2, "T2 FSE AX", "SE", 4500, 100, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FSE"),
        row(K.FLAIR, "FLAIR Ax", "SE\\IR", 9000, 110, 2300, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FIR"),
        row(K.FLAIR, "FLAIR Ax CE", "SE\\IR", 9000, 110, 2300, image_type="ORIGINAL\\PRIMARY\\OTHER",
            sequence_name="FIR", **GD),
        row(K.T2_STAR, "T2* GE", "GR", 700, 25, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="GE"),
        row(K.SWI, "BSI", "GR", 50, 38, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="BSI",
            nameless=frozenset({K.T2_STAR}), **D3),
        row(K.DWI, "DWI b1000", "SE\\EP", 5000, 100, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="DW-EPI",
            **B),
        row(K.UNKNOWN, "DWI b0", "SE\\EP", 5000, 100, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="DW-EPI",
            b_values=(0.0,)),
        row(K.ADC, "ADC", "SE\\EP", 5000, 100, image_type="DERIVED\\SECONDARY\\ADC"),
        row(K.LOCALIZER, "Scout", "GR", 30, 8, image_type="ORIGINAL\\PRIMARY\\LOCALIZER", **LOC),
        row(K.ANGIOGRAPHY, "TOF", "GR", 25, 6.9, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="TOF", **D3),
        row(K.PERFUSION, "Perfusion", "GR\\EP", 1800, 45, image_type="ORIGINAL\\PRIMARY\\OTHER", **GD),
        row(K.UNKNOWN, "STIR", "SE\\IR", 4000, 60, 130, image_type="ORIGINAL\\PRIMARY\\OTHER", sequence_name="FIR"),
    ),
    "hyperfine": (
        row(K.T1, "T1 AX", "SE\\IR", 1500, 6, 300, magnetic_field_strength_t=0.064, **D3),
        row(K.T2, "T2 AX", "SE", 2200, 240, magnetic_field_strength_t=0.064, **D3),
        row(K.FLAIR, "FLAIR AX", "SE\\IR", 4000, 166, 1400, magnetic_field_strength_t=0.064, nameless=UNKNOWN, **D3),
        row(K.DWI, "DWI AX", "SE", 1000, 82, magnetic_field_strength_t=0.064, b_values=(900.0,), **D3),
        row(K.ADC, "ADC Map", "SE", 1000, 82, image_type="DERIVED\\SECONDARY\\ADC", magnetic_field_strength_t=0.064,
            **D3),
        row(K.LOCALIZER, "Localizer", "SE", 1500, 60, magnetic_field_strength_t=0.064, **LOC),
    ),
}  # fmt: skip

MAKERS = {
    "siemens classic": "SIEMENS", "siemens mosaic": "SIEMENS", "siemens XA enhanced": "Siemens Healthineers",
    "ge": "GE MEDICAL SYSTEMS", "philips classic": "Philips Medical Systems", "philips enhanced": "Philips",
    "canon": "CANON_MEC", "uih": "UIH", "hitachi": "HITACHI", "hyperfine": "Hyperfine",
}  # fmt: skip


def header_of(vendor: str, one: Row, *, name: str, private: bool = True) -> SeriesHeader:
    """The header of a row under a name; "": description and protocol name are removed. private: with what only the
    vendor writes."""
    own = dict(one.header)
    facts = {**own.pop("vendor", {}), **(one.private if private else {})}
    return a_header(
        manufacturer=MAKERS[vendor], series_description=name, protocol_name=name, series_number=4, vendor=facts, **own
    )


def rows() -> Iterator[tuple[str, Row]]:
    """(vendor, row) of the whole table."""
    return ((vendor, one) for vendor, those in TABLE.items() for one in those)
