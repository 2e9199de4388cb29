"""The committed atlas: one grid, every region, both sides alike, plausible volumes, agreement with a reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import atlas
from atlas.check import TEXTBOOK_ML, Agreement, agreements, reference_folder, sanity, volumes_ml
from atlas.parcellation import PAIRED, SINGLE
from triage.alignment.template import coarse_images

# Dice reached against the Allen reference when the atlas was made (PROVENANCE.md)
REACHED = {"thalamus_left": 0.881, "thalamus_right": 0.881, "midbrain": 0.874, "pons": 0.922, "medulla": 0.908}


def centroid_mm(region: str) -> np.ndarray:
    """Centre of mass in LPS mm."""
    loaded = atlas.load()
    number = {name: n for n, name in loaded.label_names.items()}[region]
    index = np.argwhere(loaded.labels.voxels == number).mean(0)[::-1]
    return np.asarray((loaded.labels.affine @ np.append(index, 1.0))[:3])


def test_every_region_is_there() -> None:
    expected = {*SINGLE, *(f"{name}_{side}" for name in PAIRED for side in ("left", "right"))}
    assert {name for name, ml in volumes_ml(atlas.load()).items() if ml > 0} == expected


def test_one_grid() -> None:
    loaded = atlas.load()
    for name in ("template_t1", "template_flair", "grey", "white", "brain_mask"):
        volume = getattr(loaded, name)
        assert volume.voxels.shape == loaded.labels.voxels.shape, name
        np.testing.assert_allclose(volume.affine, loaded.labels.affine, err_msg=name)


def test_grid_is_one_millimetre() -> None:
    assert atlas.load().labels.spacing_mm == pytest.approx((1.0, 1.0, 1.0))


def test_labels_lie_inside_the_brain() -> None:
    loaded = atlas.load()
    assert not (loaded.labels.voxels[loaded.brain_mask.voxels == 0]).any()


@pytest.mark.parametrize("region", PAIRED)
def test_left_is_the_patients_left_and_mirrors_the_right(region: str) -> None:
    left, right = centroid_mm(f"{region}_left"), centroid_mm(f"{region}_right")
    assert left[0] > 0 > right[0]  # LPS
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=0.5)


@pytest.mark.parametrize("region", SINGLE)
def test_central_regions_are_central(region: str) -> None:
    assert abs(centroid_mm(region)[0]) < 0.5


def test_brain_stem_is_stacked() -> None:
    heights = [centroid_mm(region)[2] for region in ("thalamus_left", "midbrain", "pons", "medulla")]
    assert heights == sorted(heights, reverse=True)


def test_capsule_lies_between_putamen_and_insula() -> None:
    x = [centroid_mm(f"{region}_left")[0] for region in ("putamen", "external_extreme_capsule", "cortex_insula")]
    assert x == sorted(x)


def test_volumes_and_symmetry_are_plausible() -> None:
    failed = [f"{name}: {figures}" for name, passed, figures in sanity(atlas.load()) if not passed]
    assert failed == []


def test_every_region_has_a_textbook_range() -> None:
    assert set(TEXTBOOK_ML) == {*SINGLE, *PAIRED}


def test_flair_contrast() -> None:
    """CSF dark, cortex brighter than white matter."""
    loaded = atlas.load()
    number = {name: n for n, name in loaded.label_names.items()}
    median = {
        name: float(np.median(loaded.template_flair.voxels[loaded.labels.voxels == number[name]]))
        for name in ("lateral_ventricle_left", "white_matter_left", "cortex_frontal_left", "thalamus_left")
    }
    assert median["lateral_ventricle_left"] < 70 < median["white_matter_left"] < median["cortex_frontal_left"]
    assert median["white_matter_left"] < median["thalamus_left"] < 120


def test_loaded_once_and_read_only() -> None:
    assert atlas.load() is atlas.load()
    with pytest.raises(ValueError, match="read-only"):
        atlas.load().labels.voxels[0, 0, 0] = 1


@pytest.fixture(scope="module")
def against_reference() -> dict[str, Agreement]:
    folder = reference_folder()
    if not folder.is_dir():
        pytest.skip(f"the reference folder {folder} is missing; set ICANSEE_SHARED")
    return {row.region: row for row in agreements(atlas.load(), folder)}


@pytest.mark.real
@pytest.mark.parametrize(("region", "reached"), REACHED.items())
def test_agrees_with_the_allen_reference(region: str, reached: float, against_reference: dict[str, Agreement]) -> None:
    assert against_reference[region].dice >= reached - 0.02


def test_the_coarse_images_are_those_of_the_atlas() -> None:
    """Another processor may round the last bits otherwise."""
    fine = atlas.load_fine()
    made, stored = coarse_images(fine), atlas.load().coarse
    assert not fine.coarse
    assert made.keys() == stored.keys()
    for name, image in made.items():
        np.testing.assert_allclose(stored[name], image, rtol=1e-5, atol=1e-5, err_msg=name)


def test_coarse_images_of_another_atlas_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    older = replace(atlas.load(), version="0.9")
    monkeypatch.setattr(atlas, "load_fine", lambda: older)
    with pytest.raises(RuntimeError, match=r"not 0\.9: run python -m atlas\.coarse"):
        atlas.load.__wrapped__()
