"""One series header in, plain facts out: which kind of pulse sequence it was, and which figure rules FLAIR out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from triage.model import SeriesHeader
from triage.sequences import vendors, words

FLAIR_MIN_TI_MS = 1500.0  # CSF (T1 about 4.3 s) is nulled at 1550 ms for TR 4 s and at 2480 ms for TR 9 s
FLAIR_LONGEST_TI = 1.2  # times the TI that nulls CSF: FLAIRs have 0.9-1.1; DIR 1.23-1.35, and shows CSF
CSF_T1_MS = 4300.0
FLAIR_DOUBTFUL_TI_MS = 1300.0  # very low field scanners null CSF from here; only together with the words
FLAIR_MIN_TR_MS = 3500.0  # below it, T1-FLAIR (TR about 2000, TI about 860 nulls CSF as well)
FLAIR_MIN_TE_MS = 50.0  # T1-FLAIR and MP2RAGE second inversion have TE < 30
STIR_MAX_TI_MS = 300.0  # fat is nulled at 110-230 ms for 0.3-3 T
LONG_TE_MS = 60.0
T2_MIN_TR_MS = 1500.0  # 3-D T2 (SPACE, CUBE) uses TR 2000-3200, single shot can say less
T1_MAX_TE_MS = 40.0
T1_SE_MAX_TR_MS = 1300.0
PD_MIN_TR_MS = 1500.0
T2_STAR_MIN_TE_MS = 12.0
SPIN_ECHO_TR_MS, SPIN_ECHO_FLIP_DEG = 100.0, 60.0  # a spin echo has more
ALIKE_TIMING = 1.5  # of repetition and echo times of one protocol before and after contrast
DIFFUSION_MIN_B = 50.0  # s/mm2; less is perfusion or a crusher
DIFFUSION_TE_MS = (45.0, 160.0)  # diffusion gradients take that long; after twice as long no signal is left


def timing(h: SeriesHeader) -> str:
    """'TR 9000 ms, TE 125 ms, TI 2500 ms', as far as the header says."""
    figures = (("TR", h.repetition_time_ms), ("TE", h.echo_time_ms), ("TI", h.inversion_time_ms))
    return (
        ", ".join(f"{name} {value:g} ms" for name, value in figures if value is not None) or "no timing in the header"
    )


def image_type(h: SeriesHeader) -> str:
    """ImageType as DICOM writes it, e.g. ``ORIGINAL\\PRIMARY\\M``."""
    return "\\".join(h.image_type)


def type_tokens(h: SeriesHeader) -> frozenset[str]:
    """The values of ImageType, upper case."""
    return frozenset(part.strip().upper() for part in h.image_type)


def is_gradient_echo(h: SeriesHeader) -> bool:
    """ScanningSequence GR without SE. Where it is not stated, a TR too short for a spin echo, or a small flip angle at
    a short TR: a spin echo begins with about 90 degrees."""
    if h.scanning_sequence:
        return "GR" in h.scanning_sequence and "SE" not in h.scanning_sequence
    flip, tr = h.flip_angle_deg or 90.0, h.repetition_time_ms or T1_SE_MAX_TR_MS
    return tr < SPIN_ECHO_TR_MS or (flip < SPIN_ECHO_FLIP_DEG and tr < T1_SE_MAX_TR_MS)


def is_echo_planar(h: SeriesHeader) -> bool:
    """ScanningSequence EP, or a vendor's name for it."""
    return "EP" in h.scanning_sequence or vendors.ECHO_PLANAR.search(vendors.sequence_name(h)) is not None


def is_inversion_recovery(h: SeriesHeader) -> bool:
    """ScanningSequence IR, an inversion time, or a vendor's name for it."""
    if (
        "IR" in h.scanning_sequence
        or (h.inversion_time_ms or 0.0) > 20.0
        or vendors.INVERSION_RECOVERY_TOKEN in type_tokens(h)
    ):
        return True
    return vendors.INVERSION_RECOVERY.search(vendors.sequence_name(h)) is not None


def flair_contradiction(h: SeriesHeader) -> str | None:
    """The figure that rules FLAIR out, or None. Absent figures rule out nothing."""
    ti, tr, te = h.inversion_time_ms, h.repetition_time_ms, h.echo_time_ms
    if ti is not None and 0.0 < ti < FLAIR_DOUBTFUL_TI_MS:
        return f"TI {ti:g} ms is too short to null CSF at a long TR"
    if tr is not None and tr < FLAIR_MIN_TR_MS:
        return f"TR {tr:g} ms is below {FLAIR_MIN_TR_MS:g} ms"
    if te is not None and te < FLAIR_MIN_TE_MS:
        return f"TE {te:g} ms is below {FLAIR_MIN_TE_MS:g} ms"
    if is_double_inversion(h):
        return "double inversion recovery"
    if ti is not None and tr is not None and ti > FLAIR_LONGEST_TI * nulling_ti_ms(tr):
        return f"TI {ti:g} ms is too long to null CSF at TR {tr:g} ms ({nulling_ti_ms(tr):.0f} ms would): DIR has such"
    return None


def has_flair_timing(h: SeriesHeader) -> bool:
    """Whether TR, TE and, where it is stated, TI are those of FLAIR: no planning image and no perfusion has such."""
    if h.repetition_time_ms is None or h.echo_time_ms is None or is_gradient_echo(h) or is_echo_planar(h):
        return False
    return flair_contradiction(h) is None


def nulling_ti_ms(tr_ms: float) -> float:
    """The inversion time that nulls CSF at a repetition time."""
    return CSF_T1_MS * math.log(2.0 / (1.0 + math.exp(-tr_ms / CSF_T1_MS)))


def is_double_inversion(h: SeriesHeader) -> bool:
    """By the description or a vendor's name. "30 dir" of diffusion is asked for after diffusion."""
    return words.says(words.DOUBLE_INVERSION, h) or vendors.DOUBLE_INVERSION.search(vendors.all_names(h)) is not None


def is_reformat(header: SeriesHeader) -> bool:
    """Whether the images were resampled from another series, by ImageType or the enhanced header."""
    return (
        any(token.upper() in vendors.REFORMATS for token in header.image_type)
        or header.vendor.get("volume_calculation") == "MPR"
    )


def is_alike(one: SeriesHeader, other: SeriesHeader) -> bool:
    """Whether both were acquired with one kind of sequence and about its timing. What is not stated counts as alike."""
    kinds = one.mr_acquisition_type, other.mr_acquisition_type
    same = not all(kinds) or kinds[0] == kinds[1]
    same = same and is_gradient_echo(one) == is_gradient_echo(other)
    same = same and is_inversion_recovery(one) == is_inversion_recovery(other)
    times = ((one.repetition_time_ms, other.repetition_time_ms), (one.echo_time_ms, other.echo_time_ms))
    return same and all(not a or not b or max(a, b) <= ALIKE_TIMING * min(a, b) for a, b in times)


def is_synthetic(header: SeriesHeader) -> bool:
    """Whether the images were computed for a timing that was never played out (SyMRI, MAGiC), by the names."""
    return words.says(words.SYNTHETIC, header) or "SYNTHETIC" in type_tokens(header)


def acquired_after(one: SeriesHeader, other: SeriesHeader) -> bool:
    """Whether a series was acquired after another: by the time, by the series number where one of them has none or both
    are the same. False where neither tells."""
    if one.acquisition_time is not None and other.acquisition_time is not None:
        (first, second) = (acquired_at(header)[0] for header in on_one_calendar((one, other)))
        if first != second:
            return first > second
    return one.series_number is not None and other.series_number is not None and one.series_number > other.series_number


def acquired_at(header: SeriesHeader) -> tuple[float, int]:
    """Sort key of the order of acquisition: seconds (infinite when unknown), then the series number.

    Seconds of the day, or since the first day of the calendar when the date is stated: compare only headers that
    ``on_one_calendar`` gives.
    """
    clock = header.acquisition_time
    number = header.series_number if header.series_number is not None else 10**9
    seconds = clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6 if clock else float("inf")
    days = header.acquisition_date.toordinal() if header.acquisition_date is not None else 0
    return seconds + 86400.0 * days, number


def on_one_calendar(headers: Sequence[SeriesHeader]) -> list[SeriesHeader]:
    """The same headers, without their dates unless every one with a time states one."""
    if all(h.acquisition_date is not None for h in headers if h.acquisition_time is not None):
        return list(headers)
    return [replace(h, acquisition_date=None) for h in headers]
