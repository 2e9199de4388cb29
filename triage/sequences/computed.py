"""Rules for what an image was computed to be: document, localizer, projection, subtraction, map, phase, fat."""

# ruff: noqa: PLR0911 - a rule is a list of tests, each returning at once

from __future__ import annotations

from triage.model import Identification, SequenceKind, SeriesHeader
from triage.sequences import vendors, words
from triage.sequences.facts import (
    DIFFUSION_MIN_B,
    DIFFUSION_TE_MS,
    FLAIR_DOUBTFUL_TI_MS,
    has_flair_timing,
    image_type,
    is_echo_planar,
    is_inversion_recovery,
    type_tokens,
)
from triage.sequences.rule import known

# SOP classes: PS3.4 annex B.5
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

MOST_LOCALIZER_SLICES = 30


def not_an_image(h: SeriesHeader) -> Identification | None:
    """Other modalities and SOP classes; colour images are computed maps."""
    if h.sop_class_uid in NON_IMAGE_NAMES:
        return known(SequenceKind.NOT_IMAGE, 1.0, f"{NON_IMAGE_NAMES[h.sop_class_uid]} object")
    if h.vendor.get("captured") == "YES":
        return known(SequenceKind.NOT_IMAGE, 0.95, "8 bits with text burned in or made of a screen: secondary capture")
    if h.sop_class_uid == ENHANCED_MR_COLOR:
        return known(SequenceKind.DERIVED, 0.95, "colour image: a computed map")
    if h.modality and h.modality != "MR":
        return known(SequenceKind.NOT_IMAGE, 1.0, f"modality {h.modality}: not a magnetic resonance image")
    if h.sop_class_uid and h.sop_class_uid not in MR_CLASSES:
        return known(SequenceKind.NOT_IMAGE, 1.0, f"SOP class {h.sop_class_uid}: not a magnetic resonance image")
    return None


def localizer(h: SeriesHeader) -> Identification | None:
    """Planning images: by ImageType, by the description, or a few slices in several orientations."""
    if "LOCALIZER" in type_tokens(h):
        return known(SequenceKind.LOCALIZER, 0.95, "ImageType LOCALIZER")
    few = h.frame_count <= MOST_LOCALIZER_SLICES or h.orientation == "mixed"
    worded = words.says(words.LOCALIZER, h) or (few and words.says(words.PLANES, h))
    if worded and not has_flair_timing(h):
        return known(SequenceKind.LOCALIZER, 0.9, "the description says localizer")
    if h.orientation == "mixed" and 0 < h.frame_count <= MOST_LOCALIZER_SLICES and not is_inversion_recovery(h):
        return known(SequenceKind.LOCALIZER, 0.7, f"{h.frame_count} slices in several orientations")
    return None


def projection_or_subtraction(h: SeriesHeader) -> Identification | None:
    """Projections, renderings and subtractions; a minimum intensity projection of SWI stays with the rule for SWI."""
    tokens = type_tokens(h)
    if tokens & vendors.MINIMUM_INTENSITY and ("SWI" in tokens or words.says(words.SWI, h)):
        return None  # the susceptibility rule names it
    for token in vendors.PROJECTIONS:
        if token in tokens or h.vendor.get("volume_calculation") == token:
            return known(SequenceKind.DERIVED, 0.95, f"ImageType {token}: a projection")
    if tokens & vendors.SUBTRACTIONS or ("DERIVED" in tokens and words.says(words.SUBTRACTION, h)):
        return known(SequenceKind.DERIVED, 0.95, "a subtraction of two series")
    if "DERIVED" in tokens and words.says(words.PROJECTION, h) and not words.says(words.SWI, h):
        return known(SequenceKind.DERIVED, 0.85, "derived, and the description says projection")
    return None


def parametric_map(h: SeriesHeader) -> Identification | None:
    """Maps computed from several images. The ADC map is a kind of its own, because it is measured."""
    tokens = type_tokens(h)
    derived = "DERIVED" in tokens
    if tokens & vendors.EXPONENTIAL_ADC_MAPS or (derived and words.says(words.EXPONENTIAL_ADC, h)):
        return known(SequenceKind.DERIVED, 0.95, "exponential ADC map")
    if tokens & vendors.ADC_MAPS or any(t.startswith(vendors.ADC_MAP_BEGINNINGS) for t in tokens):
        return known(SequenceKind.ADC, 0.95, f"ImageType {image_type(h)}: apparent diffusion coefficient")
    if tokens & vendors.TENSOR_MAPS:
        return known(SequenceKind.DERIVED, 0.95, f"ImageType {image_type(h)}: a diffusion tensor map")
    if tokens & vendors.PERFUSION_MAPS:
        return known(SequenceKind.PERFUSION, 0.95, f"ImageType {image_type(h)}: perfusion")
    if tokens & vendors.OTHER_MAPS:
        return known(SequenceKind.DERIVED, 0.9, f"ImageType {image_type(h)}: a computed map")
    if derived and words.says(words.ADC, h) and not tokens & vendors.DIFFUSION_TRACES and _may_be_diffusion(h):
        return known(SequenceKind.ADC, 0.85, "derived, and the description says ADC")
    if derived and words.says(words.TENSOR_MAP, h) and (h.b_values or words.says(words.DIFFUSION, h)):
        return known(SequenceKind.DERIVED, 0.85, "derived, and the description names a tensor map")
    weighted = h.b_values or tokens & vendors.DIFFUSION_WEIGHTED or words.says(words.DIFFUSION, h)
    if derived and words.says(words.COMPUTED, h) and not weighted:
        return known(SequenceKind.DERIVED, 0.85, "derived, and the description names a map or a mask")
    return None


def calibration(h: SeriesHeader) -> Identification | None:
    """Maps of a field, of transmission or of attenuation, and the images that they are made of."""
    named = vendors.CALIBRATION.search(vendors.all_names(h)) is not None
    if (named or words.says(words.CALIBRATION, h)) and not has_flair_timing(h):
        return known(SequenceKind.DERIVED, 0.85, "a map of a field or of attenuation, or what it is made of")
    return None


def _may_be_diffusion(h: SeriesHeader) -> bool:
    """Whether the timing leaves room for diffusion gradients, and is not that of FLAIR."""
    short = h.echo_time_ms is not None and h.echo_time_ms < DIFFUSION_TE_MS[0] and not is_echo_planar(h)
    return not short and (h.inversion_time_ms or 0.0) < FLAIR_DOUBTFUL_TI_MS


def may_be_a_map(h: SeriesHeader) -> bool:
    """Derived, all of one weighting, and no word says what it is: a console writes the b-value of the images into a map
    made of them. Maps and combined directions of GE have the same header without their description."""
    tokens = type_tokens(h)
    alone = min(h.b_values) >= DIFFUSION_MIN_B
    return (
        "DERIVED" in tokens and alone and not tokens & vendors.DIFFUSION_TRACES and not words.says(words.DIFFUSION, h)
    )


def phase_image(h: SeriesHeader) -> Identification | None:
    """Phase, real and imaginary parts."""
    component = h.vendor.get("complex_component", "")
    if component in ("PHASE", "REAL", "IMAGINARY") or type_tokens(h) & vendors.PHASES:
        return known(SequenceKind.DERIVED, 0.85, "phase, real or imaginary part: not a magnitude image")
    return None


def fat_or_opposed_phase(h: SeriesHeader) -> Identification | None:
    """Fat and opposed-phase images of a Dixon acquisition; its water and in-phase images have the contrast."""
    named = type_tokens(h) & vendors.FAT_OR_OPPOSED
    if named or words.says(words.FAT_OR_OPPOSED, h):
        what = f"ImageType {image_type(h)}" if named else "the description"
        return known(SequenceKind.DERIVED, 0.85, f"{what}: the fat or opposed-phase image of a Dixon acquisition")
    return None
