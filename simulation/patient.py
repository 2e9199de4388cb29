"""A whole synthetic patient: seed and pattern in, baseline and follow-up DICOM folders and a truth file out.

Layout: ``out/SIM-<seed>/baseline/<series>/*.dcm``, ``out/SIM-<seed>/followup/<series>/*.dcm``,
``out/SIM-<seed>/truth.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from simulation import acquisition as acq
from simulation.contrast import ParameterMaps, image_signal, parameter_maps
from simulation.deformation import Displacement, Field, rng_for
from simulation.dicom import PatientIdentity, SeriesPlan, Stack, StudyIdentity, uid, write_series
from simulation.patterns import DEFAULT_STRENGTH, Change, apply_pattern
from simulation.phantom import Phantom, make_phantom
from simulation.protocols import DWI_B, SEQUENCES, Geometry, Protocol, Scanner, Sequence, protocol
from simulation.truth import truth_of
from triage.errors import Misconfigured
from triage.model import Affine, SequenceKind

Progress = Callable[[float, str], None]
DEFAULT_INFUSION = date(2024, 3, 4)
BASELINE_DAYS_BEFORE_INFUSION = 10
SAME_SCANNER_DRIFT, OTHER_SCANNER_DRIFT = (
    0.15,
    0.8,
)  # receive-field difference between sessions, relative to the field itself


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


@dataclass(frozen=True, eq=False)
class Session:
    """One visit: who scans when, how the head lies, what moved since the baseline."""

    name: str
    started: datetime
    plan: Protocol
    pose: acq.Pose
    bias: np.ndarray
    gain: float
    swelling: Displacement | None
    study: StudyIdentity


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
    _check(sequences, seed)
    tell = on_progress or (lambda _share, _what: None)
    patient_id = f"SIM-{seed:06d}"
    folder = out / f"SIM-{seed}"
    amount = _usual_strength(pattern) if strength is None else strength
    sessions = _sessions(
        patient_id, seed, infusion_date, followup_days, (protocol, followup_protocol), (vendor, followup_vendor)
    )

    import atlas

    tell(0.0, "anatomy")
    phantom = make_phantom(atlas.load(), seed, chronic_lesions=chronic_lesions)
    change = apply_pattern(phantom, pattern, amount, seed)
    baseline, followup = sessions(None), sessions(change.swelling)
    identity = _identity(patient_id, seed)
    for share, session, state in ((0.2, baseline, Change(phantom)), (0.6, followup, change)):
        _scan(
            session,
            state,
            sequences,
            seed,
            identity,
            folder / session.name,
            lambda s, w, at=share: tell(at + 0.4 * s, w),
        )
    truth = {
        "patient_id": patient_id, "seed": seed, "pattern": pattern, "strength": amount, "infusion_date": infusion_date.isoformat(),
        "baseline": _session_truth(baseline), "followup": _session_truth(followup),
        **truth_of(phantom, change, followup.plan.scanner.field_t, followup.plan.sequences["flair"].weighting),
    }  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    tell(1.0, "done")
    return SimulatedPatient(
        patient_id=patient_id,
        baseline_dir=folder / "baseline",
        followup_dir=folder / "followup",
        infusion_date=infusion_date,
        baseline_study_uid=baseline.study.study_instance_uid,
        followup_study_uid=followup.study.study_instance_uid,
        truth_dir=folder,
        truth=truth,
    )


def _check(sequences: tuple[str, ...], seed: int) -> None:
    unknown = set(sequences) - set(SEQUENCES)
    if unknown or not sequences:
        raise Misconfigured(f"sequences must be among {', '.join(SEQUENCES)}, got {', '.join(sequences) or 'none'}")
    if not 0 <= seed <= 999_999:
        raise Misconfigured(f"seed must lie in 0..999999, got {seed}")


def _usual_strength(pattern: str) -> float:
    return max(DEFAULT_STRENGTH.get(name, 0.0) for name in pattern.split("+"))


def _identity(patient_id: str, seed: int) -> PatientIdentity:
    rng = rng_for(seed, "identity")
    born = date(1950, 1, 1) + timedelta(days=int(rng.integers(0, 50 * 365)))
    sex = str(rng.choice(["F", "M"]))
    return PatientIdentity(patient_id, f"Simulated^Patient{seed}", born, sex, float(round(rng.normal(74, 11), 1)))


def _sessions(
    patient_id: str,
    seed: int,
    infusion_date: date,
    followup_days: int,
    dimensions: tuple[str, str | None],
    vendors: tuple[str, str | None],
) -> Callable[[Displacement | None], Session]:
    """A function that plans the baseline when called first and the follow-up when called again."""
    plans = [protocol(vendors[0], dimensions[0]), protocol(vendors[1] or vendors[0], dimensions[1] or dimensions[0])]
    days = (-BASELINE_DAYS_BEFORE_INFUSION, followup_days)
    names = ["baseline", "followup"]
    alike = plans[0].scanner == plans[1].scanner and dimensions[1] in (None, dimensions[0])
    drift = SAME_SCANNER_DRIFT if alike else OTHER_SCANNER_DRIFT

    def plan_next(swelling: Displacement | None) -> Session:
        n = 2 - len(names)
        name = names.pop(0)
        rng = rng_for(seed, f"session {name}")
        clock = time(8 + int(rng.integers(0, 9)), int(rng.integers(0, 60)))
        started = datetime.combine(infusion_date + timedelta(days=days[n]), clock)
        study = StudyIdentity(
            study_instance_uid=uid("icansee-simulation", seed, name, "study"),
            frame_of_reference_uid=uid("icansee-simulation", seed, name, "frame"),
            started=started,
            study_id=str(1000 + n),
            accession_number=f"SIM{seed:06d}{n + 1}",
        )
        bias = acq.bias_coefficients(seed, name, drift=drift)
        return Session(
            name, started, plans[n], acq.random_pose(seed, name), bias, float(rng.uniform(0.75, 1.3)), swelling, study
        )

    return plan_next


def _session_truth(session: Session) -> dict[str, object]:
    return {
        "study_instance_uid": session.study.study_instance_uid,
        "study_date": session.started.date().isoformat(),
        "vendor": session.plan.scanner.vendor,
        "field_t": session.plan.scanner.field_t,
        "flair_acquisition": session.plan.sequences["flair"].geometry.acquisition,
        "head_to_scanner_lps_mm": session.pose.head_to_scanner().tolist(),
        "intensity_gain": session.gain,
    }


# -- one session -----------------------------------------------------------------------------------


def _scan(
    session: Session,
    state: Change,
    sequences: tuple[str, ...],
    seed: int,
    patient: PatientIdentity,
    out: Path,
    tell: Progress,
) -> None:
    """Acquire and write every wanted series of one session, geometry by geometry (series of one geometry share their
    sampling)."""
    phantom, scanner = state.phantom, session.plan.scanner
    flair = session.plan.sequences["flair"].weighting
    maps = parameter_maps(phantom, scanner.field_t, flair, state.alteration)
    occupied = (phantom.parenchyma + phantom.csf + phantom.fat + phantom.muscle + phantom.vessel) > 0.02
    starts = _start_times(session)
    wanted = [(n, name) for n, name in enumerate(SEQUENCES) if name in sequences]
    geometries = list(dict.fromkeys(session.plan.sequences[name].geometry for _, name in wanted))
    done = 0
    for geometry in geometries:
        affine = acq.plan(geometry, session.pose, seed, session.name)
        where = acq.sampling(geometry, affine, session.pose, phantom.grid, occupied, session.swelling)
        field = acq.bias_field(session.bias, affine, where.shape)
        diffusion: dict[float, Field] = {}
        for number, name in wanted:
            sequence = session.plan.sequences[name]
            if sequence.geometry != geometry:
                continue
            tell(done / len(wanted), f"{session.name} {name}")
            camera = _Camera(phantom, maps, where, field, scanner, session.gain, seed, session.name)
            stacks = (
                camera.diffusion(sequence, diffusion)
                if sequence.weighting.b
                else [Stack(camera.picture(sequence, name))]
            )
            _write(out, stacks, affine, sequence, number + 2, starts[name], session, patient)
            done += 1


def _start_times(session: Session) -> dict[str, datetime]:
    """Series start one after another, with a minute for planning in between."""
    at, out = session.started + timedelta(minutes=2), {}
    for name in SEQUENCES:
        out[name] = at
        at += timedelta(seconds=session.plan.sequences[name].seconds + (60 if name != "adc" else 0))
    return out


def _write(
    out: Path, stacks: list[Stack], affine: Affine, sequence: Sequence, number: int, started: datetime, session: Session,
    patient: PatientIdentity,
) -> None:  # fmt: skip
    scanner = session.plan.scanner
    is_map = sequence.kind is SequenceKind.ADC
    plan = SeriesPlan(
        series_instance_uid=uid(session.study.study_instance_uid, sequence.kind.value),
        number=number,
        started=started,
        header={**sequence.header, "MRAcquisitionType": sequence.geometry.acquisition},
        seconds=max(sequence.seconds, 1),
        private=sequence.private,
        slope=None if is_map else scanner.slope,
        thickness_mm=sequence.geometry.thickness_mm,
    )
    write_series(
        out / f"{number:03d}_{sequence.kind.value}",
        stacks,
        affine,
        patient=patient,
        study=session.study,
        plan=plan,
        scanner=scanner,
    )


@dataclass(frozen=True, eq=False)
class _Camera:
    """Takes the pictures of one geometry in one session."""

    phantom: Phantom
    maps: ParameterMaps
    where: acq.Sampling
    field: Field
    scanner: Scanner
    gain: float
    seed: int
    session: str

    def picture(self, sequence: Sequence, name: str) -> np.ndarray:
        """Stored values of one stack."""
        return self._stored(self._magnitude(sequence, name, b=sequence.weighting.b))

    def diffusion(self, sequence: Sequence, taken: dict[float, Field]) -> list[Stack]:
        """DWI: the b = 0 and the trace stack; ADC: the map fitted to the two noisy stacks. ``taken`` keeps the stacks
        for the map."""
        for b in (0.0, DWI_B):
            if b not in taken:
                taken[b] = self._magnitude(sequence, f"dwi b{b:.0f}", b=b)
        if sequence.kind is SequenceKind.ADC:
            return [Stack(adc_map(taken[0.0], taken[DWI_B]))]
        siemens = self.scanner.vendor == "siemens"
        return [
            Stack(self._stored(taken[b]), b=b, sequence_name=(f"*ep_b{b:.0f}{'t' if b else ''}" if siemens else None))
            for b in taken
        ]

    def _magnitude(self, sequence: Sequence, name: str, *, b: float) -> Field:
        """Float image scaled so that white matter lies at the scanner's usual level (b-value stacks share one
        scale)."""
        from dataclasses import replace

        weighting = replace(sequence.weighting, b=b)
        white = self._white_level(sequence, 0.0)
        scale = self.scanner.white_level * self.gain / white
        clean = acq.sampled(
            image_signal(self.phantom, self.scanner.field_t, weighting, self.maps), self.where
        ) * np.float32(scale)
        noise = scale * self._white_level(sequence, b) / sequence.snr
        rng = rng_for(self.seed, f"noise {self.session} {name}")
        return acq.magnitude(clean, sequence.geometry, noise=noise, field=self.field, rng=rng)

    def _white_level(self, sequence: Sequence, b: float) -> float:
        from dataclasses import replace

        from simulation.contrast import PARAMETERS, signal

        t = PARAMETERS[self.scanner.field_t]["white"]
        return float(signal(replace(sequence.weighting, b=b), t.t1, t.t2, t.density, t.adc))

    def _stored(self, image: Field) -> np.ndarray:
        top = 4095 if self.scanner.vendor != "ge" else 32767
        return np.clip(np.rint(image / (self.scanner.slope or 1.0)), 0, top).astype(np.uint16)


def adc_map(b0: Field, b1000: Field) -> np.ndarray:
    """ADC in 1e-6 mm2/s from the two stacks, 0 where the b = 0 image holds noise only."""
    valid = b0 > 0.12 * np.percentile(b0, 98)
    ratio = np.log(np.maximum(b0, 1.0) / np.maximum(b1000, 1.0)) / DWI_B * 1e6
    return np.where(valid, np.clip(np.rint(ratio), 0, 4095), 0).astype(np.uint16)
