"""Dumps of the objects of the small decision, as they were when somebody last looked at them.

A change that is meant: ``python -m tests.workers.outputs.dicom.test_golden`` writes them anew; read the difference.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tests.workers.outputs.dicom.result_builders import a_decision
from workers.outputs.all import ON_REQUEST, OUTPUTS

FOLDER = Path(__file__).parent / "golden"
KINDS = ("sr", "seg", "gsps", "pm", "sc_pages", "kos", "reg", "retract")
LEFT_OUT = {"PixelData", "FloatPixelData", "SoftwareVersions", "ContributingEquipmentSequence"}  # versions of programs
VERSION_ITEMS = {"111003", "111002"}  # algorithm version and parameters


def dump(kind: str) -> str:
    """The data set as text, a line for each value; without pixels, and without versions of programs."""
    known = {one.kind: one for one in (*OUTPUTS, *ON_REQUEST)}
    return "\n".join(_lines(dcmread(io.BytesIO(known[kind].render(*a_decision()))), "")) + "\n"


def _lines(ds: Dataset, indent: str) -> list[str]:
    found: list[str] = []
    for element in ds:
        if element.keyword in LEFT_OUT or _is_version(ds, element):
            continue
        if element.VR == "SQ":
            found.append(f"{indent}{element.keyword}: {len(element.value)}")
            for item in element.value:
                found += [f"{indent} -", *_lines(item, indent + "  ")]
        else:
            found.append(f"{indent}{element.keyword} {element.VR} {_text(element.value)}")
    return found


def _text(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _is_version(ds: Dataset, element: Any) -> bool:
    names = ds.get("ConceptNameCodeSequence") or ()
    return element.keyword in ("TextValue", "AlgorithmVersion") and (
        element.keyword == "AlgorithmVersion" or any(one.CodeValue in VERSION_ITEMS for one in names)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_object_is_as_it_was(kind: str) -> None:
    assert dump(kind) == (FOLDER / f"{kind}.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for one in KINDS:
        (FOLDER / f"{one}.txt").write_text(dump(one), encoding="utf-8")
