"""Two FLAIR series in, SAME or DIFFERENT protocol out, with the reasons; the class sets which limits apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.errors import NotAssessable
from triage.model import ProtocolMatch, SeriesHeader, Volume
from triage.sequences.facts import is_synthetic


@dataclass(frozen=True)
class ProtocolLimits:
    """Largest relative differences that still count as the same protocol."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # repetition, echo and inversion time
    timing: float = 0.15
    # voxel size within the slice
    in_plane: float = 0.2
    # distance of slices
    slice_thickness: float = 0.5
    # absolute difference in tesla
    field_strength_t: float = 0.3
    # |log ratio of white matter - log ratio of grey matter| between the dates; unlike a header it is measured
    tissue_contrast: float = 0.06
    # largest robust standard deviation of the log ratio over brain tissue; beyond it one of the images is no FLAIR.
    # Measured: 0.035 and 0.057 on two real pairs, 0.103 when a diffusion-weighted image stood in for the FLAIR. That
    # is one such case, so a starting value
    tissue_spread: float = 0.095


def compare(
    followup: tuple[SeriesHeader, Volume], baseline: tuple[SeriesHeader, Volume], limits: ProtocolLimits
) -> tuple[ProtocolMatch, tuple[str, ...]]:
    """Whether both were acquired alike. What a header does not state counts as equal; geometry is always known."""
    (fh, fv), (bh, bv) = followup, baseline
    reasons = [
        *_text("manufacturer", fh.manufacturer, bh.manufacturer),
        *_text("scanner model", fh.model_name, bh.model_name),
        *_text("acquisition", fh.mr_acquisition_type, bh.mr_acquisition_type),
        *_text("images", *("synthetic" if is_synthetic(header) else "acquired" for header in (fh, bh))),
        *_number("repetition time (ms)", fh.repetition_time_ms, bh.repetition_time_ms, limits.timing),
        *_number("echo time (ms)", fh.echo_time_ms, bh.echo_time_ms, limits.timing),
        *_number("inversion time (ms)", fh.inversion_time_ms, bh.inversion_time_ms, limits.timing),
        *_number("in-plane voxel (mm)", min(fv.spacing_mm), min(bv.spacing_mm), limits.in_plane),
        *_number("slice distance (mm)", max(fv.spacing_mm), max(bv.spacing_mm), limits.slice_thickness),
    ]
    tesla = (fh.magnetic_field_strength_t, bh.magnetic_field_strength_t)
    if tesla[0] and tesla[1] and abs(tesla[0] - tesla[1]) > limits.field_strength_t:
        reasons.append(f"field strength {tesla[0]:g} T against {tesla[1]:g} T")
    return (ProtocolMatch.DIFFERENT if reasons else ProtocolMatch.SAME), tuple(reasons)


def check_contrast(spread: float, limits: ProtocolLimits) -> None:
    """Refuse a pair that cannot be two FLAIRs. spread: robust sd of the log ratio over brain tissue.

    Raises:
        NotAssessable: ``contrast``.
    """
    if spread > limits.tissue_spread:
        raise NotAssessable(
            "contrast",
            f"the images differ by {spread:.1%} within brain tissue after scaling, "
            f"at most {limits.tissue_spread:.1%} between two FLAIRs; is one of another contrast?",
        )


def other_field(followup: SeriesHeader, baseline: SeriesHeader, limits: ProtocolLimits) -> bool:
    """Whether field strength or 2D/3D differ. A fact that a header does not state counts as equal."""
    tesla = (followup.magnetic_field_strength_t, baseline.magnetic_field_strength_t)
    return bool(tesla[0] and tesla[1] and abs(tesla[0] - tesla[1]) > limits.field_strength_t) or bool(
        _text("acquisition", followup.mr_acquisition_type, baseline.mr_acquisition_type)
    )


def _text(what: str, one: str, other: str) -> list[str]:
    differ = one and other and one.strip().casefold() != other.strip().casefold()
    return [f"{what} {one.strip()} against {other.strip()}"] if differ else []


def _number(what: str, one: float | None, other: float | None, limit: float) -> list[str]:
    if not one or not other or abs(one - other) <= limit * max(one, other):
        return []
    return [f"{what} {one:g} against {other:g}"]
