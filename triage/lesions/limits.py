"""The limits by which triage.lesions.rises, candidates and focal find focal changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class LesionLimits:
    """How focal changes are found on the half-way grid.

    Starting values (docs/method.md, Pattern B) unless a comment gives a reason.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # the peak of a cluster must rise this much above its surroundings
    rise_percent: float = 15.0
    # and exceed this many robust sd of the pair's own change map
    z: float = 3.0
    # extent of a cluster: the connected voxels above this share of its peak, and above half of rise_percent
    extent_share: float = 0.3
    # smallest cluster: 0.1 mL less the spread of a measured volume
    volume_ml: float = 0.08
    # smallest cluster that enhances
    volume_enhancing_ml: float = 0.05
    # smallest cluster when field strength or 2D/3D differ
    volume_other_field_ml: float = 0.1
    # the upper quarter of a cluster must exceed every baseline value within one voxel by this; a shift explains less
    unexplained_percent: float = 5.0
    # smallest follow-up signal over that of the tissue around (6 mm)
    prominence: float = 1.05
    # from here on a place was a lesion before, and a faint rise is looked at
    known_prominence: float = 1.1
    # smallest level of a voxel over white matter at the follow-up; 0.1 less at the baseline
    tissue_level: float = 0.75
    # smallest median level of a cluster at the baseline; a darker place was partly fluid
    site_level: float = 0.8
    # largest strength of a dark place beside the cluster, over its peak; a stronger one is a structure that moved
    dipole: float = 1.0
    # smallest share inside the sites of triage.lesions.rises
    site_share: float = 0.3
    # a region whose median rises by this much changed as a whole; its median is taken out
    regional_percent: float = 5.0
    # a cluster this large is compared with its mirror image
    symmetric_ml: float = 1.5
    # it is a regional change when its mirror image rises too over this share
    symmetric_share: float = 0.5
    # smallest thickness over the diameter of a ball of the same volume; a sheet along a border of tissue is flatter
    compactness: float = 0.33
    # largest share of voxels beside fluid
    fluid_share: float = 0.6
    # with T2: a smoothed rise of both images by this much is looked at
    faint_percent: float = 5.0
    # and of FLAIR by this many robust sd of the pair
    faint_z: float = 3.0
    # it counts when the rises of the two, each in its own sd and at most 4, add up to this; 6 is 4.2 sd of a sum of two
    joint_z: float = 6.0
    # with T2: smallest volume of old lesions that tells how the others change; with 1 mL a head scanned again with
    # thicker slices had two false ones
    old_least_ml: float = 2.0
    # an old lesion must rise this much on FLAIR beyond what the others rose
    old_percent: float = 5.0
    # and this many robust sd of theirs
    old_z: float = 1.0
    # and this many on T2
    old_t2_z: float = 1.0
    # "at prior injury": within this distance of a lesion or cavity of the baseline
    prior_injury_mm: float = 5.0
    # FLAIR after contrast against one before: this close to the border of the brain are meninges and veins
    agent_edge_mm: float = 5.0
    # and this close to a ventricle is plexus
    agent_ventricle_mm: float = 3.0
    # smallest share of the white matter that both scans must show; 15 real heads show all of it, and a head without its
    # upper fifth 0.88, which the atlas placed on what is left says as 0.92
    min_seen: float = 0.9
