"""Outcomes in, the volumes of the browser's viewer out: orientation, units, what is left out, and single slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.workers.outputs.evidence.evidence_builders import NAMES, ORIENTATIONS, SPOT, an_outcome, grid, points
from tests.workers.outputs.evidence.test_files import alone, refused, without_regions
from triage.assessment import Assessed
from triage.model import Volume
from triage.report.evidence import on_followup_grid
from workers.outputs.evidence import volumes
from workers.outputs.evidence.volumes import turned, write_volumes
from workers.outputs.viewer_files import DamagedVolume, ViewerFolder, file_name

COMPARED = ["followup", "baseline", "difference", "regions"]
OTHERS = ["new_lesions", "dwi", "adc", "t1", "t1_gd", "baseline_dwi", "baseline_adc", "baseline_t1"]


def written(folder: Path, outcome: Assessed) -> ViewerFolder:
    maps = None if outcome.evidence is None else on_followup_grid(outcome.evidence)
    write_volumes(folder, outcome, maps)
    return ViewerFolder(folder)


def array(viewer: ViewerFolder, name: str) -> npt.NDArray[Any]:
    row = viewer.volume(name)
    assert row is not None
    return np.frombuffer(b"".join(viewer.unpacked(name)), row["type"]).reshape(row["shape"])


def with_series(outcome: Assessed) -> Assessed:
    """DWI, ADC and T1 on coarse grids of their own, and a lesion 2 on the left."""
    assert outcome.evidence is not None
    shape, affine = grid(np.eye(3), (2.0, 2.0, 6.0))
    p = points(shape, affine)
    head = np.where(np.linalg.norm(p, axis=0) < 60, 800.0, 0.0).astype(np.float32)
    lesion = np.where(np.linalg.norm(p - np.reshape((30, 0, 12), (3, 1, 1, 1)), axis=0) < 7, 2, 0).astype(np.uint8)
    evidence = replace(
        outcome.evidence,
        diffusion={"dwi": Volume(head, affine), "adc": Volume(head, affine)},
        contrast={"t1": Volume(head, affine), "t1_gd": Volume(head, affine)},
        before={"dwi": Volume(head, affine), "adc": Volume(head, affine), "t1": Volume(head, affine)},
        masks={"new_lesions": Volume(lesion, affine)},
    )
    return Assessed(outcome.assessment, evidence)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda o: o, COMPARED, id="compared"),
        pytest.param(with_series, [*COMPARED, *OTHERS], id="with other series"),
        pytest.param(
            lambda o: refused(with_series(o)),
            ["followup", "dwi", "adc", "t1", "t1_gd"],
            id="refused, with other series",
        ),
        pytest.param(alone, ["followup", "regions"], id="no baseline"),
        pytest.param(lambda o: without_regions(alone(o)), ["followup"], id="no baseline, no regions"),
        pytest.param(refused, ["followup"], id="refused registration: nothing that looks compared"),
    ],
)
def test_what_is_there(tmp_path: Path, change: Callable[[Assessed], Assessed], expected: list[str]) -> None:
    viewer = written(tmp_path, change(an_outcome()))
    assert [row["name"] for row in viewer.index()["volumes"]] == expected
    for row in viewer.index()["volumes"]:
        assert array(viewer, row["name"]).shape == tuple(row["shape"])


def test_noop_without_evidence_there_is_no_file(tmp_path: Path) -> None:
    viewer = written(tmp_path, Assessed(an_outcome().assessment, None))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        viewer.index()


@pytest.mark.parametrize("axes", ORIENTATIONS.values(), ids=list(ORIENTATIONS))
def test_left_is_the_last_column_in_every_orientation(tmp_path: Path, axes: npt.NDArray[Any]) -> None:
    """A bright rod on the left, in front: rows run to the back, columns to the left."""
    viewer = written(tmp_path, an_outcome(axes))
    frame = viewer.index()["frame"]
    for name in ("followup", "baseline"):
        voxels = array(viewer, name)
        index = np.argwhere(voxels > 200).mean(axis=0)
        _, back, left = index / (np.array(voxels.shape) - 1)
        assert left > 0.6
        assert back < 0.45
        lps = np.array(frame["affine_lps_mm"]) @ [index[2], index[1], index[0], 1.0]
        assert lps[:2] == pytest.approx(SPOT[:2], abs=2.5)


def test_values_have_their_units(tmp_path: Path) -> None:
    """White matter is 1.00 at both dates, whatever the gain; the thalami changed by a quarter."""
    viewer = written(tmp_path, with_series(an_outcome()))
    labels, thalamus = array(viewer, "regions"), 9
    for name, white in (("followup", 100), ("baseline", 100)):
        assert np.median(array(viewer, name)[labels == 13]) == white
    inside = array(viewer, "difference")[labels == thalamus]
    assert np.median(inside) == 25
    outside = array(viewer, "difference")[labels == 0]
    assert set(outside.tolist()) == {-128}
    adc, row = array(viewer, "adc"), viewer.volume("adc")
    assert row is not None
    assert adc.max() * row["step"] == 800
    assert np.array_equal(array(viewer, "baseline_adc"), adc), "one unit at both dates"
    assert row["spacing_mm"][0] > viewer.index()["frame"]["spacing_mm"][0] / 2


def test_places_lead_to_their_regions(tmp_path: Path) -> None:
    viewer = written(tmp_path, with_series(an_outcome()))
    index, labels = viewer.index(), array(viewer, "regions")
    assert {one["name"] for one in index["regions"]} == set(NAMES.values())
    for one in index["regions"]:
        k, j, i = np.rint(np.array(one["place_mm"]) / index["frame"]["spacing_mm"]).astype(int)
        for cut in (labels[k], labels[:, j], labels[:, :, i]):
            assert (cut == one["label"]).any(), one["name"]
    [(number, place)] = index["masks"]["new_lesions"]["places_mm"].items()
    at = np.rint(np.array(place) / index["frame"]["spacing_mm"]).astype(int)
    assert number == "2"
    assert (array(viewer, "new_lesions")[at[0]] == 2).any()


def test_a_fine_scan_is_halved_and_stays_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = array(written(tmp_path, an_outcome()), "followup")
    (half := tmp_path / "half").mkdir()
    monkeypatch.setattr(volumes, "MOST_VOXELS", whole.size // 3)
    viewer = written(half, an_outcome())
    voxels = array(viewer, "followup")
    assert voxels.size <= whole.size // 3
    index = np.argwhere(voxels > 200).mean(axis=0)
    lps = np.array(viewer.index()["frame"]["affine_lps_mm"]) @ [index[2], index[1], index[0], 1.0]
    assert lps[:2] == pytest.approx(SPOT[:2], abs=2.5)
    assert np.median(array(viewer, "difference")[array(viewer, "regions") == 9]) == 25


@pytest.mark.parametrize("axes", ORIENTATIONS.values(), ids=list(ORIENTATIONS))
def test_turning_moves_no_voxel(axes: npt.NDArray[Any]) -> None:
    shape, affine = grid(axes, (10.0, 20.0, 30.0))
    where = points(shape, affine)
    for axis in range(3):
        volume = turned(Volume(where[axis], affine))
        again = points(volume.voxels.shape, volume.affine)[axis]  # type: ignore[arg-type]
        np.testing.assert_allclose(volume.voxels, again)
        assert volume.affine[axis, axis] > 0


def test_one_slice_is_read_without_the_others(tmp_path: Path) -> None:
    viewer = written(tmp_path, an_outcome())
    for name in COMPARED:
        voxels = array(viewer, name)
        for number in (0, len(voxels) // 2, len(voxels) - 1):
            assert viewer.axial(name, number) == voxels[number].tobytes()
    assert viewer.axial("followup", len(voxels)) is None
    assert viewer.axial("followup", -1) is None


@pytest.mark.parametrize("name", ["../document", "document.json", "", "regions.nii.gz", "followup\n"])
def test_only_named_volumes_have_a_path(tmp_path: Path, name: str) -> None:
    viewer = written(tmp_path, an_outcome())
    with pytest.raises(FileNotFoundError):
        viewer.path(name)


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    viewer = written(tmp_path, an_outcome())
    path = tmp_path / file_name("followup")
    path.write_bytes(path.read_bytes()[:20] + b"\xff" * 400)
    with pytest.raises(DamagedVolume):
        list(viewer.unpacked("followup"))
    with pytest.raises(DamagedVolume):
        viewer.axial("followup", 0)
    (tmp_path / "viewer.json").write_text("{}")
    with pytest.raises(DamagedVolume):
        viewer.index()
