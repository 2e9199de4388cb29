"""DICOM results of stored decisions, as independent programs find them.

    python -m bench.dicom_results FOLDER... [--most 10]

FOLDER: any folder with result folders in it (``document.json`` with ``sources.json`` beside it), e.g. the
``results`` of a node. Of decisions with the same category, present patterns, stage and kind of comparison one is
taken. Every DICOM output is rendered and given to dciodvfy; the report to PixelMed's DicomSRValidator, dsrdump and
dcmqi's tid1500reader, whose figures must be those of the document; the segments to dcmqi's segimage2itkimage, whose
voxels must lie where those of the evidence lie.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.spatial import cKDTree

from workers.outputs.all import ON_REQUEST, OUTPUTS
from workers.outputs.dicom import codes

BIN = Path(sys.executable).parent
PIXELMED = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:MaxRAMPercentage=50"]  # a report can take 5 GB
PIXELMED += [f"-Djdk.xml.xpath{what}Limit=0" for what in ("TotalOp", "ExprOp", "ExprGrp")]
PIXELMED += ["-cp", "/usr/share/java/pixelmed.jar", "com.pixelmed.validate.DicomSRValidator"]
SAME_PLACE_MM = 0.02
CHARACTERS = "W: The VR checker does not support this Specific Character Set: ISO_IR 192"  # dcmtk's word about UTF-8


def decisions_in(folders: list[Path]) -> dict[str, Path]:
    """What a decision is like -> the folder of one such decision."""
    found: dict[str, Path] = {}
    for path in sorted(path for folder in folders for path in folder.rglob("sources.json")):
        document = _document(path.parent)
        if document is not None:
            found.setdefault(_like(document), path.parent)
    return found


def problems_of(folder: Path) -> tuple[list[str], int]:
    """What is wrong with the objects of one decision, and how many objects there are."""
    document, evidence = _document(folder), {path.name: path.read_bytes() for path in folder.iterdir()}
    assert document is not None
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        for one in (*OUTPUTS, *ON_REQUEST):
            if one.media_type == "application/dicom" and one.applies(document, evidence):
                (out / one.kind).write_bytes(one.render(document, evidence))
        kinds = sorted(path.name for path in out.iterdir())
        for kind in kinds:
            done = _run("/usr/bin/dciodvfy", "-new", out / kind)
            if done.returncode or any(line.startswith("Error") for line in done.stderr.splitlines()):
                wrong.append(f"dciodvfy: {kind}: {done.stderr[:300]}")
        if "sr" in kinds:
            wrong += _of_report(out, document)
        if "seg" in kinds:
            wrong += _of_segments(out, evidence)
    return wrong, len(kinds)


def _of_report(out: Path, document: Mapping[str, Any]) -> Iterator[str]:
    said = _run(*PIXELMED, out / "sr")
    lines = (said.stdout + said.stderr).splitlines()
    if not any("Root Template Validation Complete" in line for line in lines):
        yield "DicomSRValidator did not finish"
    yield from (f"DicomSRValidator: {line}" for line in lines if "Error" in line)
    dump = _run("/usr/bin/dsrdump", out / "sr")
    if dump.returncode or [line for line in dump.stderr.splitlines() if line and line != CHARACTERS]:
        yield f"dsrdump: {dump.stderr[:300]}"
    done = _run(BIN / "tid1500reader", "--inputDICOM", out / "sr", "--outputMetadata", out / "sr.json")
    if done.returncode:
        yield f"tid1500reader: {done.stderr[-300:]}"
        return
    groups = json.loads((out / "sr.json").read_text())["Measurements"]
    read = Counter(
        (item["quantity"]["CodeValue"], float(item["value"])) for g in groups for item in g["measurementItems"]
    )
    meant = Counter[tuple[str, float]]()
    for row in document["measurements"]:
        for value in (row["value"], row["uncertainty"] if row["value"] is not None else None):
            if value is not None:
                meant[codes.quantity_code(row["quantity"]).value, float(value)] += 1
    days = document["study"]["days_after_infusion"]
    if days is not None:
        meant["CARTDAYS", float(days)] += 1
    if not _alike(read, meant):
        yield f"tid1500reader: {len(read - meant)} figures are not of the document, {len(meant - read)} are missing"
    if unknown := {code for code, _ in read if code == codes.UNKNOWN_QUANTITY.code.value}:
        yield f"a quantity has no code of its own: {unknown}"


def _alike(read: Counter[tuple[str, float]], meant: Counter[tuple[str, float]]) -> bool:
    """A decimal string has 16 signs."""
    one, other = sorted(read.elements()), sorted(meant.elements())
    return len(one) == len(other) and all(
        a[0] == b[0] and np.isclose(a[1], b[1], rtol=1e-9, atol=1e-12) for a, b in zip(one, other, strict=True)
    )


def _of_segments(out: Path, evidence: Mapping[str, bytes]) -> Iterator[str]:
    command = [BIN / "segimage2itkimage", "--inputDICOM", out / "seg", "--outputDirectory", out]
    done = _run(*command, "-t", "nifti", "--prefix", "x")
    if done.returncode:
        yield f"segimage2itkimage: {done.stderr[-300:]}"
        return
    names = {name: int(label) for label, name in json.loads(evidence["regions.json"]).items()}
    labels = _voxels(out, evidence["regions.nii.gz"])
    for (one,) in json.loads((out / "x-meta.json").read_text())["segmentAttributes"]:
        name = one["SegmentLabel"]
        if name == "brain":
            mask = _points(labels, lambda array: array > 0)
        elif name in names:
            mask = _points(labels, lambda array, label=names[name]: array == label)  # type: ignore[misc]
        else:
            mask = _points(_voxels(out, evidence[f"{name}.nii.gz"]), lambda array: array > 0)
        read = _points(sitk.ReadImage(str(out / f"x-{one['labelID']}.nii.gz")), lambda array: array > 0)
        if len(read) != len(mask) or (len(mask) and cKDTree(mask).query(read)[0].max() > SAME_PLACE_MM):
            yield f"segimage2itkimage: {name}: {len(read)} voxels, {len(mask)} in the evidence, or elsewhere"


def _points(image: Any, wanted: Any) -> Any:
    """LPS mm of the voxels that are wanted."""
    index = np.argwhere(wanted(sitk.GetArrayFromImage(image)))[:, ::-1]
    direction = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return index @ direction.T + np.array(image.GetOrigin())


def _voxels(out: Path, content: bytes) -> Any:
    path = out / "evidence.nii.gz"
    path.write_bytes(content)
    return sitk.ReadImage(str(path))


def _document(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.load(io.BytesIO((folder / "document.json").read_bytes()))
    except (OSError, ValueError):
        return None
    return found if "decision" in found else None


def _like(document: Mapping[str, Any]) -> str:
    present = "".join(sorted(one["pattern"] for one in document["findings"] if one["presence"] == "present"))
    compared = "baseline" if (document["baseline"] or {}).get("study_instance_uid") else "no baseline"
    return f"{document['decision']['category']}, patterns {present or '-'}, {compared}, {document['stage']}"


def _run(*command: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=20, help="decisions")
    arguments = parser.parse_args()
    bad = 0
    for like, folder in list(decisions_in(arguments.folders).items())[: arguments.most]:
        wrong, count = problems_of(folder)
        bad += bool(wrong)
        print(f"{like}: {count} objects, " + ("; ".join(wrong) if wrong else "all valid and read back"), flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
