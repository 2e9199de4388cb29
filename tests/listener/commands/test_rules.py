"""icansee rules test | names, and what config check says about rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.listener.commands.cli_runner import Icansee
from tests.listener.commands.test_studies import UID, receive
from tests.workers.reading.data_sets import a_data_set, as_file
from workers.rules.facts import NAMES

RULES = """
rules:
  - name: suspected
    when: priority == "P1"
    send: [{outputs: [document], to: [archive]}]
  - {name: quiet, when: 'strengths["D"] == "strong"', drop: true}
"""
DOCUMENT = {
    "stage": "full",
    "study": {"study_instance_uid": "1.2.3", "days_after_infusion": 7},
    "baseline": None,
    "series": [],
    "findings": [],
    "decision": {"category": "possible", "priority": "P2", "reasons": []},
}


@pytest.fixture
def rules(icansee: Icansee) -> Path:
    """A file of rules that the settings name, and a folder with one document."""
    path = icansee.folder / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    (icansee.folder / "archive").mkdir()
    archive = {"name": "archive", "kind": "folder", "path": str(icansee.folder / "archive"), "outputs": ["document"]}
    state = {"state_dir": str(icansee.folder / "state")}
    settings = {"store": state, "results": {"destinations": [archive], "rules": str(path)}}
    (icansee.folder / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    (icansee.folder / "documents").mkdir()
    (icansee.folder / "documents" / "document.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    return path


def test_which_rule_fits_and_why_not(icansee: Icansee, rules: Path) -> None:
    answer = icansee("rules", "test", str(rules), str(icansee.folder / "documents"), "--json")
    (entry,) = json.loads(answer.out)
    assert (entry["fits"], entry["sent"]) == ([], "as configured")
    assert [(one["rule"], one["line"]) for one in entry["looked"]] == [("suspected", 3), ("quiet", 6)]
    assert entry["looked"][0]["why"] == 'not priority == "P1"'
    assert entry["looked"][1]["why"].startswith("no value")
    assert "1.2.3" in icansee("rules", "test", str(rules), str(icansee.folder / "documents")).out


@pytest.mark.parametrize(
    ("stage", "priority", "not_sent"),
    [
        pytest.param("full", "P1", None, id="noop: all of it is sent"),
        pytest.param("first_look", "P1", "not to archive, which gets no first look (stages: full)", id="a first look"),
        pytest.param(
            "full",
            "P2",
            "not to pager, which gets only P1, and what follows one that was sent (escalate_after_s)",
            id="an escalation",
        ),
    ],
)
def test_what_the_settings_of_a_destination_withhold_is_said(
    icansee: Icansee, rules: Path, stage: str, priority: str, not_sent: str | None
) -> None:
    settings = json.loads((icansee.folder / "config.yaml").read_text(encoding="utf-8"))
    (archive,) = settings["results"]["destinations"]
    pager = {**archive, "name": "pager", "escalate_after_s": 600}
    settings["results"]["destinations"] = [{**archive, "stages": "full"}, pager]
    (icansee.folder / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    rules.write_text(
        "rules: [{name: any, when: 'true', send: [{outputs: [document], to: [archive, pager]}]}]", encoding="utf-8"
    )
    document = DOCUMENT | {"stage": stage, "decision": DOCUMENT["decision"] | {"priority": priority}}  # type: ignore[operator]
    (icansee.folder / "documents" / "document.json").write_text(json.dumps(document), encoding="utf-8")
    (entry,) = json.loads(icansee("rules", "test", str(rules), str(icansee.folder / "documents"), "--json").out)
    assert (entry["fits"], entry["sent"], entry["not_sent"]) == (["any"], "document to archive, pager", not_sent)
    assert (not_sent or "").split(",")[0] in icansee("rules", "test", str(rules), str(icansee.folder / "documents")).out


def test_one_target_or_all(icansee: Icansee, rules: Path) -> None:
    assert icansee("rules", "test", str(rules)).code == 2
    assert icansee("rules", "test", str(rules), "1.2.3", "--all-stored").code == 2
    answer = icansee("rules", "test", str(rules), str(icansee.folder / "nowhere"))
    assert (answer.code, "nowhere is no folder" in answer.err) == (2, True)


def test_a_mistake_is_told_with_its_place_by_both(icansee: Icansee, rules: Path) -> None:
    rules.write_text(RULES.replace("priority ==", "prio =="), encoding="utf-8")
    for words in (("rules", "test", str(rules), "1.2.3"), ("config", "check"), ("deliver",)):
        answer = icansee(*words)
        assert answer.code == 2
        assert f"{rules}:4:11: rule 'suspected'" in answer.err


def test_names(icansee: Icansee) -> None:
    assert set(json.loads(icansee("rules", "names", "--json").out)) == set(NAMES)


def test_both_moments_of_files_and_of_what_is_stored(icansee: Icansee, rules: Path) -> None:
    rules.write_text(
        "unmatched: keep\nrules:\n"
        '- {name: mr, at: arrival, when: \'modalities == ["MR"] && dicom.PatientID == "P-1"\', '
        "forward: [{images: study, to: [archive]}], tag: [mr]}\n"
        "- {name: any, when: 'true', hold: true}\n",
        encoding="utf-8",
    )
    folder = icansee.folder / "documents"
    (folder / "image.dcm").write_bytes(as_file(a_data_set()))
    arrival, decision = json.loads(icansee("rules", "test", str(rules), str(folder), "--json").out)
    assert (arrival["stage"], arrival["fits"], arrival["tags"]) == ("arrival", ["mr"], ["mr"])
    assert arrival["images"] == "images of the study to archive"
    assert (decision["fits"], decision["sent"], decision["held"]) == (["any"], "as configured", True)
    receive(icansee)
    answer = icansee("rules", "test", str(rules), "--all-stored", "--json")
    assert answer.code == 0, answer.err
    arrival, decision = json.loads(answer.out)
    assert (arrival["fits"], arrival["images"]) == ([], "no images")  # its file is gone: no header says who it is
    assert (decision["study_instance_uid"], decision["fits"]) == (UID, ["any"])


def test_a_rule_sees_the_tags_of_the_rules_before_it(icansee: Icansee, rules: Path) -> None:
    """As it will when both are in force."""
    rules.write_text(
        "rules:\n- {name: mr, at: arrival, when: 'modalities == [\"MR\"]', tag: [trial]}\n"
        "- {name: trial, when: '\"trial\" in tags', hold: true}\n",
        encoding="utf-8",
    )
    folder = icansee.folder / "documents"
    image = a_data_set()
    (folder / "image.dcm").write_bytes(as_file(image))
    other = DOCUMENT | {"study": DOCUMENT["study"] | {"study_instance_uid": image.StudyInstanceUID}}  # type: ignore[operator]
    (folder / "its").mkdir()
    (folder / "its" / "document.json").write_text(json.dumps(other), encoding="utf-8")
    found = json.loads(icansee("rules", "test", str(rules), str(folder), "--json").out)
    fits = {(one["study_instance_uid"], one["stage"]): one["fits"] for one in found}
    uid = image.StudyInstanceUID
    assert fits == {(uid, "arrival"): ["mr"], (uid, "full"): ["trial"], ("1.2.3", "full"): []}
    receive(icansee)
    (decision,) = [
        one
        for one in json.loads(icansee("rules", "test", str(rules), "--all-stored", "--json").out)
        if one["stage"] != "arrival"
    ]
    assert (decision["study_instance_uid"], decision["fits"]) == (UID, ["trial"])
