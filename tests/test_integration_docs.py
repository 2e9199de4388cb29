"""What docs/integration.md, docs/integration-pacs.md and docs/rules.md show: settings, rules and messages are real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.workers.outputs.alerts.documents import a_document, evidence
from workers.config import parse
from workers.outputs.alerts.oru import ORU
from workers.outputs.alerts.oru_for import Addressing, addressed
from workers.rules.facts import LANGUAGE
from workers.rules.read import Vocabulary, parse_rules

DOCS = Path(__file__).parents[1] / "docs"


def blocks(name: str, language: str) -> list[str]:
    text = (DOCS / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", blocks("integration-pacs.md", "yaml"))
def test_settings_for_a_pacs_are_accepted(text: str) -> None:
    settings = parse(yaml.safe_load(text))
    assert settings.results.destinations
    assert settings.priors.sources


def test_the_rules_that_are_shown_are_rules() -> None:
    (text,) = blocks("rules.md", "yaml")
    known = Vocabulary(
        {"pacs", "archive", "research", "pager"},
        {"sr", "sc", "document"},
        LANGUAGE,
        alerts={"pager": "webhook"},
        image_takers={"pacs", "research"},
    )
    rules = parse_rules(text.encode(), known, source="docs/rules.md").rules
    names = ["MR to the PACS at once", "trial scanner", "suspected", "trial", "quiet nights"]
    assert [rule.name for rule in rules] == names


def test_the_message_that_is_shown_is_what_is_sent() -> None:
    shown, acknowledgement = blocks("integration.md", "hl7")
    document = a_document()
    addressing = Addressing(("ICANSEE", "HOSPITAL"), ("RIS", "RAD"), "none")
    uid = document["study"]["study_instance_uid"]
    sent = addressed(ORU.render(document, evidence()), addressing, uid).decode()
    assert sent.startswith(shown.strip().replace("\n", "\r") + "\r")
    assert acknowledgement.splitlines()[1].split("|")[2] == sent.split("|")[9]
