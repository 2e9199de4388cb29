"""A synthetic patient: deterministic, readable as DICOM, recognised, and with a truth that the maps confirm."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

import atlas
from simulation.contrast import parameter_maps, parenchymal_signal
from simulation.deformation import log_jacobian
from simulation.patient import SimulatedPatient, simulate
from simulation.patterns import Change, apply_pattern
from simulation.phantom import Phantom, make_phantom
from simulation.truth import truth_of
from simulation.vendors import protocol
from triage.errors import Misconfigured

SEED = 7
STRENGTH = 0.25


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPatient:
    return simulate(tmp_path_factory.mktemp("sim"), pattern="A", seed=SEED, sequences=("flair",))


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(atlas.load(), SEED)


@pytest.fixture(scope="module")
def changed(phantom: Phantom) -> Change:
    return apply_pattern(phantom, "A", STRENGTH, SEED)


def _files(patient: SimulatedPatient, session: str) -> list[Path]:
    return sorted((patient.truth_dir / session).rglob("*.dcm"))


def test_layout_keeps_the_truth_out_of_the_dicom_folders(patient: SimulatedPatient) -> None:
    assert patient.patient_id == f"SIM-{SEED:06d}"
    for folder in (patient.baseline_dir, patient.followup_dir):
        assert [p.name for p in folder.iterdir()] == ["002_flair"]
        assert {p.suffix for p in folder.rglob("*") if p.is_file()} == {".dcm"}
    assert json.loads((patient.truth_dir / "truth.json").read_text())["baseline"]["study_instance_uid"] == (
        patient.baseline_study_uid
    )


def test_the_same_seed_gives_the_same_pixels(
    patient: SimulatedPatient, phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulation.patient.make_phantom", lambda *_, **__: phantom)  # made apart from the patient's
    again = simulate(tmp_path, pattern="A", seed=SEED, sequences=("flair",))
    for session in ("baseline", "followup"):
        for one, other in zip(_files(patient, session), _files(again, session), strict=True):
            assert one.read_bytes() == other.read_bytes()


def test_another_seed_gives_another_head(phantom: Phantom) -> None:
    other = make_phantom(atlas.load(), SEED + 1)
    moved = float(np.abs(other.parenchyma - phantom.parenchyma).mean() / phantom.parenchyma.mean())
    assert moved > 0.1
    ventricles = [float(p.region("lateral_ventricle").sum()) for p in (phantom, other)]
    assert abs(ventricles[0] / ventricles[1] - 1) > 0.02


def test_headers_are_those_of_one_patient_and_two_sessions(patient: SimulatedPatient) -> None:
    first, last = (pydicom.dcmread(_files(patient, s)[0], stop_before_pixels=True) for s in ("baseline", "followup"))
    assert first.PatientID == last.PatientID == patient.patient_id
    assert str(first.PatientName).startswith("Simulated^")
    assert first.StudyInstanceUID == patient.baseline_study_uid
    assert last.StudyInstanceUID == patient.followup_study_uid
    assert first.FrameOfReferenceUID != last.FrameOfReferenceUID
    assert first.SOPInstanceUID.startswith("2.25.")
    assert first.BurnedInAnnotation == "NO"
    assert first.ImagesInAcquisition == len(_files(patient, "baseline"))
    assert (
        date.fromisoformat(f"{last.StudyDate[:4]}-{last.StudyDate[4:6]}-{last.StudyDate[6:]}") > patient.infusion_date
    )
    times = [pydicom.dcmread(p, stop_before_pixels=True).AcquisitionTime for p in _files(patient, "baseline")]
    assert times == sorted(times)


def test_simpleitk_reads_the_geometry_that_was_planned(patient: SimulatedPatient) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(p) for p in _files(patient, "baseline")])
    image = reader.Execute()
    planned = protocol("siemens", "2d").sequences["flair"].geometry
    assert image.GetSpacing() == pytest.approx((planned.pixel_mm, planned.pixel_mm, planned.spacing_mm), abs=1e-4)
    assert image.GetSize()[:2] == (planned.columns, planned.rows)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    assert np.abs(direction.T @ direction - np.eye(3)).max() < 1e-5
    assert np.degrees(np.arccos(direction[2, 2])) < 15


def test_series_is_recognised(patient: SimulatedPatient) -> None:
    from triage.model import SequenceKind
    from workers.reading.study import read_study

    images = read_study(_files(patient, "followup"), kinds=(SequenceKind.FLAIR,))
    assert [s.identification.kind for s in images.study.series] == [SequenceKind.FLAIR]
    assert SequenceKind.FLAIR in images.volumes
    assert not images.skipped


def test_no_pattern_changes_nothing(phantom: Phantom) -> None:
    flair = protocol("siemens", "2d").sequences["flair"].weighting
    truth = truth_of(phantom, apply_pattern(phantom, "none", 0.0, SEED), 3.0, flair)
    regions = truth["regions"]
    assert isinstance(regions, dict)
    changes = [v for r in regions.values() for k, v in r.items() if k.endswith("_change_percent")]
    assert len(changes) > 50
    assert set(changes) == {0.0}


@pytest.mark.parametrize("vendor", ["siemens", "philips"])
def test_pattern_a_reaches_its_percent_on_the_noise_free_maps(phantom: Phantom, changed: Change, vendor: str) -> None:
    planned = protocol(vendor, "2d")
    flair, field_t = planned.sequences["flair"].weighting, planned.scanner.field_t
    before = parenchymal_signal(flair, parameter_maps(phantom, field_t, flair))
    after = parenchymal_signal(flair, parameter_maps(phantom, field_t, flair, changed.alteration))
    percent = np.zeros(phantom.grid.shape, dtype=np.float32)
    percent.ravel()[phantom.inside] = 100.0 * (after / before - 1.0)
    tissue = phantom.parenchyma > 0.5
    for side in ("thalamus_left", "thalamus_right"):
        assert float(np.median(percent[phantom.region(side) & tissue])) == pytest.approx(100 * STRENGTH, abs=0.05)
    assert float(np.median(percent[phantom.region("pons") & tissue])) > 60 * STRENGTH
    assert float(np.median(percent[phantom.region("cortex_parietal") & tissue])) < 4 * STRENGTH


def test_pattern_a_swells_the_thalami_into_the_third_ventricle(phantom: Phantom, changed: Change) -> None:
    assert changed.swelling is not None
    assert np.isfinite(log_jacobian(changed.swelling)).all()
    truth = truth_of(phantom, changed, 3.0, protocol("siemens", "2d").sequences["flair"].weighting)
    regions = truth["regions"]
    assert isinstance(regions, dict)
    assert regions["thalamus_left"]["volume_change_percent"] > 60 * STRENGTH / 4
    assert regions["third_ventricle"]["volume_change_percent"] < -10


def test_truth_holds_the_rigid_motion_between_the_sessions(patient: SimulatedPatient) -> None:
    truth = patient.truth
    moved = np.array(truth["followup_to_baseline_lps_mm"])
    sessions = [np.array(truth[s]["head_to_scanner_lps_mm"]) for s in ("baseline", "followup")]  # type: ignore[index]
    assert moved @ sessions[1] == pytest.approx(sessions[0], abs=1e-9)
    assert np.linalg.det(moved[:3, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"pattern": "E"}, "pattern", id="unknown pattern"),
        pytest.param({"strength": 1.5}, "strength", id="too strong"),
        pytest.param({"vendor": "acme"}, "vendor", id="unknown vendor"),
        pytest.param({"protocol": "4d"}, "protocol", id="unknown protocol"),
        pytest.param({"sequences": ("swi",)}, "sequences", id="unknown sequence"),
        pytest.param({"seed": -1}, "seed", id="negative seed"),
    ],
)
def test_wrong_requests_name_the_field(tmp_path: Path, change: dict[str, object], word: str) -> None:
    with pytest.raises(Misconfigured, match=word):
        simulate(tmp_path, **{"pattern": "A", **change})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pattern", ["A+D", "D+A", "B+D", "A+B", "A"])
def test_a_combination_keeps_what_each_pattern_changes(phantom: Phantom, changed: Change, pattern: str) -> None:
    """Pattern D gives tissue where fluid was, so that the parenchyma is another one behind it."""
    both = apply_pattern(phantom, pattern, STRENGTH, SEED)
    assert both.alteration is not None
    fields = (both.alteration.flair_gain, both.alteration.t1, both.alteration.adc, both.alteration.gd_mm)
    assert {len(one) for one in fields} == {len(both.phantom.inside)}
    if pattern in ("A+D", "D+A", "A"):
        assert changed.alteration is not None
        gain = np.zeros(phantom.parenchyma.size, dtype=np.float32)
        gain[changed.phantom.inside] = changed.alteration.flair_gain
        kept = both.alteration.flair_gain
        assert (kept >= gain[both.phantom.inside] - 1e-6).all()
        assert kept.max() == pytest.approx(gain.max(), rel=0.05)
