"""export: a stored decision in, files out; messages that name the field."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydicom import dcmread

from tests.fakes import an_instance
from tests.listener.commands.cli_runner import Icansee
from tests.workers.outputs.dicom.result_builders import a_decision
from tests.workers.outputs.test_sources import a_file
from workers import config
from workers.container import open_results
from workers.files.store import open_files
from workers.index.sql import open_index

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
UID = "1.2.826.0.1.3680043.77"


def decide(icansee: Icansee, *, compared: bool = True) -> None:
    settings = config.load(icansee.folder / "config.yaml")
    index = open_index(settings.index_url)
    index.record_instances([an_instance(UID)])
    index.mark_ready(UID, now=NOW, reason="test")
    claim = index.claim(UID, owner="w", now=NOW, lease_s=30)
    assert claim is not None
    document, evidence = a_decision(compared=compared)
    index.save_assessment(claim, stage="full", document=document, now=NOW)
    folder = open_results(settings).place(UID, claim.revision, "full")
    folder.mkdir(parents=True)
    for name, content in evidence.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("kinds", "files"),
    [
        pytest.param(["--kinds", "sr,seg"], {"measurements.dcm", "regions.dcm"}, id="chosen"),
        pytest.param(["--kinds", "retract"], {"retraction.dcm"}, id="on request"),
        pytest.param(
            [],
            {
                "document.json",
                "evidence.dcm",
                "regions.dcm",
                "measurements.dcm",
                "key_images.dcm",
                "registration.dcm",
            },
            id="all",
        ),
    ],
)
def test_files_of_a_decision(icansee: Icansee, kinds: list[str], files: set[str]) -> None:
    decide(icansee)
    answer = icansee("export", UID, "--out", "made", *kinds)
    assert answer.code == 0, answer.err
    made = {path.name: path for path in (icansee.folder / "made").iterdir()}
    assert files <= set(made)
    assert kinds == [] or files == set(made)
    assert all(dcmread(path).StudyInstanceUID == UID for name, path in made.items() if name.endswith(".dcm"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["1.2.9", "--out", "made"], "STUDY_UID", id="unknown study"),
        pytest.param([UID, "--out", "made", "--kinds", "sr,fax"], "--kinds: fax", id="unknown kind"),
        pytest.param([UID, "--out", "config.yaml"], "--out: config.yaml", id="a file is in the way"),
    ],
)
def test_wrong_requests_are_named(icansee: Icansee, arguments: list[str], says: str) -> None:
    decide(icansee)
    answer = icansee("export", *arguments)
    assert answer.code == 2
    assert says in answer.err


def test_what_does_not_apply_is_named(icansee: Icansee) -> None:
    decide(icansee)
    settings = config.load(icansee.folder / "config.yaml")
    (open_results(settings).place(UID, 1, "full") / "regions.nii.gz").unlink()
    answer = icansee("export", UID, "--out", "made", "--kinds", "seg")
    assert answer.code == 0
    assert "seg: does not apply" in answer.err
    assert list((icansee.folder / "made").iterdir()) == []


@pytest.mark.parametrize("readable", [True, False])
def test_a_missing_list_of_sources_is_read_from_the_images_again(icansee: Icansee, readable: bool) -> None:
    decide(icansee, compared=False)
    settings = config.load(icansee.folder / "config.yaml")
    stored = open_results(settings).place(UID, 1, "full") / "sources.json"
    stored.unlink()
    (row,) = open_index(settings.index_url).instances(UID)
    image = open_files(settings).path(row)
    image.parent.mkdir(parents=True, exist_ok=True)
    if readable:
        a_file(image, "1.2.3.1")
    answer = icansee("export", UID, "--out", "made", "--kinds", "sc")
    assert answer.code == 0, answer.err
    assert stored.exists() == readable
    name = str(dcmread(icansee.folder / "made" / "evidence.dcm").get("PatientName", ""))
    assert name == ("Li^Ming" if readable else "")
