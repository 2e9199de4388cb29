"""Names of the atlas regions, and what kind of tissue each is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.libraries import ndi
from triage.model import Mask

THALAMI = ("thalamus_left", "thalamus_right")
BRAIN_STEM = ("midbrain", "pons", "medulla")
CAPSULES = ("external_extreme_capsule_left", "external_extreme_capsule_right")
WHITE = ("white_matter_left", "white_matter_right")
VENTRICLES = ("lateral_ventricle_left", "lateral_ventricle_right", "third_ventricle", "fourth_ventricle")
CSF = (*VENTRICLES, "sulcal_csf")


_GROUP_OF = {
    "midbrain": "brain_stem", "pons": "brain_stem", "medulla": "brain_stem",
    "hippocampus_amygdala": "cortex", "corpus_callosum": "white", "internal_capsule": "white",
    "external_extreme_capsule": "white", "white_matter": "white",
}  # fmt: skip


def tissue_group(region: str) -> str:
    """The group of regions that share one expected intensity: both sides, all CSF, all cortex, all white matter."""
    base = region.removesuffix("_left").removesuffix("_right")
    if region in CSF:
        return "csf"
    return "cortex" if base.startswith("cortex") else _GROUP_OF.get(base, base)


def mask_of(labels: npt.NDArray[Any], names: Mapping[int, str], regions: Iterable[str]) -> Mask:
    """Boolean mask (k, j, i) of the union of the named regions."""
    wanted = set(regions)
    return np.asarray(np.isin(labels, [label for label, name in names.items() if name in wanted]))


def midline(labels: npt.NDArray[np.uint8], names: Mapping[int, str]) -> tuple[npt.NDArray[np.float64], float]:
    """The plane between the paired regions on a cubic grid: ``index @ normal = offset``.

    Returns:
        Unit normal (k, j, i), and its offset in voxels.
    """
    of = {name: label for label, name in names.items()}
    pairs = [(of[n], of[n.removesuffix("_left") + "_right"]) for n in of if n.endswith("_left")]
    here = np.bincount(labels.ravel(), minlength=256) > 0
    wanted = [label for pair in pairs if here[list(pair)].all() for label in pair]
    centres = np.array(ndi.center_of_mass(labels > 0, labels, wanted)).reshape(-1, 2, 3)
    across = (centres[:, 0] - centres[:, 1]).sum(axis=0)
    normal = across / np.linalg.norm(across)
    return normal, float((centres.mean(axis=1) @ normal).mean())
