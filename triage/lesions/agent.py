"""Candidates of a FLAIR after contrast against one before in; out those that the agent does not explain.

The agent brightens what enhances in everybody (meninges, plexus, vessels at the border of the brain) and lesions that
enhance, old ones as well. T2 hardly shows it: a place that rises on T2 too is a lesion. Without T2 the place and its
history must tell. What the agent explains may be a lesion all the same: it is not counted, and not denied.
"""

from __future__ import annotations

import numpy as np

from triage.alignment.comparison import Pair
from triage.anatomy import VENTRICLES, mask_of
from triage.lesions.candidates import Cluster
from triage.lesions.clusters import EDGES
from triage.lesions.limits import LesionLimits
from triage.libraries import ndi
from triage.model import Mask

MOST = 0.5  # share of a cluster that lies where the agent is seen in everybody, or enhances


def unexplained(
    clusters: tuple[Cluster, ...], pair: Pair, enhancing: Mask | None, limits: LesionLimits
) -> tuple[tuple[Cluster, ...], float]:
    """The clusters that count, and the volume of the others in mL. All of them without an agent between the dates.

    Args:
        enhancing: (k, j, i) on the half-way grid, measured on T1; None: not measured.
    """
    if not pair.agent_between or not clusters:
        return clusters, 0.0
    usual = _seen_in_everybody(pair, limits)
    kept = tuple(one for one in clusters if not _explained(one, usual, enhancing, limits))
    return kept, float(sum(one.volume_ml for one in clusters)) - float(sum(one.volume_ml for one in kept))


def _explained(one: Cluster, usual: Mask, enhancing: Mask | None, limits: LesionLimits) -> bool:
    if one.t2_change is not None:
        return one.t2_change < float(np.log1p(limits.faint_percent / 100.0))
    # not one voxel: a new lesion with a core or a vessel that enhances is brighter on FLAIR around it as well
    lit = enhancing is not None and float(enhancing[one.at()].mean()) > MOST
    return lit or one.known_before or float(usual[one.at()].mean()) > MOST


def _seen_in_everybody(pair: Pair, limits: LesionLimits) -> Mask:
    """Voxels near the border of the brain and near the ventricles, (k, j, i)."""
    grid = pair.grid
    brain = ndi.binary_closing(grid.labels > 0, EDGES, iterations=2)
    deep = ndi.distance_transform_edt(brain) * grid.spacing_mm
    ventricles = mask_of(grid.labels, grid.names, VENTRICLES)
    near = (
        ndi.distance_transform_edt(~ventricles) * grid.spacing_mm <= limits.agent_ventricle_mm
        if ventricles.any()
        else np.zeros(ventricles.shape, dtype=bool)
    )
    return np.asarray((deep <= limits.agent_edge_mm) | near)
