"""One series header in; the contrast that it states for itself out, or None where its timing says otherwise."""

from __future__ import annotations

from triage.model import Identification, SequenceKind, SeriesHeader
from triage.sequences.facts import (
    LONG_TE_MS,
    T1_MAX_TE_MS,
    T1_SE_MAX_TR_MS,
    T2_MIN_TR_MS,
    flair_contradiction,
    has_flair_timing,
    is_echo_planar,
    is_inversion_recovery,
    timing,
)
from triage.sequences.rule import known

_CONTRASTS = {  # PS3.3 C.8.13.3.1.2
    "T1": SequenceKind.T1,
    "T2": SequenceKind.T2,
    "T2_STAR": SequenceKind.T2_STAR,
    "PROTON_DENSITY": SequenceKind.PD,
    "PERFUSION": SequenceKind.PERFUSION,
    "TOF": SequenceKind.ANGIOGRAPHY,
    "PHASE_CONTRAST": SequenceKind.ANGIOGRAPHY,
    "FLOW_ENCODED": SequenceKind.ANGIOGRAPHY,
    "SUSCEPTIBILITY": SequenceKind.SWI,  # not a standard term; written by some converters
}
_NOT_MEASURED = {"STIR": "STIR: fat suppressed, not measured", "TAGGING": "TAGGING: not measured"}
# What a spin echo of long TR and long TE is not
_NEVER_LONG = frozenset(_CONTRASTS) - {"T2"}


def acquisition_contrast(h: SeriesHeader) -> Identification | None:
    """AcquisitionContrast (0008,9209) of enhanced objects. Each value yields to a timing that says otherwise."""
    stated = h.acquisition_contrast.upper()
    if stated == "FLUID_ATTENUATED":
        if flair_contradiction(h) is None:
            return known(SequenceKind.FLAIR, 0.97, "AcquisitionContrast FLUID_ATTENUATED", timing(h))
        return None
    if _contradicted(stated, h):
        return None
    if stated in _NOT_MEASURED:
        return known(SequenceKind.UNKNOWN, 0.8, f"AcquisitionContrast {_NOT_MEASURED[stated]}", timing(h))
    if stated in _CONTRASTS:
        return known(_CONTRASTS[stated], 0.9, f"AcquisitionContrast {stated}", timing(h))
    return None


def _contradicted(stated: str, h: SeriesHeader) -> bool:
    """Whether the timing rules out what is stated. Absent figures rule out nothing."""
    if (h.inversion_time_ms or 0.0) > 0.0 and has_flair_timing(h):
        return True
    if stated in ("T1", "T2") and is_echo_planar(h):
        return True
    if stated == "T2" and is_inversion_recovery(h):
        return True  # some scanners state T2 for FLAIR: the timing rule decides
    te, tr = h.echo_time_ms, h.repetition_time_ms
    if te is None or tr is None:
        return False
    spin_echo = "SE" in h.scanning_sequence and "GR" not in h.scanning_sequence and not is_echo_planar(h)
    long = te >= LONG_TE_MS and (stated in ("T1", "PROTON_DENSITY") or (spin_echo and tr >= T2_MIN_TR_MS))
    short = te < T1_MAX_TE_MS and tr < T1_SE_MAX_TR_MS and spin_echo
    return (long and stated in _NEVER_LONG) or (short and stated in ("T2", "PROTON_DENSITY"))
