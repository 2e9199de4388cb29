"""Headers and figures as they are not usual: none costs an object, above all not the rejection note, or is left out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workers.outputs.dicom.result_builders import a_decision
from tests.workers.outputs.dicom.test_objects import DICOM, MADE, read, said_of_the_report
from workers.outputs.beside import SITE_ZONE
from workers.outputs.sources import FILE_NAME


def header(**stated: str) -> Callable[[dict[str, Any]], None]:
    """A change of the follow-up's header in stored sources."""
    return lambda row: row["followup"]["header"].update(stated)


def images(change: Callable[[int, dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """A change of each image of the follow-up's FLAIR."""

    def changed(row: dict[str, Any]) -> None:
        for number, one in enumerate(row["followup"]["series"][0]["instances"]):
            change(number, one)

    return changed


def turned(number: int, one: dict[str, Any], by: float) -> None:
    one["orientation"] = [1.0, by * (number % 2), 0.0, 0.0, 1.0, 0.0]


def one_frame_of_reference(row: dict[str, Any]) -> None:
    """At both dates, as some anonymisers write it."""
    followup, baseline = row["followup"]["series"][0], row["baseline"]["series"][0]
    followup["frame_of_reference_uid"] = baseline["frame_of_reference_uid"]


UNFRAMED = {"seg", "pm", "reg"}
ODD = [
    pytest.param(header(), set(), id="no-op: as usual"),
    *(pytest.param(header(PatientSex=sex), set(), id=f"sex {sex}") for sex in ("U", "D", "W", "m", "Female")),
    pytest.param(header(PatientName="Doe\\X^Jane"), set(), id="a backslash in the name"),
    pytest.param(header(PatientName="DOE JANE"), set(), id="no caret in the name"),
    pytest.param(header(PatientID="1\\2", AccessionNumber="A1\\A2", StudyID="1\\2"), set(), id="several numbers"),
    pytest.param(header(StudyDescription="MRT Kopf\\Hals"), set(), id="several descriptions"),
    pytest.param(header(TimezoneOffsetFromUTC="CET"), set(), id="an offset of another form"),
    pytest.param(header(StudyDate="", StudyTime="", PatientBirthDate=""), set(), id="no dates"),
    pytest.param(images(lambda n, one: turned(n, one, 1e-6)), set(), id="directions that differ by rounding"),
    pytest.param(images(lambda n, one: turned(n, one, 1e-4)), set(), id="directions that differ by more rounding"),
    pytest.param(images(lambda n, one: turned(n, one, 5e-4 + 1e-6)), set(), id="directions on both sides of a digit"),
    pytest.param(images(lambda _, one: one.update(window=[300.0, 0.0])), set(), id="a window without width"),
    pytest.param(images(lambda _, one: one.update(window=[300.0, -5.0])), set(), id="a window of negative width"),
    pytest.param(images(lambda _, one: one.update(thickness_mm=None)), set(), id="no thickness"),
    pytest.param(one_frame_of_reference, {"reg"}, id="one frame of reference for both dates"),
    pytest.param(
        lambda row: row["followup"]["series"][0].update(frame_of_reference_uid=""),
        UNFRAMED,
        id="not measured: no frame of reference",
    ),
]


@pytest.mark.parametrize(("change", "missing"), ODD)
def test_odd_headers_cost_no_object(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], missing: set[str]
) -> None:
    document, evidence = a_decision()
    row = json.loads(evidence[FILE_NAME])
    change(row)
    evidence[FILE_NAME] = json.dumps(row).encode()
    applying = {kind for kind, one in DICOM.items() if one.applies(document, evidence)}
    assert applying == MADE["compared"] - missing
    for kind in applying - {"sc", "sc_pages", "pdf", "outdated"}:  # as the others, without images
        path = tmp_path / kind
        path.write_bytes(DICOM[kind].render(document, evidence))
        done = subprocess.run(["/usr/bin/dciodvfy", "-new", path], capture_output=True, text=True, check=False)
        assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == [], kind
        ds = read(path.read_bytes())
        assert {ds[name].VM for name in ("PatientID", "PatientName", "AccessionNumber", "StudyID")} <= {0, 1}


def test_an_object_states_what_the_images_state() -> None:
    document, evidence = a_decision()
    row = json.loads(evidence[FILE_NAME])
    long = "9" * 80
    header(PatientSex="f", PatientID=long, StudyDescription="MRT Kopf\\Hals", AccessionNumber="A1\\A2")(row)
    evidence[FILE_NAME] = json.dumps(row).encode()
    ds = read(DICOM["sc"].render(document, evidence))
    assert (ds.PatientSex, ds.PatientID, ds.StudyDescription) == ("F", long, "MRT Kopf/Hals")
    assert ds.AccessionNumber == "A1"


@pytest.mark.parametrize("kind", ["seg", "pm"])
def test_slices_with_a_uid_each_may_differ_by_rounding(kind: str) -> None:
    document, evidence = a_decision(form="a UID each")
    row = json.loads(evidence[FILE_NAME])
    images(lambda n, one: turned(n, one, 5e-4 + 1e-6))(row)
    evidence[FILE_NAME] = json.dumps(row).encode()
    assert len(read(DICOM[kind].render(document, evidence)).PerFrameFunctionalGroupsSequence) > 0


@pytest.mark.parametrize(
    ("offset", "site", "day", "time"),
    [
        pytest.param("+0900", "Europe/Berlin", "20261129", "170000", id="ahead"),
        pytest.param("-1030", "", "20261128", "213000", id="the day before"),
        pytest.param("+0000", "", "20261129", "080000", id="no-op: UTC"),
        pytest.param("", "", "20261129", "080000", id="not stated, no zone of the site: UTC"),
        pytest.param("", "Europe/Berlin", "20261129", "090000", id="not stated: local times of the site"),
        pytest.param("", "Pacific/Auckland", "20261129", "210000", id="the same far away, in summer time"),
        pytest.param("CET", "", "20261129", "080000", id="not measured: another form"),
    ],
)
@pytest.mark.parametrize("kind", ["sr", "gsps", "sc"])
def test_all_times_of_an_object_are_in_the_zone_that_it_states(
    kind: str, offset: str, site: str, day: str, time: str
) -> None:
    """It never states a zone that the images do not state."""
    document, evidence = a_decision()
    evidence[SITE_ZONE] = site.encode()
    row = json.loads(evidence[FILE_NAME])
    header(TimezoneOffsetFromUTC=offset)(row)
    evidence[FILE_NAME] = json.dumps(row).encode()
    ds = read(DICOM[kind].render(document, evidence))
    assert (ds.SeriesDate, ds.SeriesTime, ds.InstanceCreationDate, ds.InstanceCreationTime) == (day, time, day, time)
    assert (ds.StudyDate, ds.StudyTime) == ("20240311", "101500")
    stated = {item.ContributionDateTime for item in ds.get("ContributingEquipmentSequence", ())}
    assert stated <= {day + time}
    assert ds.get("TimezoneOffsetFromUTC", "") == (offset if offset != "CET" else "")


@pytest.mark.parametrize("placed", [True, False])
def test_what_was_not_measured_is_said_of_every_region(tmp_path: Path, *, placed: bool) -> None:
    document, evidence = a_decision()
    lacking = [("cortex", "restricted_volume_ml"), ("midbrain", "adc_um2_s"), ("brain", "volume_ml")]
    row = document["measurements"][0]
    document["measurements"] += [
        row | {"region": region, "quantity": quantity, "value": None, "uncertainty": None, "reason": "no_dwi: none"}
        for region, quantity in lacking
    ]
    if not placed:
        del evidence["regions.nii.gz"]
    path = tmp_path / "sr.dcm"
    path.write_bytes(DICOM["sr"].render(document, evidence))
    assert [line for line in said_of_the_report(path) if "Error" in line] == []
    done = subprocess.run(["/usr/bin/dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
    missing = sum(one["value"] is None for one in document["measurements"])
    patterns = sum(one["presence"] == "indeterminate" for one in document["findings"])
    assert str(read(path.read_bytes())).count("'Undetermined'") == missing + patterns
