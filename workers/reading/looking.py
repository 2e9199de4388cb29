"""Identified series in; the same with those that their headers leave open between T2 and FLAIR decided by their images,
out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from triage.errors import NotAssessable
from triage.model import Identification, SequenceKind, Series, Volume
from triage.sequences.fluid import is_open, looked_at, may_be_flair, nulls_white_matter
from triage.sequences.identify import identify_study
from workers.reading.diffusion import check_no_map
from workers.reading.frames import Frame
from workers.reading.limits import Budget
from workers.reading.volume import volume_of


def decided_by_image(
    series: Sequence[Series], frames: Mapping[str, list[Frame]], refused: Collection[str], budget: Budget
) -> tuple[Series, ...]:
    """Series whose header does not say FLAIR are looked at; those that count as T2 by their timing alone only when the
    study has no FLAIR, since each look costs the decoding of a series.

    Args:
        refused: UIDs of series that cannot be measured.
    """
    usable = [one for one in series if one.header.series_instance_uid not in refused]
    seen = _seen([one for one in usable if is_open(one)], frames, budget)
    kinds = {one.kind for one in seen.values()} | {one.identification.kind for one in usable}
    if SequenceKind.FLAIR not in kinds:
        seen |= _seen([one for one in usable if may_be_flair(one)], frames, budget)
    if not seen:
        return tuple(series)
    headers = [one.header for one in series]
    return tuple(Series(h, found) for h, found in zip(headers, identify_study(headers, seen), strict=True))


def check_shown(series: Series, volume: Volume) -> None:
    """Refuse a volume that contradicts what its header leaves out.

    Raises:
        NotAssessable: double_inversion, diffusion_map.
    """
    if series.identification.kind is SequenceKind.FLAIR and nulls_white_matter(series, volume):
        said = "a FLAIR without a stated inversion or repetition time, and white matter is nulled: a double inversion"
        raise NotAssessable("double_inversion", said)
    check_no_map(series, volume)


def _seen(series: Sequence[Series], frames: Mapping[str, list[Frame]], budget: Budget) -> dict[str, Identification]:
    """What changes by looking, by series UID."""
    found = {}
    for one in series:
        uid = one.header.series_instance_uid
        try:
            kind = looked_at(one, volume_of(frames[uid], SequenceKind.FLAIR, budget))
        except NotAssessable:
            continue
        if kind is not one.identification:
            found[uid] = kind
    return found
