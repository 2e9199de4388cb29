"""What each vendor's scanner is told to do and what it writes about it: vendor and 2-D or 3-D in, Protocol out. Pure.

The figures and header elements are in simulation.vendor_tables.
"""

from __future__ import annotations

from dataclasses import replace

from simulation.protocols import SEQUENCES, Private, Protocol, Sequence
from simulation.vendor_tables import ADC, AFTER_GD, EVERY_SERIES, PULSE_NAME, ROWS, SCANNERS, STACKS, Row, Times
from triage.errors import Misconfigured
from triage.model import SequenceKind


def protocol(vendor: str, dimensions: str) -> Protocol:
    """The protocol of a vendor.

    Args:
        vendor: a key of SCANNERS.
        dimensions: "2d" or "3d", of FLAIR and T1; T2 and diffusion stay 2-D, as in practice.

    Raises:
        Misconfigured: the vendor or the dimensions are not known.
    """
    if vendor not in SCANNERS:
        raise Misconfigured(f"vendor must be one of {', '.join(SCANNERS)}, got {vendor!r}")
    if dimensions not in ("2d", "3d"):
        raise Misconfigured(f"protocol must be 2d or 3d, got {dimensions!r}")
    rows = ROWS[vendor]
    flair = _sequence(vendor, SequenceKind.FLAIR, rows[f"flair {dimensions}"])
    t1 = _sequence(vendor, SequenceKind.T1, rows[f"t1 {dimensions}"])
    t2 = _sequence(vendor, SequenceKind.T2, rows["t2"])
    dwi = _sequence(vendor, SequenceKind.DWI, rows["dwi"])
    adc = replace(dwi, kind=SequenceKind.ADC, seconds=0, header={**dwi.header, **ADC[vendor]})
    planned = {one.kind.value: one for one in (flair, t1, t2, dwi, adc, _after_contrast(vendor, t1))}
    return Protocol(SCANNERS[vendor], {name: planned[name] for name in SEQUENCES})


def _sequence(vendor: str, kind: SequenceKind, row: Row) -> Sequence:
    header: dict[str, object] = {
        "SeriesDescription": row.description,
        "ProtocolName": row.description,
        "ScanningSequence": row.scanning,
        "SequenceVariant": row.variant,
        "ScanOptions": row.options,
        **EVERY_SERIES[vendor],
        **_timing(row.times),
        **row.also,
    }
    private = () if row.private is None else (_pulse_name(vendor, row.private),)
    return Sequence(kind, STACKS[vendor][row.stack], row.weighting, row.snr, row.seconds, header, private)


def _timing(times: Times) -> dict[str, object]:
    out: dict[str, object] = {
        "RepetitionTime": times.tr,
        "EchoTime": times.te,
        "FlipAngle": times.flip,
        "EchoTrainLength": times.train,
    }
    if times.ti is not None:
        out["InversionTime"] = times.ti
    return out


def _pulse_name(vendor: str, name: str) -> Private:
    group, creator, element = PULSE_NAME[vendor]
    return Private(group, creator, element, "LO", name)


def _after_contrast(vendor: str, t1: Sequence) -> Sequence:
    """The T1 after contrast. GE keeps one protocol name for the whole study."""
    description = f"{t1.header['SeriesDescription']}{AFTER_GD[vendor]}"
    header = {
        **t1.header,
        "SeriesDescription": description,
        "ContrastBolusAgent": "Gadobutrol",
        "ContrastBolusRoute": "IV",
        "ContrastBolusVolume": "7.5",
    }
    if vendor != "ge":
        header["ProtocolName"] = description
    return replace(t1, kind=SequenceKind.T1_GD, weighting=replace(t1.weighting, gadolinium=True), header=header)


__all__ = ["SCANNERS", "protocol"]
