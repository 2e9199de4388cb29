"""Headers with the timing of a measured series that show something else, and the near misses that are measured."""

from __future__ import annotations

import pytest

from tests.triage.sequences.test_identify import h
from triage.model import SequenceKind, SeriesHeader
from triage.sequences.identify import identify

K = SequenceKind

TABLE = [
    pytest.param(K.DERIVED, h("GR", 488, 4.92, flip_angle_deg=60.0, description="gre_field_mapping"), id="field-map"),
    pytest.param(K.DERIVED, h("GR", 488, 4.92, flip_angle_deg=60.0, sequence_name="*fm2d2r"), id="field-map-unnamed"),
    pytest.param(K.DERIVED, h("GR", 20, 2.3, flip_angle_deg=8.0, description="B1 map TFL"), id="b1-map"),
    pytest.param(K.DERIVED, h("GR", 3.6, 1.23, flip_angle_deg=10.0, description="Head_MRAC_PET_UTE_UMAP"), id="umap"),
    pytest.param(K.UNKNOWN, h("GR", 3.3, 0.07, flip_angle_deg=6.0, description="petra"), id="ultrashort-echo"),
    pytest.param(K.UNKNOWN, h("GR", 5.5, 2.7, flip_angle_deg=50.0), id="balanced-unnamed"),
    pytest.param(K.T1, h("GR", 4.1, 1.3, flip_angle_deg=12.0, description="t1 vibe dixon W"), id="near-miss-vibe"),
    pytest.param(K.T1, h("GR", 25, 4.6, flip_angle_deg=30.0, description="T1 FFE 3D"), id="near-miss-t1-ffe"),
    pytest.param(K.UNKNOWN, h("SE", 4500, 750), id="cholangiography-unnamed"),
    pytest.param(K.T2, h("SE", 3200, 563, description="t2_space", mr_acquisition_type="3D"), id="near-miss-t2-space"),
    pytest.param(K.DERIVED, h("GR", 15, 4, description="T1 map", image_type=("DERIVED", "PRIMARY")), id="t1-map"),
    pytest.param(
        K.DERIVED, h("SE", 4500, 90, description="SyMRI MyC", image_type=("DERIVED", "SECONDARY")), id="myelin-map"
    ),
    pytest.param(
        K.DERIVED,
        h("SE\\IR", 9000, 93, 2500, "FLAIR lesion segmentation", image_type=("DERIVED", "SECONDARY")),
        id="mask-of-flair",
    ),
    pytest.param(
        K.FLAIR,
        h("SE\\IR", 9000, 93, 2500, "FLAIR registered", image_type=("DERIVED", "SECONDARY")),
        id="near-miss-derived-flair",
    ),
    pytest.param(
        K.FLAIR, h("SE\\IR", 9000, 93, 2500, "fluid attenuation map of protocol 3"), id="near-miss-attenuation"
    ),
    pytest.param(
        K.FLAIR,
        h("SE\\IR", 9000, 93, 2500, "MAGiC T2 FLAIR", image_type=("DERIVED", "SECONDARY")),
        id="synthetic-flair",
    ),
]


@pytest.mark.parametrize(("kind", "header"), TABLE)
def test_what_only_looks_like_a_measured_series(kind: SequenceKind, header: SeriesHeader) -> None:
    assert identify(header).kind is kind


@pytest.mark.parametrize(
    ("description", "synthetic"),
    [("Ax T2 FLAIR", False), ("MAGiC: Ax T2 FLAIR", True), ("SyMRI_T2-FLAIR", True), ("synthetic FLAIR", True)],
)
def test_a_synthetic_flair_says_so(description: str, *, synthetic: bool) -> None:
    said = identify(h("SE\\IR", 9000, 93, 2500, description)).reasons
    assert any(reason.startswith("synthetic:") for reason in said) is synthetic
