"""One session of one synthetic patient: phantom state, protocol and pose in, DICOM series folders out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simulation import acquisition as acq
from simulation.contrast import PARAMETERS, ParameterMaps, Weighting, image_signal, parameter_maps, signal
from simulation.deformation import Field, rng_for
from simulation.dicom import PatientIdentity, SeriesPlan, Stack, Stored, StudyIdentity, uid, write_series
from simulation.patterns import Change
from simulation.phantom import Phantom
from simulation.protocols import DWI_B, SEQUENCES, Protocol, Sequence
from triage.model import Affine, SequenceKind

Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Session:
    """One visit. bias: receive-field coefficients (10,); gain: overall intensity scale of the day."""

    name: str
    seed: int
    protocol: Protocol
    pose: acq.Pose
    bias: npt.NDArray[np.float64]
    gain: float
    study: StudyIdentity
    patient: PatientIdentity


def scan(session: Session, state: Change, out: Path, *, sequences: tuple[str, ...], tell: Progress) -> None:
    """Acquire and write every wanted series."""
    starts = _start_times(session)
    for taken in photographed(session, state, sequences, tell):
        plan = _series_plan(session, taken.sequence, starts[taken.sequence.kind.value])
        write_series(
            out / f"{plan.number:03d}_{taken.sequence.kind.value}",
            taken.stacks,
            taken.affine,
            patient=session.patient,
            study=session.study,
            plan=plan,
            scanner=session.protocol.scanner,
        )


@dataclass(frozen=True, eq=False)
class Taken:
    """One series before its files are written. affine: (4, 4), voxel index (i, j, k, 1) -> scanner LPS mm."""

    sequence: Sequence
    stacks: list[Stack]
    affine: Affine


def photographed(
    session: Session, state: Change, sequences: tuple[str, ...], tell: Progress = lambda _share, _what: None
) -> Iterator[Taken]:
    """Every wanted series of the visit, without files; series of one geometry share the tracing of their voxels."""
    phantom = state.phantom
    flair = session.protocol.sequences["flair"].weighting
    maps = parameter_maps(phantom, session.protocol.scanner.field_t, flair, state.alteration)
    occupied = (phantom.parenchyma + phantom.csf + phantom.fat + phantom.muscle + phantom.vessel) > 0.02
    wanted = [name for name in SEQUENCES if name in sequences]
    planned = session.protocol.sequences
    done = 0
    for geometry in dict.fromkeys(planned[name].geometry for name in wanted):
        affine = acq.plan(geometry, session.pose, session.seed, session.name)
        where = acq.sampling(geometry, affine, session.pose, occupied=occupied, grid=phantom.grid, moved=state.swelling)
        camera = _Camera(session, phantom, maps, where, acq.bias_field(session.bias, affine, where.shape))
        diffusion: dict[float, Field] = {}
        for name in (n for n in wanted if planned[n].geometry == geometry):
            tell(done / len(wanted), f"{session.name} {name}")
            stacks = (
                camera.diffusion(planned[name], diffusion)
                if planned[name].weighting.b
                else camera.picture(planned[name])
            )
            yield Taken(planned[name], stacks, affine)
            done += 1


def _start_times(session: Session) -> Mapping[str, datetime]:
    """Series start one after another, a minute of planning in between; the computed map belongs to its source."""
    at, out = session.study.started + timedelta(minutes=2), {}
    for name in SEQUENCES:
        out[name] = at
        at += timedelta(seconds=session.protocol.sequences[name].seconds + (60 if name != "adc" else 0))
    return out


def _series_plan(session: Session, sequence: Sequence, started: datetime) -> SeriesPlan:
    return SeriesPlan(
        series_instance_uid=uid(session.study.study_instance_uid, sequence.kind.value),
        number=SEQUENCES.index(sequence.kind.value) + 2,  # 1 would be the localizer
        started=started,
        header={**sequence.header, "MRAcquisitionType": sequence.geometry.acquisition},
        seconds=max(sequence.seconds, 1),
        private=sequence.private,
        slope=None if sequence.kind is SequenceKind.ADC else session.protocol.scanner.slope,
        thickness_mm=sequence.geometry.thickness_mm,
    )


@dataclass(frozen=True, eq=False)
class _Camera:
    """Takes the pictures of one geometry in one session. field: receive field on the stack, (k, j, i)."""

    session: Session
    phantom: Phantom
    maps: ParameterMaps
    where: acq.Sampling
    field: Field

    def picture(self, sequence: Sequence) -> list[Stack]:
        return [Stack(self._stored(self._magnitude(sequence, sequence.kind.value, b=0.0)))]

    def diffusion(self, sequence: Sequence, taken: dict[float, Field]) -> list[Stack]:
        """DWI: the b = 0 and the trace stack; ADC: the map fitted to both. ``taken`` keeps the stacks for the map."""
        for b in (0.0, DWI_B):
            if b not in taken:
                taken[b] = self._magnitude(sequence, f"dwi b{b:.0f}", b=b)
        if sequence.kind is SequenceKind.ADC:
            return [Stack(adc_map(taken[0.0], taken[DWI_B]))]
        named = (
            {0.0: "*ep_b0", DWI_B: f"*ep_b{DWI_B:.0f}t"} if self.session.protocol.scanner.vendor == "siemens" else {}
        )
        return [Stack(self._stored(taken[b]), b=b, sequence_name=named.get(b)) for b in taken]

    def _magnitude(self, sequence: Sequence, name: str, *, b: float) -> Field:
        """Float image in which white matter lies at the scanner's usual level (both b-values share one scale)."""
        session, field_t = self.session, self.session.protocol.scanner.field_t
        weighting = replace(sequence.weighting, b=b)
        scale = session.protocol.scanner.white_level * session.gain / self._white(replace(weighting, b=0.0))
        clean = acq.sampled(image_signal(self.phantom, field_t, weighting, self.maps), self.where) * np.float32(scale)
        noise = scale * self._white(weighting) / sequence.snr
        rng = rng_for(session.seed, f"noise {session.name} {name}")
        return acq.magnitude(clean, sequence.geometry, noise=noise, field=self.field, rng=rng)

    def _white(self, weighting: Weighting) -> float:
        t = PARAMETERS[self.session.protocol.scanner.field_t]["white"]
        return float(signal(weighting, t.t1, t.t2, t.density, t.adc))

    def _stored(self, image: Field) -> Stored:
        scanner = self.session.protocol.scanner
        top = 32767 if scanner.vendor == "ge" else 4095  # GE stores 16-bit signed, the others 12-bit values
        return np.asarray(np.clip(np.rint(image / (scanner.slope or 1.0)), 0, top), dtype=np.uint16)


def adc_map(b0: Field, b1000: Field) -> Stored:
    """ADC in 1e-6 mm2/s from the two stacks, 0 where the b = 0 image holds noise only."""
    valid = b0 > 0.2 * np.percentile(b0, 98)
    ratio = np.log(np.maximum(b0, 1.0) / np.maximum(b1000, 1.0)) / DWI_B * 1e6
    return np.asarray(np.where(valid, np.clip(np.rint(ratio), 0, 4095), 0), dtype=np.uint16)
