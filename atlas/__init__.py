"""The anatomical atlas in MNI152 2009a symmetric space: files in ``atlas/data``, read once by :func:`load`.

Nothing is computed here; ``atlas.build`` and ``atlas.coarse`` make the files, ``atlas.check`` compares them with an
independent reference.
"""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK ships stubs without argument types

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.model import Atlas, Volume

__all__ = ["load"]


def _volume(name: str, dtype: type[np.generic]) -> Volume:
    """One NIfTI of the package as a Volume (k, j, i) with its affine to LPS mm."""
    import SimpleITK as sitk

    with resources.as_file(resources.files(__name__) / "data" / f"{name}.nii.gz") as path:
        image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(image.GetDirection()).reshape(3, 3) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    voxels = sitk.GetArrayFromImage(image).astype(dtype)
    voxels.setflags(write=False)  # shared by every caller through the cache
    return Volume(voxels=voxels, affine=affine)


@lru_cache(maxsize=1)
def load() -> Atlas:
    """The atlas; labels and brain mask uint8 (mask 0 or 1), grey and white float32 0..255, templates float32 0..255.

    Raises:
        RuntimeError: ``coarse.npz`` was made of another version of the atlas.
    """
    fine = load_fine()
    return replace(fine, coarse=_coarse(fine.version))


def load_fine() -> Atlas:
    """The atlas without its coarse images."""
    text = (resources.files(__name__) / "data" / "labels.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return Atlas(
        template_t1=_volume("template_t1", np.float32),
        template_flair=_volume("template_flair", np.float32),
        grey=_volume("grey", np.float32),
        white=_volume("white", np.float32),
        brain_mask=_volume("brain_mask", np.uint8),
        labels=_volume("labels", np.uint8),
        label_names={int(number): str(name) for number, name in document["labels"].items()},
        version=str(document["version"]),
    )


def _coarse(version: str) -> dict[str, npt.NDArray[np.float32]]:
    with resources.as_file(resources.files(__name__) / "data" / "coarse.npz") as path, np.load(path) as file:
        arrays = {str(name): file[name] for name in file.files}
    made_of = str(arrays.pop("version"))
    if made_of != version:
        raise RuntimeError(f"coarse.npz is of atlas {made_of}, not {version}: run python -m atlas.coarse")
    for array in arrays.values():
        array.setflags(write=False)  # shared by every caller through the cache
    return arrays
