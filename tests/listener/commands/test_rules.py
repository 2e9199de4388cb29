"""icansee rules test | names, and what config check says about rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.listener.commands.cli_runner import Icansee
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
    settings = {"results": {"destinations": [archive], "rules": str(path)}}
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


def test_one_target_or_all(icansee: Icansee, rules: Path) -> None:
    assert icansee("rules", "test", str(rules)).code == 2
    assert icansee("rules", "test", str(rules), "1.2.3", "--all-stored").code == 2


def test_a_mistake_is_told_with_its_place_by_both(icansee: Icansee, rules: Path) -> None:
    rules.write_text(RULES.replace("priority ==", "prio =="), encoding="utf-8")
    for words in (("rules", "test", str(rules), "1.2.3"), ("config", "check"), ("deliver",)):
        answer = icansee(*words)
        assert answer.code == 2
        assert f"{rules}:4:11: rule 'suspected'" in answer.err


def test_names(icansee: Icansee) -> None:
    assert set(json.loads(icansee("rules", "names", "--json").out)) == set(NAMES)
