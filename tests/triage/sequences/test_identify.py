"""Named vendor headers in, kinds out. Values are typical protocols; the near misses matter as much as the hits."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from tests.builders_dicom import ENHANCED_MR, a_header
from triage.model import SequenceKind, SeriesHeader
from triage.sequences.identify import identify, identify_study

K = SequenceKind
SR = "1.2.840.10008.5.1.4.1.1.88.33"
SC = "1.2.840.10008.5.1.4.1.1.7"


def h(
    sequence: str = "",
    tr: float | None = None,
    te: float | None = None,
    ti: float | None = None,
    description: str = "",
    **more: Any,
) -> SeriesHeader:
    parts = tuple(sequence.split("\\")) if sequence else ()
    return a_header(
        scanning_sequence=parts,
        repetition_time_ms=tr,
        echo_time_ms=te,
        inversion_time_ms=ti,
        series_description=description,
        **more,
    )


M = ("ORIGINAL", "PRIMARY", "M", "ND", "NORM")
GE = ("ORIGINAL", "PRIMARY", "OTHER")
PHILIPS_IR = ("ORIGINAL", "PRIMARY", "M_IR", "M", "IR")
PHILIPS_SE = ("ORIGINAL", "PRIMARY", "M_SE", "M", "SE")
PHILIPS_FFE = ("ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE")


def enhanced(contrast: str, *args: Any, **more: Any) -> SeriesHeader:
    return h(*args, sop_class_uid=ENHANCED_MR, acquisition_contrast=contrast, **more)


def ge(name: str) -> dict[str, dict[str, str]]:
    return {"vendor": {"ge_pulse_sequence": name}}


TABLE = [
    # FLAIR
    pytest.param(
        K.FLAIR,
        h("SE\\IR", 9000, 93, 2500, "tirm_tra_dark-fluid", sequence_name="*tir2d1rr16", image_type=M),
        id="siemens-skyra-2d-tirm",
    ),
    pytest.param(
        K.FLAIR,
        h(
            "SE\\IR",
            5000,
            388,
            1800,
            "t2_space_dark-fluid_sag_p2_iso",
            sequence_name="*spcir_282ns",
            mr_acquisition_type="3D",
        ),
        id="siemens-3d-space",
    ),
    pytest.param(K.FLAIR, h("SE\\IR", 9000, 81, 2500, "unnamed"), id="siemens-2d-without-a-word"),
    pytest.param(
        K.FLAIR, h("SE", 9000, 93, None, "serie 4", sequence_name="*tir2d1_16"), id="siemens-tir2d-without-ti-or-word"
    ),
    pytest.param(K.FLAIR, h("SE", 8800, 120, None, "Ax T2 FLAIR", image_type=GE), id="ge-2d-no-ti"),
    pytest.param(K.FLAIR, h("SE\\IR", 8802, 120, 2250, "Ax T2 FLAIR FS PROPELLER", image_type=GE), id="ge-propeller"),
    pytest.param(
        K.FLAIR,
        h("SE", 6002, 128, None, "Sag 3D", mr_acquisition_type="3D", image_type=GE, **ge("CubeT2flair")),
        id="ge-cube-no-ti-no-word",
    ),
    pytest.param(
        K.FLAIR, h("SE\\IR", 11000, 125, 2800, "FLAIR_LongTR", image_type=PHILIPS_IR), id="philips-flair-longtr"
    ),
    pytest.param(
        K.FLAIR,
        h("SE\\IR", 4800, 276, 1650, "VISTA FLAIR", image_type=PHILIPS_IR, mr_acquisition_type="3D"),
        id="philips-3d-vista",
    ),
    pytest.param(
        K.FLAIR,
        h("SE", 4800, 340, 1650, "BRAINVIEW_FLAIR", image_type=PHILIPS_IR, mr_acquisition_type="3D"),
        id="philips-brainview",
    ),
    pytest.param(
        K.FLAIR, h("SE", 10000, 105, 2700, "AX FLAIR", sequence_name="FSE+12_ipl_flair"), id="canon-fse-flair"
    ),
    pytest.param(K.FLAIR, h("SE\\IR", 9000, 110, 2300, "FLAIR Ax", sequence_name="FIR"), id="hitachi-fir"),
    pytest.param(K.FLAIR, h("SE", 8500, 95, 2400, "t2_fse_flair_tra", sequence_name="fse_ir"), id="uih-2d"),
    pytest.param(
        K.FLAIR, h("SE", 5000, 410, None, "t2_mx3d_flair_sag", sequence_name="fse_mx_3d_ir"), id="uih-mx3d-no-ti"
    ),
    pytest.param(K.FLAIR, enhanced("FLUID_ATTENUATED", "SE\\IR", 4800, 300, 1650, "3D FLAIR"), id="philips-enhanced"),
    pytest.param(K.FLAIR, enhanced("FLUID_ATTENUATED", description="eins"), id="enhanced-contrast-alone"),
    pytest.param(
        K.FLAIR,
        enhanced("UNKNOWN", "SE\\IR", 5000, 386, 1800, "t2_spc_da-fl"),
        id="siemens-xa-enhanced-unknown-contrast",
    ),
    pytest.param(K.FLAIR, enhanced("T2", "SE\\IR", 9000, 120, 2500, "serie"), id="enhanced-says-t2-timing-says-flair"),
    pytest.param(
        K.FLAIR,
        h("SE\\IR", 4000, 166, 1400, "FLAIR axial", magnetic_field_strength_t=0.064),
        id="low-field-doubtful-ti-with-word",
    ),
    pytest.param(K.FLAIR, h(description="FLAIR"), id="no-timing-description-alone"),
    pytest.param(
        K.FLAIR,
        h("SE\\IR", 9000, 81, 2500, "T2 FLAIR AX MPR", image_type=("DERIVED", "SECONDARY", "MPR")),
        id="reformat-keeps-its-kind",
    ),
    # near misses of FLAIR
    pytest.param(K.T1, h("SE\\IR", 2000, 9, 860, "T1 FLAIR tra", sequence_name="*tir2d1_8"), id="siemens-t1-flair"),
    pytest.param(K.T1, h("SE\\IR", 2500, 24, 920, "Ax T1 FLAIR", **ge("T1FLAIR")), id="ge-t1-flair"),
    pytest.param(K.T1, h("SE", 2300, 24, None, "Ax T1 FLAIR"), id="ge-t1-flair-no-ti"),
    pytest.param(K.UNKNOWN, h("SE\\IR", 4500, 60, 150, "t2_tirm_cor_stir FLAIR"), id="stir-called-flair"),
    pytest.param(K.UNKNOWN, h("SE\\IR", 5000, 70, 220, "tirm_cor"), id="siemens-tirm-that-is-stir"),
    pytest.param(K.UNKNOWN, h("SE\\IR", 4000, 166, 1400, "serie 7"), id="doubtful-ti-without-word"),
    pytest.param(
        K.UNKNOWN, h("SE\\IR", 7500, 320, 3000, "t2_space_dir_sag", sequence_name="*spcir_242ns"), id="siemens-dir"
    ),
    pytest.param(
        K.UNKNOWN, h("GR\\IR", 5000, 2.98, 2500, "t1_mp2rage_sag_INV2", sequence_name="*tfl3d1_16ns"), id="mp2rage-inv2"
    ),
    pytest.param(K.T2, h("SE", 5500, 100, None, "t2_tse_tra", sequence_name="*tse2d1_16"), id="siemens-t2-tse"),
    pytest.param(K.T1, h("SE", 500, 12, None, "FLAIR"), id="t1-misnamed-flair"),
    pytest.param(
        K.UNKNOWN, enhanced("FLUID_ATTENUATED", "SE\\IR", 2000, 90, 860, "FLAIR"), id="enhanced-flair-contradicted"
    ),
    # T1 and contrast
    pytest.param(
        K.T1,
        h(
            "GR\\IR",
            2300,
            2.98,
            900,
            "t1_mprage_sag_p2_iso",
            sequence_name="*tfl3d1_16ns",
            sequence_variant=("SK", "SP", "MP"),
        ),
        id="siemens-mprage",
    ),
    pytest.param(K.T1, h("GR", 8.2, 3.2, 450, "Sag BRAVO", **ge("BRAVO")), id="ge-bravo"),
    pytest.param(K.T1, h("GR", 8.1, 3.7, None, "sT1W_3D_TFE", image_type=PHILIPS_FFE), id="philips-3d-tfe"),
    pytest.param(K.T1, h("SE", 600, 10, None, "t1_se_tra ohne KM"), id="siemens-t1-ohne-km"),
    pytest.param(K.T1, h("SE", 600, 10, None, "T1 pre", contrast_agent="Gadovist"), id="description-pre-beats-the-tag"),
    pytest.param(K.T1, h("SE", 600, 10, None, "AX T1", contrast_agent="NONE"), id="agent-none"),
    pytest.param(K.T1, h("SE", 600, 10, None, "AX T1", contrast_agent="No"), id="agent-no"),
    pytest.param(K.T1, h("GR", 250, 2.5, None, "t1_fl2d_tra", flip_angle_deg=70.0), id="siemens-flash-2d"),
    pytest.param(K.T1_GD, h("SE", 600, 10, None, "AX T1", contrast_agent="10ML GADAVIST"), id="agent-tag"),
    pytest.param(K.T1_GD, h("SE", 600, 10, None, "t1_se_tra nach KM"), id="german-nach-km"),
    pytest.param(K.T1_GD, h("SE", 600, 10, None, "t1_tse_cor_KM"), id="german-km"),
    pytest.param(K.T1_GD, h("GR\\IR", 2300, 2.98, 900, "T1 MPRAGE +C"), id="plus-c"),
    pytest.param(K.T1_GD, h("SE", 600, 10, None, "AX T1 C+"), id="c-plus"),
    pytest.param(K.T1_GD, h("SE", 600, 10, None, "T1 3D TFE après Gado"), id="french"),
    pytest.param(K.T1_GD, h("GR", 8.1, 3.7, None, "T1W_3D_POST", image_type=PHILIPS_FFE), id="post"),
    pytest.param(K.T1, h("SE", 600, 10, None, "T1 sans gado"), id="french-sans"),
    pytest.param(K.T1, h("SE", 600, 10, None, "AX T1 W/O"), id="without"),
    pytest.param(K.T1, h("SE", 600, 10, None, "T1 C-"), id="c-minus"),
    pytest.param(K.T1, h("SE", 600, 10, None, "T1 posterior fossa"), id="posterior-is-not-post"),
    pytest.param(
        K.T1,
        h("SE", 600, 10, None, "AX T1", protocol_name="BRAIN W CONTRAST", manufacturer="GE MEDICAL SYSTEMS"),
        id="ge-protocol-name-is-the-examination",
    ),
    # others
    pytest.param(
        K.T2,
        h("SE", 3200, 408, None, "t2_spc_sag", sequence_name="*spc_314ns", mr_acquisition_type="3D"),
        id="siemens-3d-t2-space",
    ),
    pytest.param(K.PD, h("SE", 3000, 15, None, "PD tra"), id="pd"),
    pytest.param(
        K.T2_STAR,
        h("GR", 650, 20, None, "t2_fl2d_tra_hemo", sequence_name="*fl2d1", flip_angle_deg=20.0),
        id="siemens-t2-star",
    ),
    pytest.param(
        K.SWI,
        h("GR", 28, 20, None, "Mag_Images", sequence_name="*swi3d1r", image_type=("ORIGINAL", "PRIMARY", "M", "NORM")),
        id="siemens-swi-magnitude",
    ),
    pytest.param(
        K.SWI,
        h("GR", 28, 20, None, "Pha_Images", sequence_name="*swi3d1r", image_type=("ORIGINAL", "PRIMARY", "P", "ND")),
        id="siemens-swi-phase",
    ),
    pytest.param(
        K.SWI,
        h(
            "GR",
            28,
            20,
            None,
            "mIP_Images(SW)",
            sequence_name="*swi3d1r",
            image_type=("DERIVED", "PRIMARY", "M", "SWI", "MNIP"),
        ),
        id="siemens-swi-mip",
    ),
    pytest.param(K.SWI, h("GR", 40, 24, None, "Ax SWAN", image_type=GE, **ge("SWAN")), id="ge-swan"),
    pytest.param(
        K.DWI,
        h(
            "EP\\SE",
            5400,
            90,
            None,
            "ep2d_diff_3scan_trace_TRACEW",
            b_values=(0.0, 1000.0),
            image_type=("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"),
        ),
        id="siemens-trace",
    ),
    pytest.param(
        K.DWI, h("EP\\SE", 5400, 90, None, "resolve", sequence_name="re_b1000t"), id="siemens-resolve-name-only"
    ),
    pytest.param(K.DWI, h("EP\\SE", 8000, 80, None, "Ax DWI", image_type=GE), id="ge-dwi-without-b"),
    pytest.param(
        K.ADC,
        h("EP\\SE", 5400, 90, None, "ep2d_diff_ADC", image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND")),
        id="siemens-adc",
    ),
    pytest.param(
        K.ADC,
        h(
            "EP\\SE",
            8000,
            80,
            None,
            "Apparent Diffusion Coefficient (mm2/s)",
            b_values=(1000.0,),
            image_type=("DERIVED", "PRIMARY", "COMBINED"),
        ),
        id="ge-adc-by-description",
    ),
    pytest.param(
        K.ADC,
        h("SE", 4000, 80, None, "dADC", image_type=("DERIVED", "PRIMARY", "ADC", "ADC", "UNSPECIFIED")),
        id="philips-adc",
    ),
    pytest.param(
        K.DERIVED, h("EP\\SE", 8000, 80, None, "eADC", image_type=("DERIVED", "PRIMARY", "EADC")), id="exponential-adc"
    ),
    pytest.param(
        K.DWI, h("SE", 3200, 88, None, "DWI_3b SENSE", image_type=PHILIPS_SE), id="philips-dwi-says-se-and-no-b"
    ),
    pytest.param(K.DWI, h("SE", 3200, 88, None, "x", b_values=(0.0, 1000.0)), id="philips-dwi-by-private-b"),
    pytest.param(K.UNKNOWN, h("SE", 3200, 88, None, "DWI", b_values=(0.0,)), id="philips-b0-is-not-t2"),
    pytest.param(
        K.DERIVED,
        h(
            "EP\\SE",
            8000,
            80,
            None,
            "dti_ColFA",
            image_type=("DERIVED", "PRIMARY", "DIFFUSION", "FA"),
            b_values=(1000.0,),
        ),
        id="fa",
    ),
    pytest.param(K.UNKNOWN, h("EP\\SE", 8000, 80, None, "dti_b0", b_values=(0.0,)), id="b0-is-neither-dwi-nor-t2"),
    pytest.param(K.T2, h("SE", 5500, 100, None, "T2 tra", b_values=(0.0,)), id="b-zero-written-into-a-t2"),
    pytest.param(
        K.ANGIOGRAPHY,
        h("GR", 22, 3.4, None, "TOF_3D_multi-slab", sequence_name="*fl3d1r_t70", mr_acquisition_type="3D"),
        id="siemens-tof",
    ),
    pytest.param(K.ANGIOGRAPHY, h("GR", 24, 2.7, None, "3D TOF MRA COW", mr_acquisition_type="3D"), id="ge-tof"),
    pytest.param(K.ANGIOGRAPHY, enhanced("TOF", "GR", 24, 3.4), id="enhanced-tof"),
    pytest.param(K.PERFUSION, h("EP\\GR", 1500, 30, None, "ep2d_perf", contrast_agent="Dotarem"), id="dsc-perfusion"),
    pytest.param(K.PERFUSION, h("EP\\GR", 1500, 30, None, "serie", contrast_agent="Dotarem"), id="dsc-by-agent"),
    pytest.param(K.UNKNOWN, h("EP\\GR", 2000, 30, None, "ep2d_bold_rest"), id="bold"),
    pytest.param(K.LOCALIZER, h("GR", 8, 3, None, "AAHead_Scout"), id="siemens-scout"),
    pytest.param(
        K.LOCALIZER,
        h("GR", 5, 1.5, None, "x", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")),
        id="image-type-localizer",
    ),
    pytest.param(K.LOCALIZER, h("GR", 5, 1.5, None, "3-pl", orientation="mixed", frame_count=15), id="three-planes"),
    pytest.param(K.UNKNOWN, h("GR", 5.2, 2.3, None, "t2_ciss3d_tra", sequence_name="*ci3d1"), id="ciss"),
    pytest.param(
        K.DERIVED, h("GR", 22, 3.4, None, "TOF MIP", image_type=("DERIVED", "SECONDARY", "PROJECTION IMAGE")), id="mip"
    ),
    pytest.param(
        K.DERIVED, h("SE", 600, 10, None, "T1 SUB", image_type=("DERIVED", "PRIMARY", "M", "SUB")), id="subtraction"
    ),
    pytest.param(K.NOT_IMAGE, a_header(modality="SR", sop_class_uid=SR, series_description="FLAIR report"), id="sr"),
    pytest.param(
        K.NOT_IMAGE, a_header(sop_class_uid=SC, series_description="FLAIR key image"), id="secondary-capture-as-mr"
    ),
    pytest.param(K.NOT_IMAGE, a_header(modality="SEG", sop_class_uid=""), id="seg"),
    pytest.param(K.NOT_IMAGE, a_header(modality="PR", sop_class_uid=""), id="presentation-state"),
    pytest.param(K.NOT_IMAGE, a_header(modality="KO", sop_class_uid=""), id="key-object"),
    pytest.param(K.NOT_IMAGE, a_header(modality="CT", sop_class_uid=""), id="ct"),
    pytest.param(K.UNKNOWN, a_header(), id="nothing-known"),
]


@pytest.mark.parametrize(("kind", "header"), TABLE)
def test_identify(kind: SequenceKind, header: SeriesHeader) -> None:
    found = identify(header)
    assert found.kind is kind, found
    assert found.reasons
    assert all(found.reasons)
    assert 0.0 <= found.confidence <= 1.0


def test_reason_quotes_the_figures() -> None:
    found = identify(h("SE\\IR", 9000, 125, 2500))
    assert found.reasons == ("TR 9000 ms, TE 125 ms, TI 2500 ms: fluid-attenuated inversion recovery",)


@pytest.mark.parametrize("description", ["FLAIR", "Ax T2 FLAIR", "dark-fluid", "tirm", "CubeT2flair"])
@pytest.mark.parametrize(
    ("tr", "te", "ti"), [(2000, 9, 860), (3000, 60, 150), (600, 10, None), (9000, 12, None), (4000, 90, 1000)]
)
def test_no_word_makes_flair_of_contradicting_physics(description: str, tr: float, te: float, ti: float | None) -> None:
    assert identify(h("SE\\IR", tr, te, ti, description)).kind is not K.FLAIR
    assert identify(h("SE", tr, te, ti, description, **ge("CubeT2flair"))).kind is not K.FLAIR


def test_a_reformat_is_less_sure_than_its_source() -> None:
    source = h("SE\\IR", 9000, 125, 2500, image_type=M)
    assert (
        identify(replace(source, image_type=("DERIVED", "SECONDARY", "MPR"))).confidence < identify(source).confidence
    )


def t1(number: int, description: str = "AX T1", agent: str = "", **more: Any) -> SeriesHeader:
    return h(
        "SE",
        600,
        10,
        None,
        description,
        series_number=number,
        contrast_agent=agent,
        series_instance_uid=f"1.{number}",
        **more,
    )


def flair(number: int, **more: Any) -> SeriesHeader:
    values = {"series_number": number, "series_instance_uid": f"1.{number}", **more}
    return h("SE\\IR", 9000, 125, 2500, "FLAIR", **values)


STUDIES = [
    pytest.param([t1(1), flair(2), t1(3)], [K.T1, K.FLAIR, K.T1], id="no-agent-anywhere"),
    pytest.param([t1(1), t1(2, agent="Gadovist"), t1(3)], [K.T1, K.T1_GD, K.T1_GD], id="after-a-series-with-agent"),
    pytest.param(
        [t1(3), t1(2, agent="Gadovist"), t1(1)], [K.T1_GD, K.T1_GD, K.T1], id="order-of-numbers-not-of-arrival"
    ),
    pytest.param([t1(1), t1(2, agent="Gadovist"), t1(3, "T1 pre")], [K.T1, K.T1_GD, K.T1], id="a-word-for-before-wins"),
    pytest.param(
        [t1(1, acquisition_time=time(10, 30)), t1(2, agent="Gd-DTPA", acquisition_time=time(10, 0))],
        [K.T1_GD, K.T1_GD],
        id="acquisition-time-before-series-number",
    ),
    pytest.param(
        [flair(1, contrast_agent="Gadovist"), t1(2, "T1 pre", "Gadovist"), t1(3, "T1 post", "Gadovist")],
        [K.FLAIR, K.T1, K.T1_GD],
        id="agent-entered-at-registration",
    ),
    pytest.param([], [], id="empty"),
]


@pytest.mark.parametrize(("headers", "kinds"), STUDIES)
def test_identify_study(headers: list[SeriesHeader], kinds: list[SequenceKind]) -> None:
    assert [found.kind for found in identify_study(headers)] == kinds


def test_agent_in_every_series_lowers_confidence() -> None:
    alone = identify(t1(2, agent="Gadovist")).confidence
    assert identify_study([flair(1, contrast_agent="Gadovist"), t1(2, agent="Gadovist")])[1].confidence < alone


def test_flair_after_contrast_says_so() -> None:
    found = identify_study([flair(1), t1(2, agent="Gadovist"), flair(3)])
    assert not any("contrast agent" in r for r in found[0].reasons)
    assert any("contrast agent" in r for r in found[2].reasons)
