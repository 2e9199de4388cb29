"""A whole synthetic patient: seed and pattern in, baseline and follow-up DICOM folders and a truth file out.

Layout: ``out/SIM-<seed>/baseline/<series>/*.dcm``, ``out/SIM-<seed>/followup/<series>/*.dcm``,
``out/SIM-<seed>/truth.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from simulation import acquisition as acq
from simulation.deformation import rng_for
from simulation.dicom import PatientIdentity, StudyIdentity, uid
from simulation.patterns import Change, apply_pattern, usual_strength
from simulation.phantom import make_phantom
from simulation.protocols import SEQUENCES, Protocol
from simulation.scan import Progress, Session, scan
from simulation.truth import truth_of
from simulation.vendors import protocol as plan_of
from triage.errors import Misconfigured
from triage.model import Affine

DEFAULT_INFUSION = date(2024, 3, 4)
BASELINE_DAYS_BEFORE_INFUSION = 10
SAME_SCANNER_DRIFT = 0.15  # receive-field difference between sessions, relative to the field itself
OTHER_SCANNER_DRIFT = 0.8  # the same between two scanners


@dataclass(frozen=True)
class SimulatedPatient:
    """What was written. truth: the content of truth.json (in ``truth_dir``, outside both DICOM folders)."""

    patient_id: str
    baseline_dir: Path
    followup_dir: Path
    infusion_date: date
    baseline_study_uid: str
    followup_study_uid: str
    truth_dir: Path
    truth: Mapping[str, object]


def simulate(
    out: Path,
    *,
    pattern: str = "none",
    strength: float | None = None,
    seed: int = 0,
    protocol: str = "2d",
    followup_protocol: str | None = None,
    vendor: str = "siemens",
    followup_vendor: str | None = None,
    infusion_date: date = DEFAULT_INFUSION,
    followup_days: int = 7,
    sequences: tuple[str, ...] = SEQUENCES,
    chronic_lesions: int | None = None,
    on_progress: Progress | None = None,
) -> SimulatedPatient:
    """Write one patient under ``out``.

    Args:
        pattern: "none", "A", "B", "C", "D" or a combination such as "A+D".
        strength: relative FLAIR change of the main regions (0.25 = +25 %); None: the pattern's usual strength.
        protocol, followup_protocol: "2d" or "3d"; vendor, followup_vendor: "siemens", "ge" or "philips".
        followup_days: days from the infusion to the follow-up; the baseline is 10 days before the infusion.
        sequences: any of flair, t1, t2, dwi, adc, t1_gd.
        chronic_lesions: old white-matter lesions at both dates; None: the seed decides.
        on_progress: called with (share done 0..1, what is being done).
    """
    import atlas

    _check(sequences, seed, strength)
    tell = on_progress or (lambda _share, _what: None)
    folder = out / f"SIM-{seed}"
    amount = usual_strength(pattern) if strength is None else strength
    plans = (plan_of(vendor, protocol), plan_of(followup_vendor or vendor, followup_protocol or protocol))
    baseline, followup = _sessions(seed, plans, infusion_date, followup_days)
    tell(0.0, "anatomy")
    phantom = make_phantom(atlas.load(), seed, chronic_lesions=chronic_lesions)
    change = apply_pattern(phantom, pattern, amount, seed)
    for share, session, state in ((0.2, baseline, Change(phantom)), (0.6, followup, change)):
        scan(session, state, folder / session.name, sequences=sequences, tell=_part(tell, share))
    asked = {"patient_id": _patient_id(seed), "seed": seed, "pattern": pattern, "strength": amount}
    truth = asked | {
        "infusion_date": infusion_date.isoformat(),
        **_sessions_truth(baseline, followup),
        **truth_of(phantom, change, plans[1].scanner.field_t, plans[1].sequences["flair"].weighting),
    }
    written = _written(folder, (baseline, followup), infusion_date, truth)
    tell(1.0, "done")
    return written


def _written(
    folder: Path, sessions: tuple[Session, Session], infusion_date: date, truth: Mapping[str, object]
) -> SimulatedPatient:
    """The truth file is written here; the images are already there."""
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    baseline, followup = sessions
    return SimulatedPatient(
        patient_id=baseline.patient.patient_id,
        baseline_dir=folder / "baseline",
        followup_dir=folder / "followup",
        infusion_date=infusion_date,
        baseline_study_uid=baseline.study.study_instance_uid,
        followup_study_uid=followup.study.study_instance_uid,
        truth_dir=folder,
        truth=truth,
    )


def _check(sequences: tuple[str, ...], seed: int, strength: float | None) -> None:
    unknown = set(sequences) - set(SEQUENCES)
    if unknown or not sequences:
        raise Misconfigured(f"sequences must be among {', '.join(SEQUENCES)}, got {', '.join(sequences) or 'none'}")
    if not 0 <= seed <= 999_999:
        raise Misconfigured(f"seed must lie in 0..999999, got {seed}")
    if strength is not None and not 0 <= strength <= 1:
        raise Misconfigured(f"strength must lie in 0..1 (relative FLAIR change), got {strength}")


def _patient_id(seed: int) -> str:
    return f"SIM-{seed:06d}"


def _identity(seed: int) -> PatientIdentity:
    rng = rng_for(seed, "identity")
    born = date(1950, 1, 1) + timedelta(days=int(rng.integers(0, 50 * 365)))
    sex = str(rng.choice(["F", "M"]))
    return PatientIdentity(
        _patient_id(seed), f"Simulated^Patient{seed}", born, sex, float(round(rng.normal(74, 11), 1))
    )


def _part(tell: Progress, start: float) -> Progress:
    """Progress of one session, 40 % of the whole from ``start`` on."""
    return lambda share, what: tell(start + 0.4 * share, what)


def _sessions(
    seed: int, plans: tuple[Protocol, Protocol], infusion_date: date, followup_days: int
) -> tuple[Session, Session]:
    """Baseline and follow-up."""
    before = infusion_date - timedelta(days=BASELINE_DAYS_BEFORE_INFUSION)
    after = infusion_date + timedelta(days=followup_days)
    return _session(seed, 0, plans, before), _session(seed, 1, plans, after)


def _session(seed: int, number: int, plans: tuple[Protocol, Protocol], day: date) -> Session:
    """Session 0 is the baseline, 1 the follow-up."""
    name = ("baseline", "followup")[number]
    rng = rng_for(seed, f"session {name}")
    clock = time(8 + int(rng.integers(0, 9)), int(rng.integers(0, 60)))
    drift = SAME_SCANNER_DRIFT if plans[0] == plans[1] else OTHER_SCANNER_DRIFT
    return Session(
        name=name,
        seed=seed,
        protocol=plans[number],
        pose=acq.random_pose(seed, name),
        bias=acq.bias_coefficients(seed, name, drift=drift),
        gain=float(rng.uniform(0.75, 1.3)),
        study=StudyIdentity(
            study_instance_uid=uid("icansee-simulation", seed, name, "study"),
            frame_of_reference_uid=uid("icansee-simulation", seed, name, "frame"),
            started=datetime.combine(day, clock),
            study_id=str(1000 + number),
            accession_number=f"SIM{seed:06d}{number + 1}",
        ),
        patient=_identity(seed),
    )


def _followup_to_baseline(baseline: Session, followup: Session) -> Affine:
    """Where a follow-up scanner point of the unmoved skull lies in the baseline scan, LPS mm (4, 4)."""
    back = np.linalg.inv(followup.pose.head_to_scanner())
    return np.asarray(baseline.pose.head_to_scanner() @ back, dtype=np.float64)


def _sessions_truth(baseline: Session, followup: Session) -> dict[str, object]:
    return {
        "baseline": _session_truth(baseline),
        "followup": _session_truth(followup),
        "followup_to_baseline_lps_mm": _followup_to_baseline(baseline, followup).tolist(),
    }


def _session_truth(session: Session) -> dict[str, object]:
    return {
        "study_instance_uid": session.study.study_instance_uid,
        "study_date": session.study.started.date().isoformat(),
        "vendor": session.protocol.scanner.vendor,
        "field_t": session.protocol.scanner.field_t,
        "flair_acquisition": session.protocol.sequences["flair"].geometry.acquisition,
        "head_to_scanner_lps_mm": session.pose.head_to_scanner().tolist(),
        "intensity_gain": session.gain,
    }
