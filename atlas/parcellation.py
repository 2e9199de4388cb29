"""SAMSEG labels, JHU tracts, AAL lobes and tissue probabilities in, one exclusive, mirror-symmetric label map out.

All inputs lie on the atlas grid (LPS, 1 mm, mirror plane x = 0). Landmarks of planes are MNI152 2009a LPS millimetres
(x, y, z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from atlas.grid import Array, Float, Mask, distance_mm, largest_component, mirrored, nearest_label, smooth

# Order = label number. Paired regions take two numbers, left first.
SINGLE = (
    "midbrain",
    "pons",
    "medulla",
    "cerebellum",
    "third_ventricle",
    "fourth_ventricle",
    "sulcal_csf",
    "corpus_callosum",
)
PAIRED = (
    "thalamus",
    "external_extreme_capsule",
    "white_matter",
    "cortex_frontal",
    "cortex_parietal",
    "cortex_temporal",
    "cortex_occipital",
    "cortex_insula",
    "lateral_ventricle",
    "putamen",
    "pallidum",
    "caudate",
    "internal_capsule",
    "hippocampus_amygdala",
)

# FreeSurfer numbers (FreeSurferColorLUT): (left numbers, right numbers)
FREESURFER_PAIRED: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "thalamus": ((10,), (49,)),
    "cortex": ((3,), (42,)),
    "white_matter": ((2,), (41,)),
    "lateral_ventricle": ((4, 5, 31), (43, 44, 63)),
    "putamen": ((12,), (51,)),
    "pallidum": ((13,), (52,)),
    "caudate": ((11,), (50,)),
    "accumbens": ((26,), (58,)),
    "hippocampus_amygdala": ((17, 18), (53, 54)),
    "ventral_diencephalon": ((28,), (60,)),
    "cerebellum": ((7, 8), (46, 47)),
}
FREESURFER_SINGLE: dict[str, tuple[int, ...]] = {
    "brain_stem": (16,),
    "third_ventricle": (14,),
    "fourth_ventricle": (15,),
    "csf": (24,),
    "white_matter_lesion": (77,),
    "chiasm": (85,),
}

# AAL numbers of the left side (right = left + 1) by lobe; cingulate: anterior and middle frontal, posterior parietal
AAL_LOBES: dict[str, tuple[int, ...]] = {
    "cortex_frontal": (1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 31, 33, 69),
    "cortex_parietal": (35, 57, 59, 61, 63, 65, 67),
    "cortex_temporal": (37, 39, 41, 55, 79, 81, 83, 85, 87, 89),
    "cortex_occipital": (43, 45, 47, 49, 51, 53),
    "cortex_insula": (29,),
}
JHU_CORPUS_CALLOSUM = (3, 4, 5)
JHU_INTERNAL_CAPSULE = (17, 18, 19, 20, 21, 22)
JHU_EXTERNAL_CAPSULE = (33, 34)


@dataclass(frozen=True)
class Plane:
    """An oblique plane that contains the left-right axis, through two midsagittal landmarks (y, z), LPS mm."""

    ventral: tuple[float, float]
    dorsal: tuple[float, float]

    def height(self, y: Float) -> Float:
        """z of the plane in mm at LPS y."""
        (y0, z0), (y1, z1) = self.ventral, self.dorsal
        return np.asarray(z0 + (y - y0) * (z1 - z0) / (y1 - y0), dtype=np.float32)


# Landmarks were read off the T1 template (midsagittal, x = 6 and z = -10 mm views), not off a label map. The sulci and
# colliculi are borders in Naidich et al., Duvernoy's Atlas of the Human Brain Stem and Cerebellum (Springer 2009).
# superior pontine sulcus (below the interpeduncular fossa) -> lower edge of the inferior colliculi
PONTOMESENCEPHALIC = Plane(ventral=(15.5, -21.5), dorsal=(38.5, -15.0))
# inferior pontine sulcus (foramen caecum) -> floor of the fourth ventricle at the lateral recess (stria medullares)
PONTOMEDULLARY = Plane(ventral=(29.0, -49.5), dorsal=(43.0, -42.0))
# posterior edge of the mamillary bodies -> underside of the thalamus above the rostral pole of the red nucleus: the
# midbrain's roof. The classical line to the posterior commissure, (27.0, -1.5), would cut red nucleus and substantia
# nigra, which are midbrain.
DIENCEPHALIC = Plane(ventral=(10.0, -13.0), dorsal=(20.0, -2.0))
# Lateral and medial geniculate bodies: metathalamus, the part of SAMSEG's ventral diencephalon beside and behind the
# midbrain
GENICULATE_MEDIAL_MM, GENICULATE_ANTERIOR_MM, GENICULATE_LOWER_MM = 13.0, 20.0, -10.0  # |x|, y, z
CRUS_LATERAL_MM = 18.0  # |x| of the lateral edge of the cerebral crura, where the optic tract crosses
COLLICULI_BACK_MM = 40.0  # y of the back of the inferior colliculi
# |x| of the trigeminal root entry: lateral end of the pons, middle cerebellar peduncle beyond
TRIGEMINAL_ENTRY_MM = 20.0
FOURTH_VENTRICLE_FRONT_MM = 37.0  # y of the floor of the fourth ventricle at mid pons
# Where the two rules above were too generous, read off the Allen reference.
# Below this z, more of the geniculate strip is optic tract, radiation and midbrain tegmentum (1 mL of both sides) than
# geniculate body.
METATHALAMUS_LOWER_MM = -4.0
# Lateral of this |x|, more is middle cerebellar peduncle than pons.
PONS_LATERAL_MM = 17.0
FORAMEN_MAGNUM_MM = -70.0  # lower end of the medulla, z; below it the template's field of view ends


@dataclass(frozen=True, eq=False)
class Sources:
    """Everything on the atlas grid. samseg, aal, jhu: label maps; grey, white: probability 0..1; x, y, z: LPS mm."""

    samseg: Array
    aal: Array
    jhu: Array
    grey: Float
    white: Float
    brain_mask: Mask
    x: Float
    y: Float
    z: Float


def label_numbers() -> dict[str, int]:
    """Region name -> label number."""
    names = [*SINGLE]
    for name in PAIRED:
        names += [f"{name}_left", f"{name}_right"]
    return {name: i + 1 for i, name in enumerate(names)}


def symmetric_half(samseg: Array) -> dict[str, Mask]:
    """SAMSEG structures averaged with their mirror images, as left-or-central masks on the whole grid.

    Occupancies of a structure and of its mirrored partner are averaged and smoothed (sigma 0.6 mm); the likeliest
    wins. A paired structure is returned as its left copy, whose mirror image is the right one.
    """
    names: list[str] = []
    best = np.full(samseg.shape, 0.0, dtype=np.float32)
    winner = np.full(samseg.shape, -1, dtype=np.int16)

    def compete(name: str, occupancy: Array) -> None:
        nonlocal best
        score = smooth(occupancy, 0.6)
        better = score > best
        winner[better] = len(names)
        best = np.maximum(best, score)
        names.append(name)

    for name, (left, right) in FREESURFER_PAIRED.items():
        occupancy = (np.isin(samseg, left) + mirrored(np.isin(samseg, right)).astype(np.float32)) / 2
        compete(name, occupancy)
        compete(f"{name}:right", mirrored(occupancy))
    for name, numbers in FREESURFER_SINGLE.items():
        here = np.isin(samseg, numbers).astype(np.float32)
        compete(name, (here + mirrored(here)) / 2)
    outside = np.isin(samseg, (0, 165, 258, 259)).astype(np.float32)
    compete("outside", (outside + mirrored(outside)) / 2)
    return {
        name: np.asarray(winner == i, dtype=np.bool_) for i, name in enumerate(names) if not name.endswith(":right")
    }


def _symmetric(labels: Array, numbers: Sequence[int]) -> Mask:
    """A tract of both sides, averaged with its mirror image and smoothed slightly.

    So the names of the sides in the file do not matter.
    """
    here = np.isin(labels, numbers).astype(np.float32)
    occupancy = (here + mirrored(here)) / 2
    return np.asarray(smooth(occupancy, 0.7) >= 0.4, dtype=np.bool_)


def lobes(sources: Sources, cortex: Mask) -> dict[str, Mask]:
    """Left cortex by lobe: the nearest AAL lobe of the warped, symmetrised AAL map."""
    votes = np.zeros((len(AAL_LOBES), *cortex.shape), dtype=np.float32)
    for i, left in enumerate(AAL_LOBES.values()):
        here = np.isin(sources.aal, left).astype(np.float32)
        there = mirrored(np.isin(sources.aal, [n + 1 for n in left])).astype(np.float32)
        votes[i] = smooth((here + there) / 2, 1.5)
    seeds = np.where(votes.max(0) > 0.3, votes.argmax(0) + 1, 0).astype(np.uint8)
    named = nearest_label(seeds, cortex)
    return {name: np.asarray(named == i + 1, dtype=np.bool_) for i, name in enumerate(AAL_LOBES)}


def brain_stem_parts(structures: dict[str, Mask], sources: Sources) -> dict[str, Mask]:
    """Brain stem and ventral diencephalon -> midbrain, pons, medulla, and the geniculate bodies apart.

    SAMSEG's CSF takes the blurred rim of the midbrain (colliculi, crura): tissue within 3 mm is given back. SAMSEG's
    cerebellum reaches into the pons: its white matter in front of the fourth ventricle and medial to the trigeminal
    root entry is given back.
    """
    x, y, z = np.abs(sources.x), sources.y, sources.z
    tissue = sources.grey + sources.white > 0.5
    diencephalon = structures["ventral_diencephalon"] | mirrored(structures["ventral_diencephalon"])
    geniculate = diencephalon & (x >= GENICULATE_MEDIAL_MM) & (y >= GENICULATE_ANTERIOR_MM) & (z >= GENICULATE_LOWER_MM)
    stem = structures["brain_stem"]
    core = (stem | diencephalon) & ~geniculate
    above_pons = z > PONTOMESENCEPHALIC.height(y)
    fluid = (structures["csf"] & above_pons & (y <= COLLICULI_BACK_MM)) | structures["fourth_ventricle"]
    core = (core | (fluid & (distance_mm(core) <= 3.0))) & tissue
    core &= ~above_pons | (x <= CRUS_LATERAL_MM)
    below_pons = z < PONTOMEDULLARY.height(y)
    cerebellum = structures["cerebellum"] | mirrored(structures["cerebellum"])
    peduncle = cerebellum & (x <= TRIGEMINAL_ENTRY_MM) & (y <= FOURTH_VENTRICLE_FRONT_MM) & (sources.white > 0.5)
    parts = {
        "midbrain": core & above_pons & (z < DIENCEPHALIC.height(y)),
        "pons": ((core & ~diencephalon) | peduncle) & ~above_pons & ~below_pons,
        "medulla": core & ~diencephalon & below_pons & (z >= FORAMEN_MAGNUM_MM),
    }
    rounded = {
        name: largest_component(np.asarray(smooth(mask, 0.8) > 0.5, dtype=np.bool_)) for name, mask in parts.items()
    }
    return {**rounded, "geniculate": geniculate}


def capsule(structures: dict[str, Mask], insula: Mask, sources: Sources) -> Mask:
    """Left external + extreme capsule with the claustrum between them.

    It is the strip lateral to the putamen whose distances to the putamen and to the insular cortex add up to 9 mm at
    most, or that the JHU external capsule (dilated 1 mm) covers.
    """
    putamen = structures["putamen"]
    to_putamen, to_insula = distance_mm(putamen), distance_mm(insula)
    strip = (to_putamen + to_insula <= 9.0) & (to_putamen <= 7.0)
    jhu = _symmetric(sources.jhu, JHU_EXTERNAL_CAPSULE)
    jhu = np.asarray(ndimage.binary_dilation(jhu, iterations=1), dtype=np.bool_)
    rows: Mask = np.any(putamen, axis=2)  # (k, j) rows that hold putamen
    rows = np.asarray(ndimage.binary_dilation(rows, iterations=2), dtype=np.bool_)
    medial_edge = np.where(rows, np.where(putamen, sources.x, -np.inf).max(axis=2), np.inf)
    filled = np.where(np.isfinite(medial_edge), medial_edge, -np.inf)
    filled = ndimage.grey_dilation(filled, size=(5, 5))  # rows just beyond the putamen take their neighbour's edge
    lateral = sources.x > np.where(np.isfinite(filled), filled, np.inf)[:, :, None] - 1.0
    allowed = structures["white_matter"] | (structures["cortex"] & ~insula)
    return np.asarray(
        (strip | jhu) & lateral & allowed & rows[:, :, None] & (sources.white + sources.grey > 0.7), dtype=np.bool_
    )


def build_labels(sources: Sources) -> Array:
    """The label map, uint8 (k, j, i)."""
    s = symmetric_half(sources.samseg)
    left_side = np.broadcast_to(sources.x > 0, sources.grey.shape)
    inside = sources.brain_mask
    tissue = sources.grey + sources.white
    fluid = inside & (tissue < 0.5)
    cortex = s["cortex"] & inside & ~fluid
    lobe = lobes(sources, cortex)
    numbers = label_numbers()
    out = np.zeros(sources.grey.shape, dtype=np.uint8)

    def put(name: str, mask: Mask, *, over: bool = False) -> None:
        free = mask & inside if over else mask & inside & (out == 0)
        if name in numbers:
            out[free] = numbers[name]
            return
        free = free & left_side
        out[free] = numbers[f"{name}_left"]
        out[mirrored(free)] = numbers[f"{name}_right"]

    stem = brain_stem_parts(s, sources)
    for name in ("midbrain", "pons", "medulla"):
        put(name, stem[name])
    put("thalamus", stem["geniculate"])
    for name in ("thalamus", "putamen", "pallidum", "caudate", "hippocampus_amygdala", "lateral_ventricle"):
        put(name, s[name])
    for name in ("third_ventricle", "fourth_ventricle"):
        put(name, s[name] & (tissue < 0.6))
    put("cerebellum", (s["cerebellum"] | mirrored(s["cerebellum"])) & (tissue >= 0.5))

    white = s["white_matter"] | (s["white_matter_lesion"] & left_side)
    callosum = _symmetric(sources.jhu, JHU_CORPUS_CALLOSUM)
    near = np.asarray(ndimage.binary_dilation(callosum), dtype=np.bool_) & (np.abs(sources.x) <= 16)
    both_white = white | mirrored(white)
    put("corpus_callosum", near & both_white & (sources.white > 0.5))
    put("external_extreme_capsule", capsule(s, lobe["cortex_insula"] & (sources.grey > 0.4), sources))
    internal = _symmetric(sources.jhu, JHU_INTERNAL_CAPSULE)
    put("internal_capsule", internal & white)
    for name, mask in lobe.items():
        put(name, mask)
    put("white_matter", white & (sources.white > 0.5))
    put("white_matter", white & ~fluid)
    put("sulcal_csf", fluid)
    return trimmed(out, sources.x, sources.y, sources.z)


def trimmed(labels: Array, x: Float, y: Float, z: Float) -> Array:
    """The label map with two cuts.

    The lowest part of the geniculate strip becomes unlabelled. The root of the middle cerebellar peduncle becomes
    cerebellum.

    Args:
        labels: uint8, shape (k, j, i).
        x, y, z: LPS mm, broadcastable to that shape.
    """
    numbers, out = label_numbers(), labels.copy()
    thalami = np.isin(labels, [numbers["thalamus_left"], numbers["thalamus_right"]])
    strip = (np.abs(x) >= GENICULATE_MEDIAL_MM) & (y >= GENICULATE_ANTERIOR_MM) & (z < METATHALAMUS_LOWER_MM)
    out[thalami & strip] = 0
    out[(labels == numbers["pons"]) & (np.abs(x) > PONS_LATERAL_MM)] = numbers["cerebellum"]
    return out
