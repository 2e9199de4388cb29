"""What a destination may get under the rules of a site: a check of the peers asks for all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.config import parse
from workers.rules.site import rules_of, with_outputs_of_rules

PACS = {"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "127.0.0.1", "outputs": ["sr"]}
HEAD = "rules:\n- {name: a, when: 'true', "


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(None, ("sr",), id="no-op: no rules"),
        pytest.param(HEAD + "tag: [x]}", ("sr",), id="no-op: a rule that sends nothing"),
        pytest.param(HEAD + "send: [{outputs: [sc, sr], to: [pacs]}]}", ("sr", "sc"), id="results of a rule"),
        pytest.param(HEAD + "forward: [{images: series, to: [pacs]}]}", ("sr", "images"), id="images of a rule"),
        pytest.param(HEAD + "send: [{outputs: [seg], to: [pacs]}], shadow: true}", ("sr", "seg"), id="in shadow mode"),
        pytest.param(
            "unmatched: [{outputs: [pdf], to: [pacs]}]\n" + HEAD + "drop: true}",
            ("sr", "pdf"),
            id="what no rule decides",
        ),
    ],
)
def test_what_a_destination_may_get(tmp_path: Path, rules: str | None, expected: tuple[str, ...]) -> None:
    results = {"destinations": [PACS]}
    if rules is not None:
        (tmp_path / "rules.yaml").write_text(rules, encoding="utf-8")
        results |= {"rules": str(tmp_path / "rules.yaml")}  # type: ignore[dict-item]
    settings = parse({"results": results}).results
    (found,) = with_outputs_of_rules(settings, rules_of(settings)).destinations
    assert found.outputs == expected
