"""Candidates of a registered FLAIR pair in, focal changes out: a mask of new and enlarging lesions, with their figures.

A lesion is a compact place that became brighter than its own surroundings did (triage.lesions.candidates). Each has a
volume, a site and a history.
"""

from __future__ import annotations

import numpy as np

from triage.alignment.comparison import Pair, in_followup_space
from triage.lesions.agent import unexplained
from triage.lesions.candidates import Candidates, Cluster, injury_away
from triage.lesions.limits import LesionLimits
from triage.measurements import not_measured
from triage.model import Found, Lesion, Mask, Measurement

QUANTITIES = (
    ("lesion_count", "1"), ("lesion_volume_ml", "mL"), ("largest_lesion_ml", "mL"), ("lesions_at_prior_injury", "1"),
)  # fmt: skip
MOST_LESIONS = 255  # a label of the mask is one byte


def focal_changes(pair: Pair, found: Candidates, enhancing: Mask | None, limits: LesionLimits) -> Found:
    """Lesions, their figures and their mask (label = number of the lesion) from the candidates.

    Nothing is measured (reason code agent) when a contrast agent explains every candidate: each may be a lesion.

    Args:
        enhancing: (k, j, i) on the half-way grid; None: not measured.
    """
    if found.problem is not None:
        return Found(_none_measured(found.problem))
    large_enough = tuple(
        one for one in found.clusters if one.volume_ml >= _smallest_ml(_lit_ml(one, enhancing, pair), found, limits)
    )
    clusters, explained_ml = unexplained(large_enough, pair, enhancing, limits)
    notices = _notices(found, explained_ml, pair)
    if explained_ml > 0 and not clusters:
        return Found(_none_measured(f"agent: {explained_ml:.2f} mL may be the agent or a lesion"), notices=notices)
    labels = np.zeros(pair.grid.labels.shape, dtype=np.uint8)
    lesions: list[Lesion] = []
    away_mm = injury_away(found.old if clusters else None, pair.grid.spacing_mm)
    for cluster in clusters[:MOST_LESIONS]:
        lesion = _lesion(len(lesions) + 1, cluster, pair, away_mm(cluster), _lit_ml(cluster, enhancing, pair))
        labels[cluster.at()] = lesion.number
        lesions.append(lesion)
    return Found(
        _figures(lesions, limits, history=found.history),
        {"new_lesions": in_followup_space(pair, labels)},
        tuple(lesions),
        notices,
    )


def _none_measured(reason: str) -> tuple[Measurement, ...]:
    return tuple(not_measured("brain", quantity, unit, reason) for quantity, unit in QUANTITIES)


def _lit_ml(cluster: Cluster, enhancing: Mask | None, pair: Pair) -> float | None:
    return None if enhancing is None else float(enhancing[cluster.at()].sum()) * pair.grid.voxel_ml


def _smallest_ml(lit_ml: float | None, found: Candidates, limits: LesionLimits) -> float:
    # half the smallest lesion: a core that enhances inside oedema is often smaller than the lesion
    enhances = lit_ml is not None and lit_ml > 0 and lit_ml >= limits.volume_enhancing_ml / 2
    return limits.volume_enhancing_ml if enhances else found.smallest_ml


def _lesion(number: int, cluster: Cluster, pair: Pair, away: float | None, lit: float | None) -> Lesion:
    """away: distance to what was abnormal in the baseline, mm."""
    touching = away is not None and away <= pair.grid.spacing_mm
    k, j, i = cluster.voxels.mean(axis=0)
    to_followup = in_followup_space(pair, pair.grid.labels).affine
    x, y, z, _ = to_followup @ np.array([i, j, k, 1.0])
    return Lesion(
        number=number,
        kind="enlarging" if touching or cluster.known_before else "new",
        site=cluster.site,
        volume_ml=round(cluster.volume_ml, 3),
        centre_lps_mm=(round(float(x), 1), round(float(y), 1), round(float(z), 1)),
        change_percent=round(cluster.change_percent, 1),
        enhancing_volume_ml=None if lit is None else round(lit, 3),
        prior_injury_mm=None if away is None else round(away, 1),
    )


def _figures(lesions: list[Lesion], limits: LesionLimits, *, history: bool) -> tuple[Measurement, ...]:
    """history: whether the baseline's old lesions are known; if not, no lesion is said to lie away from them."""
    sizes = [lesion.volume_ml for lesion in lesions]
    near = [one for one in lesions if one.prior_injury_mm is not None and one.prior_injury_mm <= limits.prior_injury_mm]
    values = (float(len(lesions)), float(sum(sizes)), max(sizes, default=0.0), float(len(near)))
    figures = tuple(
        Measurement("brain", quantity, value, unit) for (quantity, unit), value in zip(QUANTITIES, values, strict=True)
    )
    if history:
        return figures
    name, unit = QUANTITIES[-1]
    return (
        *figures[:-1],
        not_measured("brain", name, unit, "no_chronic_mask: old lesions of the baseline are not known"),
    )


def _notices(found: Candidates, explained_ml: float, pair: Pair) -> tuple[str, ...]:
    out = []
    if (seen := f"{found.seen:.0%}") != "100%":
        out.append(f"both scans show {seen} of the white matter: new lesions were looked for there")
    if found.regional_ml > 0:
        out.append(
            f"{found.regional_ml:.1f} mL rose alike on both sides: a regional change, not counted among the focal "
            "lesions"
        )
    if pair.agent_between:
        said = f"; {explained_ml:.2f} mL that it may have brightened are not counted among the new lesions"
        out.append(f"the FLAIR was acquired after contrast, that of the baseline before{said * (explained_ml > 0)}")
    return tuple(out)
