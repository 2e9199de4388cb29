"""Older decisions of a study: each has its page, its pictures and its volumes, and says that it is not the newest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, a_document, store
from tests.listener.web.test_pages import check_nothing_runs
from tests.listener.web.visible import content, words
from tests.workers.outputs.evidence.evidence_builders import an_outcome
from tests.workers.outputs.evidence.test_volumes import with_series
from workers.access_ports import Role
from workers.outputs.results import ResultFolder

UID = "1.2.3"
FIRST = StoredStudy(UID, stage="first_look", category="possible", priority="P2")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """A first look and its full assessment, both with volumes and pictures."""
    folder: Path = tmp_path_factory.mktemp("site")
    made = Secured(folder)
    now = made.clock.now()
    store(made.index, StoredStudy(UID, category=None), now=now)
    made.index.mark_ready(UID, now=now, reason="test")
    claim = made.index.claim(UID, owner="test", now=now, lease_s=60)
    assert claim is not None
    assert made.index.save_assessment(claim, stage="first_look", document=a_document(FIRST), now=now)
    assert made.index.save_assessment(claim, stage="full", document=a_document(StoredStudy(UID)), now=now)
    assert made.index.complete(claim, now=now)
    ResultFolder(folder / "results").write(UID, 1, with_series(an_outcome()))
    results = folder / "results" / UID
    shutil.copytree(results / "r1-full", results / "r1-first_look")
    (results / "r1-first_look" / "evidence.png").write_bytes(b"the first picture")
    return made


def test_every_decision_can_be_opened(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    newest = browser.page(f"/studies/{UID}").text
    for name in ("r1-full", "r1-first_look"):
        assert f'href="/studies/{UID}?version={name}"' in newest
    assert "older decision" not in newest
    assert browser.page(f"/studies/{UID}?version=r1-full").text.count("older decision") == 0, "noop: it is the newest"
    older = browser.page(f"/studies/{UID}?version=r1-first_look").text
    check_nothing_runs(older)
    said = " ".join(words(content(older)))
    assert "This is an older decision (r1-first_look)" in said
    assert "Possible neurotoxicity" in said
    assert "Acknowledge" not in said, "what counts is acknowledged on the page of the newest one"
    assert f"/api/studies/{UID}/evidence.png?version=r1-first_look" in older
    assert '"version": "r1-first_look"' in older


def test_its_data_are_in_the_api(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    index = browser.get(f"/api/studies/{UID}/viewer?version=r1-first_look").json()
    assert (index["version"], len(index["volumes"]) > 2) == ("r1-first_look", True)
    assert browser.get(f"/api/studies/{UID}/viewer").json()["version"] == "r1-full"
    assert browser.get(f"/api/studies/{UID}/evidence.png?version=r1-first_look").content == b"the first picture"
    assert browser.get(f"/api/studies/{UID}/evidence.png").content[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("version", "status"), [("r9-full", 404), ("r1-other", 422), ("../../x", 422), ("r1-full%00", 422)]
)
@pytest.mark.parametrize("path", [f"/studies/{UID}", f"/api/studies/{UID}/viewer", f"/api/studies/{UID}/evidence.png"])
def test_a_decision_that_is_not_there(secured: Secured, path: str, version: str, status: int) -> None:
    assert secured.signed_in(Role.READER).get(f"{path}?version={version}").status_code == status


def test_codes_and_the_configuration_are_named(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    assert browser.get(f"/api/studies/{UID}/codes").json()["thalamus"] == "SCT 42695009 Thalamus"
    said = " ".join(words(content(browser.page(f"/studies/{UID}").text)))
    assert "is not the one in force now" in said
