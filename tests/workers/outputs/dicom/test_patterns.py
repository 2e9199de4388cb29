"""Decisions with each pattern, with and without a baseline: valid, and read back with every figure and mask."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.dicom_results import problems_of
from tests.workers.outputs.dicom.result_builders import a_decision, labels, nifti
from triage.fluid import atrophy
from triage.lesions import burden, enhancement, focal, mass_effect
from triage.signal import single_scan
from workers.outputs.all import OUTPUTS
from workers.outputs.dicom import codes

UNITS = {"restricted_volume_ml": "mL", "lesion_volume_ml": "mL", "fluid_volume_ml": "mL"}
FIGURES: dict[str, list[tuple[str, str, float]]] = {
    "A": [("thalamus_left", "flair_change_percent", 30.25)],
    "B": [("brain", "lesion_count", 3.0), ("brain", "lesion_volume_ml", 2.125)],
    "C": [("brain", "restricted_volume_ml", 4.5), ("brain", "restricted_gyri", 3.0)],
    "D": [("sulcal_csf", "volume_change_percent", -41.5), ("sulcal_csf", "fluid_volume_ml", 11.0)],
}
CASES = [
    pytest.param("A", True, id="A"),
    pytest.param("B", False, id="B, single scan"),
    pytest.param("C", False, id="C, single scan"),
    pytest.param("D", True, id="D"),
]


def stored(folder: Path, pattern: str, *, compared: bool) -> Path:
    """The result folder of a decision with one pattern. Restricted tissue lies in the left cortex only."""
    document, evidence = a_decision(compared=compared)
    rows: list[dict[str, Any]] = document["measurements"]
    for region, quantity, value in FIGURES[pattern]:
        rows[:] = [one for one in rows if (one["region"], one["quantity"]) != (region, quantity)]
        unit = UNITS.get(quantity, "%" if quantity.endswith("_percent") else "1")
        rows.append(rows[0] | {"region": region, "quantity": quantity, "value": value, "unit": unit})
        rows[-1] |= {"uncertainty": 0.5, "assessable": True, "reason": None}
    for finding in document["findings"]:
        finding |= {"presence": "present" if finding["pattern"] == pattern else "absent"}
    if pattern == "C":
        restricted = np.zeros_like(labels())
        restricted[5, 11, 20:24] = 1
        evidence["restricted.nii.gz"] = nifti(restricted)
    for name, content in {**evidence, "document.json": json.dumps(document).encode()}.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("pattern", "compared"), CASES)
def test_independent_programs_read_it(tmp_path: Path, pattern: str, *, compared: bool) -> None:
    wrong, objects = problems_of(stored(tmp_path, pattern, compared=compared))
    assert wrong == []
    assert objects == (11 if compared else 9)


def test_the_check_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask on the other side, and a figure that is another one."""
    folder = stored(tmp_path, "C", compared=False)
    other = np.zeros_like(labels())
    other[5, 11, 6:10] = 1
    known = {one.kind: one for one in OUTPUTS}

    def segments(document: Any, evidence: Any) -> bytes:
        return known["seg"].render(document, {**evidence, "restricted.nii.gz": nifti(other)})

    def report(document: Any, evidence: Any) -> bytes:
        changed = json.loads(json.dumps(document).replace("4.5,", "4.75,"))
        return known["sr"].render(changed, evidence)

    made = (replace(known["seg"], render=segments), replace(known["sr"], render=report))
    monkeypatch.setattr("bench.dicom_results.OUTPUTS", made)
    monkeypatch.setattr("bench.dicom_results.ON_REQUEST", ())
    wrong, _ = problems_of(folder)
    assert [one.split(":")[0] for one in wrong] == ["tid1500reader", "segimage2itkimage"]


QUANTITIES = [
    *(name for name, _ in (*burden.QUANTITIES, *focal.QUANTITIES, *enhancement.QUANTITIES)),
    *(mass_effect.QUANTITY, atrophy.SHARE, single_scan.EXCESS, single_scan.ASYMMETRY, "fluid_volume_ml"),
    *(quantity for some in FIGURES.values() for _, quantity, _ in some),
]


@pytest.mark.parametrize("quantity", sorted(set(QUANTITIES)))
def test_every_quantity_has_a_code_of_its_own(quantity: str) -> None:
    """A program that reads the report by codes must not take one figure for another."""
    assert codes.quantity_code(quantity) != codes.UNKNOWN_QUANTITY.code
    assert sum(one.code == codes.quantity_code(quantity) for one in codes.QUANTITIES.values()) == 1
