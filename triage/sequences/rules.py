"""One series header in, the first rule that recognises it out. Rules run in order; each names its reason with the
figures it read.

Order matters: what an image was computed to be (maps, projections) comes before how it was acquired, and the physics
before the words. Timing limits follow the published rule set of dicom-sequence-classifier (FLAIR: TI > 1550 ms and TR
> 3500 ms; T2: TE > 60 ms and TR > 2000 ms; 3-D T1: gradient echo, TE < 10 ms and TR < 25 ms, or TI 600-950 ms),
widened where vendors' 3-D protocols need it; the reason stands beside each.
"""

# ruff: noqa: PLR0911 - a rule is a list of tests, each returning at once

from __future__ import annotations

import re
from collections.abc import Callable

from triage.model import Identification, SequenceKind, SeriesHeader
from triage.sequences import words
from triage.sequences.facts import (
    DIFFUSION_MIN_B,
    DIFFUSION_MIN_TE_MS,
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
    ge_name,
    image_type,
    is_echo_planar,
    is_gradient_echo,
    is_inversion_recovery,
    sequence_name,
    timing,
    type_tokens,
)

Rule = Callable[[SeriesHeader], Identification | None]

MR_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4",  # MR Image
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image
    }
)
ENHANCED_MR_COLOR = "1.2.840.10008.5.1.4.1.1.4.3"
NON_IMAGE_NAMES = {
    "1.2.840.10008.5.1.4.1.1.4.2": "MR spectroscopy",
    "1.2.840.10008.5.1.4.1.1.7": "secondary capture",
    "1.2.840.10008.5.1.4.1.1.66": "raw data",
}


def known(kind: SequenceKind, confidence: float, *reasons: str) -> Identification:
    return Identification(kind, confidence, reasons)


# --- what it was computed to be ---


def not_an_image(h: SeriesHeader) -> Identification | None:
    if h.sop_class_uid in NON_IMAGE_NAMES:
        return known(SequenceKind.NOT_IMAGE, 1.0, f"{NON_IMAGE_NAMES[h.sop_class_uid]} object")
    if h.sop_class_uid == ENHANCED_MR_COLOR:
        return known(SequenceKind.DERIVED, 0.95, "colour image: a computed map")
    if h.modality and h.modality != "MR":
        return known(SequenceKind.NOT_IMAGE, 1.0, f"modality {h.modality}: not a magnetic resonance image")
    if h.sop_class_uid and h.sop_class_uid not in MR_CLASSES:
        return known(SequenceKind.NOT_IMAGE, 1.0, f"SOP class {h.sop_class_uid}: not a magnetic resonance image")
    return None


def localizer(h: SeriesHeader) -> Identification | None:
    if "LOCALIZER" in type_tokens(h):
        return known(SequenceKind.LOCALIZER, 0.95, "ImageType LOCALIZER")
    if words.says(words.LOCALIZER, h):
        return known(SequenceKind.LOCALIZER, 0.9, "the description says localizer")
    if h.orientation == "mixed" and 0 < h.frame_count <= 30 and not is_inversion_recovery(h):
        return known(SequenceKind.LOCALIZER, 0.7, f"{h.frame_count} slices in several orientations")
    return None


def projection_or_subtraction(h: SeriesHeader) -> Identification | None:
    tokens = type_tokens(h)
    if tokens & {"MNIP", "MIN_IP"} and (tokens & {"SWI"} or words.says(words.SWI, h)):
        return None  # the susceptibility rule names it
    for token in (
        "PROJECTION IMAGE",
        "MIP",
        "MAX_IP",
        "MIN_IP",
        "MNIP",
        "MINIP",
        "VOLUME_RENDER",
        "SURFACE_RENDER",
        "CPR",
        "CURVED",
    ):
        if token in tokens or h.vendor.get("volume_calculation") == token:
            return known(SequenceKind.DERIVED, 0.95, f"ImageType {token}: a projection")
    if tokens & {"SUBTRACTION", "SUB", "SUBTRACT"} or ("DERIVED" in tokens and words.says(words.SUBTRACTION, h)):
        return known(SequenceKind.DERIVED, 0.95, "a subtraction of two series")
    if "DERIVED" in tokens and words.says(words.PROJECTION, h) and not words.says(words.SWI, h):
        return known(SequenceKind.DERIVED, 0.85, "derived, and the description says projection")
    return None


def parametric_map(h: SeriesHeader) -> Identification | None:
    tokens = type_tokens(h)
    derived = "DERIVED" in tokens
    if tokens & {"EADC", "EXP_ADC", "EXPONENTIAL", "EXPADC"} or (derived and words.says(words.EXPONENTIAL_ADC, h)):
        return known(SequenceKind.DERIVED, 0.95, "exponential ADC map")
    if tokens & {"ADC", "ADC_UNSPECIFIED"} or any(
        t.startswith(("APPARENT DIFF", "ADC_MAP", "ADC MAP")) for t in tokens
    ):
        return known(SequenceKind.ADC, 0.95, f"ImageType {image_type(h)}: apparent diffusion coefficient")
    if tokens & {"FA", "COLFA", "COLOR FA", "TENSOR", "TENSOR_B0", "RA", "VR", "AD", "RD", "MD", "GFA"}:
        return known(SequenceKind.DERIVED, 0.95, f"ImageType {image_type(h)}: a diffusion tensor map")
    if tokens & {"RCBV", "RCBF", "CBV", "CBF", "MTT", "TTP", "TMAX", "PBP", "GBP", "RELCBF", "RELCBV", "RELMTT", "ASL"}:
        return known(SequenceKind.PERFUSION, 0.95, f"ImageType {image_type(h)}: perfusion")
    if tokens & {
        "T1 MAP",
        "T2 MAP",
        "T2_STAR MAP",
        "R2 MAP",
        "R2_STAR MAP",
        "T1_MAP",
        "T2_MAP",
        "B0",
        "B1",
        "FIELD_MAP",
        "FMRI",
        "BOLD",
    }:
        return known(SequenceKind.DERIVED, 0.9, f"ImageType {image_type(h)}: a computed map")
    if derived and words.says(words.ADC, h):
        return known(SequenceKind.ADC, 0.85, "derived, and the description says ADC")
    if derived and words.says(words.TENSOR_MAP, h) and (h.b_values or words.says(words.DIFFUSION, h)):
        return known(SequenceKind.DERIVED, 0.85, "derived, and the description names a tensor map")
    return None


# --- how it was acquired ---

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


def acquisition_contrast(h: SeriesHeader) -> Identification | None:
    """AcquisitionContrast (0008,9209) of enhanced objects. T1 and T2 yield to an inversion time that says otherwise."""
    stated = h.acquisition_contrast.upper()
    if stated == "FLUID_ATTENUATED":
        contradiction = flair_contradiction(h)
        if contradiction is None:
            return known(SequenceKind.FLAIR, 0.97, "AcquisitionContrast FLUID_ATTENUATED", timing(h))
        return None
    if stated == "STIR":
        return known(SequenceKind.UNKNOWN, 0.8, "AcquisitionContrast STIR: fat suppressed, not measured", timing(h))
    if stated == "TAGGING":
        return known(SequenceKind.UNKNOWN, 0.8, "AcquisitionContrast TAGGING: not measured")
    if stated == "T2" and is_inversion_recovery(h) and flair_contradiction(h) is None:
        return None  # some scanners state T2 for FLAIR: the timing rule decides
    if stated in ("T1", "T2") and is_echo_planar(h):
        return None
    if stated in _CONTRASTS:
        return known(_CONTRASTS[stated], 0.9, f"AcquisitionContrast {stated}", timing(h))
    return None


def diffusion(h: SeriesHeader) -> Identification | None:
    tokens = type_tokens(h)
    highest = max(h.b_values, default=None)
    if highest is not None and highest >= DIFFUSION_MIN_B:
        listed = ", ".join(f"{b:g}" for b in h.b_values)
        return known(SequenceKind.DWI, 0.95, f"b-values {listed} s/mm2")
    named = re.search(r"(?:ep|ez|re)_b(\d+)", sequence_name(h))
    if named and float(named[1]) >= DIFFUSION_MIN_B:
        return known(SequenceKind.DWI, 0.9, f"sequence name {h.sequence_name}: b {named[1]} s/mm2")
    if tokens & {"TRACEW", "TRACE", "DIFFUSION", "ISO"} and (
        is_echo_planar(h) or "TRACEW" in tokens or h.acquisition_contrast == "DIFFUSION"
    ):
        return known(SequenceKind.DWI, 0.85, f"ImageType {image_type(h)}: diffusion weighted")
    stated = h.acquisition_contrast.upper() == "DIFFUSION" or re.search(r"dwi|diff", sequence_name(h)) is not None
    # Philips calls its diffusion ScanningSequence SE: without a b-value only the word tells it from T2
    worded = words.says(words.DIFFUSION, h) and not is_gradient_echo(h) and not is_inversion_recovery(h)
    if highest is not None or named:
        if not (stated or worded or is_echo_planar(h)):
            return None  # some scanners write b = 0 into every series
        return known(
            SequenceKind.UNKNOWN, 0.7, "diffusion with b = 0 only: the reference image, not diffusion weighted"
        )
    if stated:
        return known(SequenceKind.DWI, 0.8, "the acquisition is diffusion weighted; its b-value is not stated")
    if worded and (h.echo_time_ms or 0.0) >= DIFFUSION_MIN_TE_MS:
        return known(
            SequenceKind.DWI, 0.7, f"{timing(h)}: spin echo, and the description says diffusion; no b-value stated"
        )
    return None


def angiography(h: SeriesHeader) -> Identification | None:
    for fact in ("time_of_flight", "phase_contrast"):
        if h.vendor.get(fact) == "YES":
            return known(SequenceKind.ANGIOGRAPHY, 0.9, f"{fact.replace('_', ' ')} acquisition")
    if h.vendor.get("angio_flag") == "Y" and words.says(words.ANGIOGRAPHY, h):
        return known(SequenceKind.ANGIOGRAPHY, 0.95, "AngioFlag Y, and the description says angiography")
    if re.search(r"\btof|tof-|\bfl3d1r_t|pcax|\bfi3d", f"{sequence_name(h)} {ge_name(h)}"):
        return known(SequenceKind.ANGIOGRAPHY, 0.9, f"sequence name {h.sequence_name or ge_name(h)}: angiography")
    gradient = is_gradient_echo(h) or not h.scanning_sequence
    if gradient and words.says(words.ANGIOGRAPHY, h) and (h.repetition_time_ms or 0.0) < 60.0:
        return known(
            SequenceKind.ANGIOGRAPHY, 0.85, "short-TR gradient echo, and the description says angiography", timing(h)
        )
    return None


def susceptibility(h: SeriesHeader) -> Identification | None:
    tokens = type_tokens(h)
    names = f"{sequence_name(h)} {ge_name(h)}"
    if "SWI" in tokens or re.search(r"swi|swan", names):
        return known(
            SequenceKind.SWI, 0.95, f"susceptibility weighted ({h.sequence_name or ge_name(h) or 'ImageType SWI'})"
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


def phase_image(h: SeriesHeader) -> Identification | None:
    component = h.vendor.get("complex_component", "")
    if component in ("PHASE", "REAL", "IMAGINARY") or type_tokens(h) & {"P", "PHASE", "PHASE MAP", "VELOCITY"}:
        return known(SequenceKind.DERIVED, 0.85, "phase, real or imaginary part: not a magnitude image")
    return None


def echo_planar_series(h: SeriesHeader) -> Identification | None:
    """Perfusion, BOLD and other echo planar images: never T2, whatever the timing."""
    if words.says(words.PERFUSION, h):
        return known(SequenceKind.PERFUSION, 0.85, "the description says perfusion", timing(h))
    if not is_echo_planar(h):
        return None
    if words.says(words.BOLD, h):
        return known(SequenceKind.UNKNOWN, 0.8, "gradient-echo echo planar time series (BOLD): not measured")
    if "GR" in h.scanning_sequence and words.contrast_agent(h):
        return known(SequenceKind.PERFUSION, 0.75, "gradient-echo echo planar with a contrast agent", timing(h))
    return known(SequenceKind.UNKNOWN, 0.6, "echo planar without diffusion weighting: not measured", timing(h))


def ge_named_sequence(h: SeriesHeader) -> Identification | None:
    """GE's private pulse sequence name (0019,109C); CUBE FLAIR often has no TI in the header."""
    name = ge_name(h)
    if "t2flair" in name.replace("-", "").replace(" ", ""):
        if flair_contradiction(h) is None:
            return known(SequenceKind.FLAIR, 0.95, f"GE pulse sequence {name.split()[0]}", timing(h))
        return None
    if "t1flair" in name:
        return known(SequenceKind.T1, 0.85, f"GE pulse sequence {name.split()[0]}: T1-FLAIR", timing(h))
    if re.search(r"bravo|cubet1", name):
        return known(SequenceKind.T1, 0.9, f"GE pulse sequence {name.split()[0]}", timing(h))
    if re.search(r"cubet2\b", name) and not words.says(words.FLAIR, h):
        return known(SequenceKind.T2, 0.9, f"GE pulse sequence {name.split()[0]}", timing(h))
    return None


def inversion_recovery(h: SeriesHeader) -> Identification | None:
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
    if words.says(words.DOUBLE_INVERSION, h):
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
            SequenceKind.UNKNOWN, 0.4, f"{timing(h)}: inversion time in the doubtful zone and no word for FLAIR"
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
    if not is_gradient_echo(h):
        return None
    te, tr = h.echo_time_ms, h.repetition_time_ms
    if words.says(words.BALANCED, h) or re.search(r"tfi3d|ci3d|tfi2d|fiesta|bffe", f"{sequence_name(h)} {ge_name(h)}"):
        return known(SequenceKind.UNKNOWN, 0.7, "balanced steady state: neither T1 nor T2, not measured", timing(h))
    if te is None:
        return None
    if te >= T2_STAR_MIN_TE_MS:
        return known(SequenceKind.T2_STAR, 0.85, f"{timing(h)}: long-TE gradient echo")
    if te < 10.0 and (tr is None or tr < 30.0 or _prepared(h)):
        return known(SequenceKind.T1, 0.85, f"{timing(h)}: short-TE spoiled gradient echo, T1 weighted")
    if te < 10.0 and tr is not None and tr < 600.0 and (h.flip_angle_deg or 70.0) >= 40.0:
        return known(SequenceKind.T1, 0.8, f"{timing(h)}: short-TE gradient echo with a large flip angle, T1 weighted")
    return None


def _prepared(h: SeriesHeader) -> bool:
    return "MP" in h.sequence_variant or re.search(r"tfl3d|t1tfe|mprage|bravo", sequence_name(h)) is not None


def spin_echo(h: SeriesHeader) -> Identification | None:
    te, tr = h.echo_time_ms, h.repetition_time_ms
    if te is None or tr is None or is_gradient_echo(h) or words.says(words.STIR, h):
        return None
    if te >= LONG_TE_MS and tr >= T2_MIN_TR_MS:
        worded = words.says(words.FLAIR, h) and not words.says(words.T1_FLAIR, h)
        if worded and flair_contradiction(h) is None:
            return known(
                SequenceKind.FLAIR,
                0.6,
                f"{timing(h)}: long TR and TE fit FLAIR; TI not stated",
                "the description says FLAIR",
            )
        return known(SequenceKind.T2, 0.85, f"{timing(h)}: long TR and long TE, T2 weighted")
    if te < T1_MAX_TE_MS and tr < T1_SE_MAX_TR_MS:
        return known(SequenceKind.T1, 0.85, f"{timing(h)}: short TR and short TE, T1 weighted")
    if te < LONG_TE_MS and tr >= PD_MIN_TR_MS:
        if words.says(words.T1_FLAIR, h) and tr < FLAIR_MIN_TR_MS:
            return known(
                SequenceKind.T1, 0.6, f"{timing(h)}: T1-FLAIR without a stated TI", "the description says T1 FLAIR"
            )
        return known(SequenceKind.PD, 0.75, f"{timing(h)}: long TR and short TE, proton-density weighted")
    return None


_WORDS_ALONE = (
    (words.SWI, SequenceKind.SWI),
    (words.T2_STAR, SequenceKind.T2_STAR),
    (words.FLAIR, SequenceKind.FLAIR),
    (words.T1, SequenceKind.T1),
    (words.T2, SequenceKind.T2),
    (words.PD, SequenceKind.PD),
)


def description_without_timing(h: SeriesHeader) -> Identification | None:
    """Only where the header has no timing at all (anonymised or converted objects): there is no physics for the words
    to contradict.
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
    phase_image,
    acquisition_contrast,
    diffusion,
    angiography,
    echo_planar_series,
    ge_named_sequence,
    inversion_recovery,
    gradient_echo,
    spin_echo,
    description_without_timing,
)
