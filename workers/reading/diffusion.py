"""Diffusion series in: which of them are maps, and the image without weighting beside the DWI out.

The values decide where headers lie (``triage/diffusion/evidence.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from triage.diffusion.evidence import check_pair, is_coefficients, is_weighted, may_be_unweighted
from triage.errors import NotAssessable
from triage.model import DiffusionFacts, SequenceKind, Series, SkippedSeries, Volume
from triage.sequences import vendors, words
from triage.sequences.choose import rank
from triage.sequences.facts import is_echo_planar
from workers.reading.frames import Frame
from workers.reading.limits import Budget
from workers.reading.selection import highest_weighted, select, shows
from workers.reading.volume import (
    B0_LIMIT,
    adc_unit_of,
    highest_b,
    lowest_b,
    unweighted_frames,
    unweighted_of,
    volume_of,
)

DIFFUSION_MAP, UNWEIGHTED = "diffusion_map", "unweighted"
LOWEST_CLEAR_B = 400.0  # s/mm2; less weighting leaves fluid bright, as in a map
_MAP_REASON = "its values are those of an ADC map, whatever the header says"


def weighted_first(series: Sequence[Series]) -> tuple[Series, ...]:
    """The DWI series, best first; those that may be maps by their header come last."""
    return tuple(sorted(rank(series, SequenceKind.DWI), key=_may_be_map))


def map_instead(candidate: Series, weighted: Volume) -> Series | None:
    """The series as an ADC map, when a series that is called DWI has the values of one; None: it may be measured.

    Raises:
        NotAssessable: diffusion_map: a map of another kind, or one that its header calls a trace image. unweighted: no
            b-value is stated, and the image may have none.
    """
    both = _holds_both_weightings(candidate)
    if is_coefficients(weighted.voxels):
        if both:
            raise NotAssessable(DIFFUSION_MAP, "a series of several b-values: the images of the highest are an ADC map")
        if _is_trace(candidate) or max(candidate.header.b_values, default=LOWEST_CLEAR_B) < LOWEST_CLEAR_B:
            raise NotAssessable(
                DIFFUSION_MAP, "called diffusion-weighted, but fluid is bright: the values of an ADC map"
            )
        reasons = (*candidate.identification.reasons, _MAP_REASON)
        return replace(
            candidate, identification=replace(candidate.identification, kind=SequenceKind.ADC, reasons=reasons)
        )
    if _may_be_map(candidate) and not is_weighted(weighted.voxels):
        raise NotAssessable(
            DIFFUSION_MAP, "derived from diffusion images, and its values are no weighted signal: a map"
        )
    if not _states_b(candidate) and may_be_unweighted(weighted.voxels):
        raise NotAssessable(
            UNWEIGHTED, "no b-value is stated, and something is as bright as fluid without weighting: may be b = 0"
        )
    return None


def _states_b(series: Series) -> bool:
    named = vendors.B_VALUE.search(vendors.sequence_name(series.header))
    return bool(series.header.b_values) or named is not None


def check_no_map(candidate: Series, volume: Volume) -> None:
    """Refuse a T2 that only its timing calls so, and that has the values of an ADC map: de-identification may leave no
    word and no type of image.

    Raises:
        NotAssessable: diffusion_map.
    """
    header = candidate.header
    acquired = "ORIGINAL" in {token.upper() for token in header.image_type}
    told = header.scanning_sequence or acquired or header.series_description or header.protocol_name
    if candidate.identification.kind is SequenceKind.T2 and not told and is_coefficients(volume.voxels):
        raise NotAssessable(DIFFUSION_MAP, "a T2 by its timing alone, and its values are those of an ADC map")


def maps_among(series: Sequence[Series], frames: Mapping[str, list[Frame]], budget: Budget) -> list[Series]:
    """Those of the DWI series that are ADC maps by their values, as such. A map is one volume: series of many
    directions are not decoded for it."""
    found = []
    for candidate in series:
        own = frames[candidate.header.series_instance_uid]
        if candidate.identification.kind is SequenceKind.DWI:
            try:
                if len(select(own, SequenceKind.DWI)) > 1:
                    continue
                weighted = volume_of(own, SequenceKind.DWI, budget)
                as_map = map_instead(candidate, weighted)
            except NotAssessable:
                continue
            found += [] if as_map is None else [as_map]
    return found


def _is_trace(series: Series) -> bool:
    tokens = {token.upper() for token in series.header.image_type}
    return bool(tokens & vendors.DIFFUSION_TRACES) or series.header.vendor.get("isotropic") == "YES"


def _holds_both_weightings(series: Series) -> bool:
    """Images with and without weighting lie in one series: it is no map, which has none of them."""
    b_values = series.header.b_values
    return bool(b_values) and min(b_values) <= B0_LIMIT and max(b_values) >= LOWEST_CLEAR_B


def _may_be_map(series: Series) -> bool:
    """Derived, or nothing says whether it is."""
    tokens = {token.upper() for token in series.header.image_type}
    return ("DERIVED" in tokens or not tokens) and not _is_trace(series)


def beside_the_dwi(
    series: Sequence[Series],
    frames: dict[str, list[Frame]],
    volumes: dict[SequenceKind, Volume],
    used: dict[SequenceKind, str],
    budget: Budget,
) -> tuple[Volume | None, DiffusionFacts, tuple[SkippedSeries, ...]]:
    """The image without diffusion weighting on the DWI's grid, the b-values with the unit of the ADC map, and why such
    images were refused when there is none.

    The image comes from the series of the DWI; when that has none, from another series.
    """
    skipped: list[SkippedSeries] = []
    unit = adc_unit_of(frames[used[SequenceKind.ADC]]).name if SequenceKind.ADC in used else ""
    if SequenceKind.DWI not in used:
        return None, DiffusionFacts(adc_unit=unit), ()
    own, dwi = used[SequenceKind.DWI], volumes[SequenceKind.DWI]
    high = highest_b(frames[own])
    # a series of b = 0 alone is not identified as DWI, so every other one that may be of the same scan is tried last;
    # the grid must match
    others = (*rank(series, SequenceKind.DWI), *filter(_may_be_unweighted, series))
    for uid in dict.fromkeys((own, *(c.header.series_instance_uid for c in others))):
        try:
            found = unweighted_of(frames[uid], dwi, budget)
            low = lowest_b(frames[uid])
            if low is None or (high is not None and low >= high):
                continue
            if found is None:
                raise NotAssessable("mixed_geometry", "it has another matrix or place than the weighted images")
            _check_one_scale(frames[uid], frames[own], found, dwi, (low, high))
        except NotAssessable as error:
            skipped.append(SkippedSeries(uid, error.code, f"the image without diffusion weighting: {error.message}"))
            continue
        return found, DiffusionFacts(high, low, unit), ()
    return None, DiffusionFacts(high, None, unit), tuple(skipped)


def _may_be_unweighted(series: Series) -> bool:
    """Whether it was acquired as diffusion images are. Some scanners write b = 0 into every series."""
    header = series.header
    tokens = {token.upper() for token in header.image_type}
    stated = is_echo_planar(header) or bool(tokens & vendors.DIFFUSION_WEIGHTED)
    named = vendors.DIFFUSION.search(vendors.sequence_name(header)) is not None or words.says(words.DIFFUSION, header)
    return stated or named or header.acquisition_contrast == "DIFFUSION"


def _check_one_scale(
    low: Sequence[Frame], high: Sequence[Frame], b0: Volume, weighted: Volume, b: tuple[float, float | None]
) -> None:
    """Refuse images of two b-values that cannot be compared: by their headers, then by the ADC that follows.

    Raises:
        NotAssessable: rescale_between_b.
    """
    images = unweighted_frames(low)
    weighted_images = highest_weighted([frame for frame in high if shows(frame, SequenceKind.DWI)])
    scales = [set(map(_scale, some)) for some in (images, weighted_images)]
    if all(scales) and scales[0] != scales[1] and any(how != "" for scale in scales for how, _, _ in scale):
        raise NotAssessable("rescale_between_b", "both b-values have rescales of their own, made for display")
    if b[1] is not None and b[1] - b[0] >= LOWEST_CLEAR_B:
        check_pair(b0.voxels, weighted.voxels, b[1] - b[0])


def _scale(frame: Frame) -> tuple[str, float, float]:
    """What must be equal in images that are compared; a rescale that leads to one scale need not be."""
    if frame.comparable is not None:
        return "scale slope", 0.0, 0.0
    return ("display", frame.slope, frame.intercept) if frame.for_display else ("", 1.0, 0.0)
