"""Outcomes in, evidence files out: geometry, the transform, labels, and what is withheld."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from PIL import Image

from tests.workers.outputs.evidence.evidence_builders import (
    ORIENTATIONS,
    SHIFT,
    WHITE,
    an_outcome,
    measured,
    the_patient,
)
from triage.alignment.images import to_sitk
from triage.assessment import Assessed
from triage.model import Category, Decision, Finding, Lesion, Measurement, Presence, Priority, Strength
from triage.report.evidence import on_followup_grid
from workers.outputs.evidence.files import (
    CHANGE_NOT_MEASURED,
    CHANGE_STEP_PERCENT,
    maps_of,
    picture_of,
    write_evidence,
)
from workers.outputs.evidence.picture import PANEL, SMALL, Picture, render, size_px, texts

EVERYTHING = [
    "regions.nii.gz",
    "regions.json",
    "baseline_on_followup.nii.gz",
    "change_percent.nii.gz",
    "followup_to_baseline.tfm",
    "pages.json",
    "evidence.png",
    "small.png",
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one compared outcome."""
    folder = tmp_path_factory.mktemp("evidence")
    write_evidence(folder, an_outcome(), maps_of(an_outcome()))
    return folder


@pytest.fixture(scope="module")
def compared() -> Picture:
    return picture(an_outcome())


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def picture(outcome: Assessed) -> Picture:
    maps = None if outcome.evidence is None else on_followup_grid(outcome.evidence)
    return picture_of(outcome.assessment, outcome.evidence, maps)


def refused(outcome: Assessed) -> Assessed:
    registration = outcome.assessment.registration
    assert registration is not None
    assert outcome.evidence is not None
    why = "registration_failed: similarity 0.20 is below 0.42"
    return Assessed(
        replace(
            outcome.assessment,
            registration=replace(registration, accepted=False, reason=why),
            measurements=(),
            decision=Decision(Category.NOT_ASSESSABLE, Priority.UNCHANGED, (why,)),
        ),
        replace(outcome.evidence, change=None, followup_to_half_way=None),
    )


def alone(outcome: Assessed) -> Assessed:
    assert outcome.evidence is not None
    evidence = replace(
        outcome.evidence, baseline=None, change=None, followup_to_baseline=None, followup_to_half_way=None
    )
    return Assessed(replace(outcome.assessment, baseline=None, registration=None, measurements=()), evidence)


def without_regions(outcome: Assessed) -> Assessed:
    assert outcome.evidence is not None
    return Assessed(outcome.assessment, replace(outcome.evidence, labels=None, label_names={}))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda o: o, EVERYTHING, id="compared"),
        pytest.param(
            alone, ["regions.nii.gz", "regions.json", "pages.json", "evidence.png", "small.png"], id="no baseline"
        ),
        pytest.param(
            refused, ["pages.json", "evidence.png", "small.png"], id="refused registration: no maps that look usable"
        ),
        pytest.param(
            lambda o: Assessed(o.assessment, None),
            ["pages.json", "evidence.png"],
            id="noop: no evidence, still a picture",
        ),
        pytest.param(
            lambda o: without_regions(alone(o)),
            ["pages.json", "evidence.png", "small.png"],
            id="no baseline, no regions",
        ),
    ],
)
def test_what_is_written(tmp_path: Path, change: Callable[[Assessed], Assessed], expected: list[str]) -> None:
    outcome = change(an_outcome())
    assert names(write_evidence(tmp_path, outcome, maps_of(outcome))) == expected
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(expected)
    pixels = Image.open(tmp_path / "evidence.png")
    assert pixels.format == "PNG"
    assert pixels.size == size_px(picture(outcome))


@pytest.mark.parametrize(
    "axes", [pytest.param(ORIENTATIONS[name], id=name) for name in ("axial flipped", "oblique", "sagittal")]
)
def test_maps_lie_on_the_followup_grid(tmp_path: Path, axes: npt.NDArray[np.float64]) -> None:
    outcome = an_outcome(axes)
    write_evidence(tmp_path, outcome, maps_of(outcome))
    assert outcome.evidence is not None
    grid = to_sitk(outcome.evidence.followup)
    for name in ("regions.nii.gz", "baseline_on_followup.nii.gz"):
        image = sitk.ReadImage(str(tmp_path / name))
        assert image.GetSize() == grid.GetSize()
        np.testing.assert_allclose(image.GetSpacing(), grid.GetSpacing(), atol=1e-5)
        np.testing.assert_allclose(image.GetOrigin(), grid.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(image.GetDirection(), grid.GetDirection(), atol=1e-5)


def test_every_label_has_a_name(written: Path) -> None:
    regions = json.loads((written / "regions.json").read_text())
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(written / "regions.nii.gz")))
    assert labels.dtype == np.uint8
    assert {str(label) for label in np.unique(labels) if label} <= set(regions)
    assert {"thalamus_left", "pons"} <= set(regions.values())


def test_the_baseline_is_moved_onto_the_followup(written: Path) -> None:
    moved = sitk.GetArrayFromImage(sitk.ReadImage(str(written / "baseline_on_followup.nii.gz")))
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(written / "regions.nii.gz")))
    thalami = np.isin(labels, [9, 10])
    assert np.median(moved[thalami]) == pytest.approx(2 * WHITE, rel=0.01)


def test_the_transform_maps_followup_points_to_baseline_points(written: Path) -> None:
    transform = sitk.ReadTransform(str(written / "followup_to_baseline.tfm"))
    np.testing.assert_allclose(transform.TransformPoint((10.0, 20.0, 30.0)), np.array([10, 20, 30]) + SHIFT, atol=1e-6)


def test_written_again_gives_the_same(written: Path) -> None:
    alike = ("regions.json", "followup_to_baseline.tfm", "evidence.png", "small.png")  # gzip keeps the time of writing
    first = [(written / name).read_bytes() for name in alike]
    write_evidence(written, an_outcome(), maps_of(an_outcome()))
    assert [(written / name).read_bytes() for name in alike] == first


@pytest.mark.parametrize("axes", [pytest.param(axes, id=name) for name, axes in ORIENTATIONS.items()])
def test_patient_left_is_on_the_right_and_front_is_up(axes: npt.NDArray[np.float64]) -> None:
    """The synthetic head has one bright spot: left, in front, at the level of the thalami."""
    row = picture(an_outcome(axes)).rows[0]
    for panel in (row.followup, row.baseline):
        assert panel is not None
        assert panel.shape == PANEL[::-1]
        rows, columns = np.nonzero(panel >= 0.99)
        assert columns.mean() > 0.6 * PANEL[0]
        assert rows.mean() < 0.45 * PANEL[1]


@pytest.mark.parametrize("axes", [pytest.param(axes, id=name) for name, axes in ORIENTATIONS.items()])
def test_rows_go_from_the_thalami_down(axes: npt.NDArray[np.float64]) -> None:
    rows = picture(an_outcome(axes)).rows
    told = [row.words[0].text.split("   ")[0] for row in rows]
    assert told == ["thalamus L", "midbrain", "pons", "medulla"]


def test_outlines_lie_around_the_raised_thalami(compared: Picture) -> None:
    row = compared.rows[0]
    centres = [float(np.argwhere(mask > 0.5)[:, 1].mean()) for _, mask in row.outlines]
    left, right = centres  # in the order of the labels; the patient's left is on the right
    assert right < PANEL[0] / 2 < left
    for _, mask in row.outlines:
        inside = row.followup[mask > 0.8]
        assert np.median(inside) == pytest.approx(np.quantile(inside, 0.1), abs=0.02)


def test_change_is_shown_in_tissue_only(compared: Picture) -> None:
    row = compared.rows[0]
    assert row.change is not None
    assert np.isnan(row.change[0, 0])
    (_, thalamus), *_ = row.outlines
    assert np.nanmedian(row.change[thalamus > 0.8]) == pytest.approx(25.0, abs=1.0)


def test_both_dates_share_one_window(compared: Picture) -> None:
    """The baseline was acquired twice as bright; unchanged white matter must look the same."""
    row = compared.rows[2]
    assert row.baseline is not None
    assert row.change is not None
    brain = np.isfinite(row.change) & (np.abs(row.change) < 1)
    assert np.median(row.baseline[brain]) == pytest.approx(float(np.median(row.followup[brain])), abs=0.02)


def test_the_stored_change_is_the_change_within_the_regions(written: Path) -> None:
    maps = on_followup_grid(an_outcome().evidence)  # type: ignore[arg-type]
    assert maps.labels is not None
    assert maps.change_percent is not None
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(written / "change_percent.nii.gz")))
    expected = maps.change_percent.voxels
    measured = (maps.labels.voxels > 0) & np.isfinite(expected)
    assert measured.any()
    np.testing.assert_allclose(stored[measured], expected[measured], atol=CHANGE_STEP_PERCENT / 2)
    assert set(stored[~measured].tolist()) == {CHANGE_NOT_MEASURED}


def test_the_picture_is_cut_without_losing_a_line(written: Path) -> None:
    cuts = json.loads((written / "pages.json").read_text())
    lines = [n for part in ("header", "rows", "footer") for top, bottom in cuts[part] for n in range(top, bottom)]
    assert lines == list(range(Image.open(written / "evidence.png").height))


def test_a_region_that_was_not_measured_says_why() -> None:
    outcome = an_outcome(measurements=measured(missing="pons"))
    words = next(row.words for row in picture(outcome).rows if row.words[0].text.startswith("pons"))
    assert words[0].text == "pons   not measured"
    assert words[1].text.startswith("coverage: ")


def test_refused_registration_draws_no_outline() -> None:
    rows = picture(refused(an_outcome())).rows
    assert rows
    for row in rows:
        assert not row.outlines
        assert row.change is None
        assert row.missing["difference"].startswith("not compared: registration failed")


@pytest.mark.parametrize("change", [lambda o: o, alone, refused, lambda o: Assessed(o.assessment, None)])
def test_the_patient_is_not_named(change: Callable[[Assessed], Assessed]) -> None:
    outcome = change(an_outcome())
    said = "\n".join(texts(picture(outcome)))
    assert the_patient().patient_id not in said
    assert outcome.assessment.study.study_instance_uid not in said
    assert "Not a diagnosis" in said


def test_png_holds_no_metadata(written: Path) -> None:
    assert Image.open(written / "evidence.png").info == {}
    assert Image.open(written / "small.png").info == {}
    assert Image.open(written / "small.png").size == SMALL


@pytest.mark.parametrize("label", [pytest.param(1, id="a lesion"), pytest.param(0, id="nothing found")])
def test_masks_are_written_and_outlined(label: int, tmp_path: Path) -> None:
    """On the follow-up's own grid; an empty mask says that it was looked for."""
    outcome = an_outcome()
    assert outcome.evidence is not None
    followup = outcome.evidence.followup
    mask = np.zeros(followup.voxels.shape, dtype=np.uint8)
    k, j, i = (n // 2 for n in mask.shape)
    mask[k - 3 : k + 3, j - 8 : j - 2, i - 12 : i - 6] = label
    lesion = Lesion(1, "new", "white_matter_left", 0.42, (0.0, 0.0, 0.0), 35.0)
    outcome = replace(
        outcome,
        evidence=replace(outcome.evidence, masks={"new_lesions": type(followup)(mask, followup.affine)}),
        assessment=replace(outcome.assessment, lesions=(lesion,) if label else ()),
    )
    assert "new_lesions.nii.gz" in names(write_evidence(tmp_path, outcome, maps_of(outcome)))
    written = sitk.ReadImage(str(tmp_path / "new_lesions.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(written), mask)
    said = [line for line in texts(picture(outcome)) if "0.42 mL" in line]
    assert bool(said) is bool(label)


# -- restricted tissue -----------------------------------------------------------------------------


def with_restriction(
    presence: Presence = Presence.PRESENT, kinds: tuple[str, ...] = ("dwi", "adc"), found: int = 1
) -> Assessed:
    outcome = an_outcome()
    assert outcome.evidence is not None
    followup = outcome.evidence.followup
    mask = np.zeros(followup.voxels.shape, np.uint8)
    mask[20:22, 30:36, 30:36] = found
    images = {"dwi": followup, "adc": replace(followup, voxels=8 * followup.voxels)}
    measurements = (
        *outcome.assessment.measurements,
        Measurement("cortex", "restricted_volume_ml", 1.2, "mL", 0.3),
        Measurement("cortex_occipital_right", "restricted_volume_ml", 1.2, "mL", 0.3),
        Measurement("cortex_occipital_right", "adc_um2_s", 801.0, "um2/s", 5.0),
        Measurement("cortex_insula_left", "restricted_volume_ml", 0.0, "mL", 0.05),
    )
    strength = Strength.SUSPECTED if presence is Presence.PRESENT else None
    return replace(
        outcome,
        evidence=replace(
            outcome.evidence,
            masks={"restricted": type(followup)(mask, followup.affine)},
            diffusion={kind: images[kind] for kind in kinds},
        ),
        assessment=replace(
            outcome.assessment, measurements=measurements, findings=(Finding("C", presence, strength, "for the test"),)
        ),
    )


def test_restricted_tissue_gets_a_row_of_its_own(compared: Picture) -> None:
    found = picture(with_restriction())
    assert len(found.rows) == len(compared.rows) + 1
    row = found.rows[-1]
    assert row.titles == ("diffusion-weighted", "follow-up, restricted outlined", "ADC")
    assert row.baseline is not None
    assert row.change is not None
    assert all(0 <= panel.min() < panel.max() <= 1 for panel in (row.baseline, row.followup, row.change))
    assert row.outlines[0][1].max() > 0.5, "the mask is cut by the slice"
    said = [w.text for w in row.words]
    assert said == [
        "restricted cortex   1.2 ± 0.3 mL",
        "cortex occipital R   1.2 ± 0.3 mL, ADC of the region 801 um2/s",
    ]
    assert Image.open(io.BytesIO(render(found))).size == size_px(found)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: with_restriction(Presence.ABSENT), id="noop: pattern C is absent"),
        pytest.param(lambda: with_restriction(Presence.INDETERMINATE), id="not measured"),
        pytest.param(lambda: with_restriction(found=0), id="an empty mask"),
        pytest.param(lambda: with_restriction(kinds=("dwi",)), id="no ADC to show"),
    ],
)
def test_no_row_without_restricted_tissue(made: Callable[[], Assessed], compared: Picture) -> None:
    assert len(picture(made()).rows) == len(compared.rows)
