"""One series header in, the first rule that recognises it out; every rule names its reason with the figures it read.

ORDER matters: what an image was computed to be (maps, projections; ``computed.py``) comes before how it was acquired,
and the physics comes before the words.

Timing limits follow the published rule set of dicom-sequence-classifier, widened where vendors' 3-D protocols need it;
the reason stands beside each limit in ``facts.py``. The published limits are:

- FLAIR: TI > 1550 ms and TR > 3500 ms; T2: TE > 60 ms and TR > 2000 ms
- 3-D T1: gradient echo, TE < 10 ms and TR < 25 ms, or TI 600-950 ms
"""

# ruff: noqa: PLR0911 - a rule is a list of tests, each returning at once

from __future__ import annotations

import re

from triage.model import Identification, SequenceKind, SeriesHeader
from triage.sequences import vendors, words
from triage.sequences.computed import (
    calibration,
    fat_or_opposed_phase,
    localizer,
    may_be_a_map,
    not_an_image,
    parametric_map,
    phase_image,
    projection_or_subtraction,
)
from triage.sequences.facts import (
    DIFFUSION_MIN_B,
    DIFFUSION_TE_MS,
    FLAIR_MIN_TI_MS,
    FLAIR_MIN_TR_MS,
    LONG_TE_MS,
    PD_MIN_TR_MS,
    STIR_MAX_TI_MS,
    T1_MAX_TE_MS,
    T1_SE_MAX_TR_MS,
    T2_MIN_TR_MS,
    T2_STAR_MIN_TE_MS,
    flair_contradiction,
    has_flair_timing,
    image_type,
    is_double_inversion,
    is_echo_planar,
    is_gradient_echo,
    is_inversion_recovery,
    timing,
    type_tokens,
)
from triage.sequences.rule import Rule, known
from triage.sequences.stated import acquisition_contrast

# A FLAIR known by its words alone: shorter TRs are those of T2
FLAIR_2D_WITHOUT_TI_MS, FLAIR_3D_WITHOUT_TI_MS = 6000.0, 4500.0
# T2 by timing alone: from these TRs on (2-D, 3-D) FLAIR is as likely; 3-D T2 has 2000-3200
MAY_BE_FLAIR_MS = (8000.0, 4500.0)
# reasons that the image is asked for (fluid.py)
T2_OR_FLAIR = "the header leaves FLAIR open"
T2_BY_TIMING = "no name says T2"
TOF_TR_MS = (15.0, 60.0)
SHORTEST_TE_MS = 0.5  # T1 volumes have 1.2-5; UTE, PETRA and ZTE 0.01-0.2
SHORTEST_SPIN_ECHO_MS, UNSTATED_T1_MAX_TE_MS = 1.0, 15.0  # T2* has 15-30, where the sequence is not stated
# Spoiled T1 volumes of so short a TR have flip angles of 5-25 degrees; CISS, FIESTA and bFFE 40-70
BALANCED_TR_MS, BALANCED_FLIP_DEG = 15.0, 35.0
LONGEST_T2_TE_MS = 600.0  # 3-D T2 has up to 565; myelography and cholangiography 700-1000


def diffusion(h: SeriesHeader) -> Identification | None:
    """Diffusion-weighted images: by b-value, sequence name, ImageType, stated contrast, then by the description."""
    tokens = type_tokens(h)
    highest = max(h.b_values, default=None)
    if highest is not None and highest >= DIFFUSION_MIN_B:
        listed = f"b-values {', '.join(f'{b:g}' for b in h.b_values)} s/mm2"
        if may_be_a_map(h):
            return known(SequenceKind.DWI, 0.6, f"{listed}, derived: a trace image or a map of them, its values decide")
        return known(SequenceKind.DWI, 0.95, listed)
    named = vendors.B_VALUE.search(vendors.sequence_name(h))
    if named and float(named[1]) >= DIFFUSION_MIN_B:
        return known(SequenceKind.DWI, 0.9, f"sequence name {h.sequence_name}: b {named[1]} s/mm2")
    traces = bool(tokens & vendors.DIFFUSION_TRACES)
    without = highest is not None or (named is not None and not traces)
    if (
        tokens & vendors.DIFFUSION_WEIGHTED
        and not without
        and (is_echo_planar(h) or "TRACEW" in tokens or h.acquisition_contrast == "DIFFUSION")
    ):
        return known(SequenceKind.DWI, 0.85, f"ImageType {image_type(h)}: diffusion weighted")
    stated = (
        h.acquisition_contrast.upper() == "DIFFUSION" or vendors.DIFFUSION.search(vendors.sequence_name(h)) is not None
    )
    # Philips calls its diffusion ScanningSequence SE: without a b-value only the word tells it from T2
    worded = words.says(words.DIFFUSION, h) and not (
        is_gradient_echo(h) or is_inversion_recovery(h) or vendors.SPIN_ECHO.search(vendors.all_names(h))
    )
    if without:
        if not (stated or worded or is_echo_planar(h)):
            return None  # some scanners write b = 0 into every series
        return known(
            SequenceKind.UNKNOWN, 0.7, "diffusion with b = 0 only: the reference image, not diffusion weighted"
        )
    if "DERIVED" in tokens and not traces and (stated or worded):
        return known(
            SequenceKind.UNKNOWN, 0.6, "derived, without a b-value: a map or a trace image, the header does not tell"
        )
    if stated:
        return known(SequenceKind.DWI, 0.8, "the acquisition is diffusion weighted; its b-value is not stated")
    if worded and DIFFUSION_TE_MS[0] <= (h.echo_time_ms or 0.0) <= DIFFUSION_TE_MS[1]:
        return known(
            SequenceKind.DWI, 0.7, f"{timing(h)}: spin echo, and the description says diffusion; no b-value stated"
        )
    return None


def angiography(h: SeriesHeader) -> Identification | None:
    """Time of flight and phase contrast: by the header's flags, the sequence name, then by the description."""
    for fact in ("time_of_flight", "phase_contrast"):
        if h.vendor.get(fact) == "YES":
            return known(SequenceKind.ANGIOGRAPHY, 0.9, f"{fact.replace('_', ' ')} acquisition")
    if h.vendor.get("angio_flag") == "Y" and words.says(words.ANGIOGRAPHY, h):
        return known(SequenceKind.ANGIOGRAPHY, 0.95, "AngioFlag Y, and the description says angiography")
    if vendors.ANGIOGRAPHY.search(vendors.all_names(h)):
        return known(
            SequenceKind.ANGIOGRAPHY, 0.9, f"sequence name {h.sequence_name or vendors.ge_name(h)}: angiography"
        )
    marks = {"MTC": "MTC" in h.sequence_variant, "flow compensation": "FC" in h.scan_options}
    if any(marks.values()) and _may_be_time_of_flight(h):
        said = " and ".join(name for name, there in marks.items() if there)
        return known(SequenceKind.ANGIOGRAPHY, 0.7, f"{timing(h)}: gradient echo with {said}, time of flight")
    gradient = is_gradient_echo(h) or not h.scanning_sequence
    if gradient and words.says(words.ANGIOGRAPHY, h) and (h.repetition_time_ms or 0.0) < 60.0:
        return known(
            SequenceKind.ANGIOGRAPHY, 0.85, "short-TR gradient echo, and the description says angiography", timing(h)
        )
    return None


def _may_be_time_of_flight(h: SeriesHeader) -> bool:
    """Gradient echo without a preparation, its TR between those of T1 volumes and of T1 slices."""
    tr, te = h.repetition_time_ms, h.echo_time_ms
    in_range = tr is not None and te is not None and TOF_TR_MS[0] <= tr <= TOF_TR_MS[1] and te < T2_STAR_MIN_TE_MS
    return in_range and is_gradient_echo(h) and not (is_inversion_recovery(h) or _prepared(h))


def susceptibility(h: SeriesHeader) -> Identification | None:
    """SWI: by ImageType or sequence name, else a long-TE gradient echo whose description says so."""
    tokens = type_tokens(h)
    if "SWI" in tokens or vendors.SUSCEPTIBILITY.search(vendors.all_names(h)):
        return known(
            SequenceKind.SWI,
            0.95,
            f"susceptibility weighted ({h.sequence_name or vendors.ge_name(h) or 'ImageType SWI'})",
        )
    if (
        words.says(words.SWI, h)
        and (is_gradient_echo(h) or not h.scanning_sequence)
        and (h.echo_time_ms or 20.0) >= 10.0
    ):
        return known(
            SequenceKind.SWI, 0.85, "long-TE gradient echo, and the description says susceptibility", timing(h)
        )
    return None


def echo_planar_series(h: SeriesHeader) -> Identification | None:
    """Perfusion, BOLD and other echo planar images: never T2, whatever the timing."""
    if words.says(words.PERFUSION, h) and not _is_structural(h):
        return known(SequenceKind.PERFUSION, 0.85, "the description says perfusion", timing(h))
    if not is_echo_planar(h):
        return None
    if words.says(words.BOLD, h):
        return known(SequenceKind.UNKNOWN, 0.8, "gradient-echo echo planar time series (BOLD): not measured")
    if "GR" in h.scanning_sequence and words.contrast_agent(h):
        return known(SequenceKind.PERFUSION, 0.75, "gradient-echo echo planar with a contrast agent", timing(h))
    return known(SequenceKind.UNKNOWN, 0.6, "echo planar without diffusion weighting: not measured", timing(h))


def _is_structural(h: SeriesHeader) -> bool:
    """Timing that no perfusion has: FLAIR, spin echo T1, prepared T1."""
    if is_echo_planar(h):
        return False
    te, tr = h.echo_time_ms, h.repetition_time_ms
    if te is None or tr is None:
        return False
    prepared = is_gradient_echo(h) and is_inversion_recovery(h) and te < T2_STAR_MIN_TE_MS
    spin_echo_t1 = "SE" in h.scanning_sequence and te < T1_MAX_TE_MS and tr < T1_SE_MAX_TR_MS
    return prepared or spin_echo_t1 or has_flair_timing(h)


def ge_named_sequence(h: SeriesHeader) -> Identification | None:
    """GE's private pulse sequence name (0019,109C); CUBE FLAIR often has no TI in the header."""
    name = vendors.ge_name(h)
    # "30 dir" of diffusion is no double inversion: the words are asked only of what is no diffusion
    if name and is_double_inversion(h) and diffusion(h) is None and not is_echo_planar(h):
        return known(
            SequenceKind.UNKNOWN, 0.8, f"GE pulse sequence {name.split()[0]}: double inversion recovery, not measured"
        )
    if "t2flair" in name.replace("-", "").replace(" ", ""):
        if flair_contradiction(h) is None:
            return known(SequenceKind.FLAIR, 0.95, f"GE pulse sequence {name.split()[0]}", timing(h))
        return None
    if vendors.GE_T1_FLAIR.search(name):
        return known(SequenceKind.T1, 0.85, f"GE pulse sequence {name.split()[0]}: T1-FLAIR", timing(h))
    if vendors.GE_T1.search(name):
        return known(SequenceKind.T1, 0.9, f"GE pulse sequence {name.split()[0]}", timing(h))
    if vendors.GE_T2.search(name) and not words.says(words.FLAIR, h):
        return known(SequenceKind.T2, 0.9, f"GE pulse sequence {name.split()[0]}", timing(h))
    return None


def inversion_recovery(h: SeriesHeader) -> Identification | None:
    """FLAIR, STIR, or T1 with an inversion pulse: by the inversion time, then by the echo time."""
    if not is_inversion_recovery(h):
        return None
    ti, te = h.inversion_time_ms, h.echo_time_ms
    if ti is not None and 20.0 < ti < STIR_MAX_TI_MS and not is_gradient_echo(h):
        return known(
            SequenceKind.UNKNOWN, 0.8, f"{timing(h)}: short inversion time, fat suppressed (STIR), not measured"
        )
    if te is not None and te < T1_MAX_TE_MS:
        return _short_echo_inversion(h)
    contradiction = flair_contradiction(h)
    if contradiction is not None:
        return known(SequenceKind.UNKNOWN, 0.5, f"{timing(h)}: inversion recovery, but not FLAIR: {contradiction}")
    return _long_echo_inversion(h)


def _short_echo_inversion(h: SeriesHeader) -> Identification | None:
    ti = h.inversion_time_ms
    if is_double_inversion(h):
        return known(SequenceKind.UNKNOWN, 0.6, f"{timing(h)}: double inversion recovery, not measured")
    if ti is None or ti < FLAIR_MIN_TI_MS:
        name = (
            "magnetisation-prepared gradient echo, T1 weighted"
            if is_gradient_echo(h)
            else "inversion recovery with a short echo, T1 weighted"
        )
        return known(SequenceKind.T1, 0.9, f"{timing(h)}: {name}")
    if re.search(r"\buni\b", words.described(h)) or "UNI" in type_tokens(h):
        return known(SequenceKind.T1, 0.7, f"{timing(h)}: MP2RAGE uniform image, T1 weighted")
    return known(SequenceKind.UNKNOWN, 0.5, f"{timing(h)}: late inversion with a short echo, neither T1 nor FLAIR")


def _long_echo_inversion(h: SeriesHeader) -> Identification | None:
    ti, tr = h.inversion_time_ms, h.repetition_time_ms
    worded = words.says(words.FLAIR, h) and not words.says(words.T1_FLAIR, h)
    if ti is not None and ti >= FLAIR_MIN_TI_MS and tr is not None:
        return known(SequenceKind.FLAIR, 0.95, f"{timing(h)}: fluid-attenuated inversion recovery")
    if ti is not None and ti >= FLAIR_MIN_TI_MS:
        return known(SequenceKind.FLAIR, 0.8, f"{timing(h)}: fluid-attenuated inversion recovery, TR not stated")
    if ti is not None and ti > 0.0:  # the doubtful zone 1300-1500 ms: very low field
        if worded:
            return known(
                SequenceKind.FLAIR,
                0.6,
                f"{timing(h)}: inversion time in the doubtful zone",
                "the description says FLAIR",
            )
        return known(
            SequenceKind.UNKNOWN,
            0.4,
            f"{timing(h)}: inversion time in the doubtful zone and no word for FLAIR",
            T2_OR_FLAIR,
        )
    if words.says(words.STIR, h):
        return known(
            SequenceKind.UNKNOWN, 0.6, "inversion recovery, and the description says STIR: not measured", timing(h)
        )
    if tr is not None or worded:
        confidence = 0.85 if worded else 0.7
        return known(SequenceKind.FLAIR, confidence, f"{timing(h)}: long-TR, long-TE inversion recovery; TI not stated")
    return None


def gradient_echo(h: SeriesHeader) -> Identification | None:
    """T1 by a short echo time, T2* by a long one. Balanced steady state is neither."""
    if not is_gradient_echo(h):
        return None
    te, tr = h.echo_time_ms, h.repetition_time_ms
    if words.says(words.BALANCED, h) or vendors.BALANCED.search(vendors.all_names(h)):
        return known(SequenceKind.UNKNOWN, 0.7, "balanced steady state: neither T1 nor T2, not measured", timing(h))
    if te is None:
        return None
    if te >= T2_STAR_MIN_TE_MS:
        return known(SequenceKind.T2_STAR, 0.85, f"{timing(h)}: long-TE gradient echo")
    if 0.0 < te < SHORTEST_TE_MS:
        return known(SequenceKind.UNKNOWN, 0.7, f"{timing(h)}: ultrashort echo, proton-density weighted, not measured")
    if tr is not None and tr < BALANCED_TR_MS and (h.flip_angle_deg or 0.0) >= BALANCED_FLIP_DEG:
        why = f"{timing(h)}, flip angle {h.flip_angle_deg:g} degrees: balanced steady state, not measured"
        return known(SequenceKind.UNKNOWN, 0.6, why)
    if _may_be_time_of_flight(h) and h.mr_acquisition_type == "3D" and not words.says(words.T1, h):
        return known(SequenceKind.UNKNOWN, 0.5, f"{timing(h)}: T1 or time of flight, the header does not tell")
    if tr is None and not (_prepared(h) or is_inversion_recovery(h) or words.says(words.T1, h)):
        return known(SequenceKind.UNKNOWN, 0.5, f"{timing(h)}: T1 or time of flight, the repetition time is not stated")
    if te < 10.0 and (tr is None or tr < 30.0 or _prepared(h)):
        return known(SequenceKind.T1, 0.85, f"{timing(h)}: short-TE spoiled gradient echo, T1 weighted")
    if te < 10.0 and tr is not None and tr < 600.0 and (h.flip_angle_deg or 70.0) >= 40.0:
        return known(SequenceKind.T1, 0.8, f"{timing(h)}: short-TE gradient echo with a large flip angle, T1 weighted")
    return None


def _prepared(h: SeriesHeader) -> bool:
    return "MP" in h.sequence_variant or vendors.PREPARED_T1.search(vendors.sequence_name(h)) is not None


def spin_echo(h: SeriesHeader) -> Identification | None:
    """T1, T2 or proton density by TR and TE. Without a stated TI, only the word can tell FLAIR from T2."""
    te, tr = h.echo_time_ms, h.repetition_time_ms
    if te is None or tr is None or is_gradient_echo(h) or words.says(words.STIR, h):
        return None
    if 0.0 < te < SHORTEST_SPIN_ECHO_MS:
        return known(SequenceKind.UNKNOWN, 0.5, f"{timing(h)}: no spin echo is so short")
    if te > LONGEST_T2_TE_MS:
        return known(
            SequenceKind.UNKNOWN, 0.7, f"{timing(h)}: only fluid is left after such an echo time, not measured"
        )
    if te >= LONG_TE_MS and tr >= T2_MIN_TR_MS:
        worded = words.says(words.FLAIR, h) and not words.says(words.T1_FLAIR, h)
        shortest = FLAIR_3D_WITHOUT_TI_MS if h.mr_acquisition_type == "3D" else FLAIR_2D_WITHOUT_TI_MS
        if is_double_inversion(h):
            return known(SequenceKind.UNKNOWN, 0.6, f"{timing(h)}: double inversion recovery, not measured")
        if worded and tr < shortest:
            open_too = (T2_OR_FLAIR,) if flair_contradiction(h) is None else ()
            why = f"{timing(h)}: called FLAIR, without a stated TI and with the TR of T2"
            return known(SequenceKind.UNKNOWN, 0.5, why, *open_too)
        if worded and flair_contradiction(h) is None:
            return known(
                SequenceKind.FLAIR,
                0.6,
                f"{timing(h)}: long TR and TE fit FLAIR; TI not stated",
                "the description says FLAIR",
            )
        if tr >= MAY_BE_FLAIR_MS[h.mr_acquisition_type == "3D"] and not words.says(words.T2, h) and not _is_plain(h):
            why = f"{timing(h)}: T2 or FLAIR, the inversion time is not stated"
            return known(SequenceKind.UNKNOWN, 0.5, why, T2_OR_FLAIR)
        named = () if _is_plain(h) or words.says(words.T2, h) else (T2_BY_TIMING,)
        return known(SequenceKind.T2, 0.85, f"{timing(h)}: long TR and long TE, T2 weighted", *named)
    if te < (T1_MAX_TE_MS if h.scanning_sequence else UNSTATED_T1_MAX_TE_MS) and tr < T1_SE_MAX_TR_MS:
        return known(SequenceKind.T1, 0.85, f"{timing(h)}: short TR and short TE, T1 weighted")
    if te < LONG_TE_MS and tr >= PD_MIN_TR_MS:
        if words.says(words.T1_FLAIR, h) and tr < FLAIR_MIN_TR_MS:
            return known(
                SequenceKind.T1, 0.6, f"{timing(h)}: T1-FLAIR without a stated TI", "the description says T1 FLAIR"
            )
        return known(SequenceKind.PD, 0.75, f"{timing(h)}: long TR and short TE, proton-density weighted")
    return None


def _is_plain(h: SeriesHeader) -> bool:
    """Whether the vendor's name of the pulse sequence says that nothing is inverted."""
    return vendors.PLAIN_T2.search(vendors.all_names(h)) is not None


_WORDS_ALONE = (
    (words.SWI, SequenceKind.SWI),
    (words.T2_STAR, SequenceKind.T2_STAR),
    (words.FLAIR, SequenceKind.FLAIR),
    (words.T1, SequenceKind.T1),
    (words.T2, SequenceKind.T2),
    (words.PD, SequenceKind.PD),
)


def description_without_timing(h: SeriesHeader) -> Identification | None:
    """The words alone, and only where the header has no timing at all (anonymised or converted objects).

    No physics can contradict the words there.
    """
    if any(value is not None for value in (h.repetition_time_ms, h.echo_time_ms, h.inversion_time_ms)):
        return None
    for pattern in (words.T1_FLAIR, words.STIR, words.DOUBLE_INVERSION, words.BALANCED):
        if words.says(pattern, h):
            return None
    for pattern, kind in _WORDS_ALONE:
        if words.says(pattern, h):
            return known(kind, 0.35, "the header has no timing; the description alone says so")
    return None


ORDER: tuple[Rule, ...] = (
    not_an_image,
    localizer,
    projection_or_subtraction,
    parametric_map,
    susceptibility,
    calibration,
    phase_image,
    fat_or_opposed_phase,
    acquisition_contrast,
    ge_named_sequence,
    diffusion,
    angiography,
    echo_planar_series,
    inversion_recovery,
    gradient_echo,
    spin_echo,
    description_without_timing,
)
