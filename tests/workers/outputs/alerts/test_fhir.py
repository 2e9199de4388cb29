"""Documents in, FHIR R4 bundles out; two validators that share no code with the renderer read them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import fhirkit
import pytest

from tests import npm
from tests.patience import PATIENCE_S
from tests.workers.outputs.alerts.documents import RTL, a_document, evidence, not_assessable, quiet
from workers.outputs.alerts.fhir import FHIR

CASES = {
    "a finding": (a_document(), evidence()),
    "first look, a right-to-left name": (a_document(stage="first_look"), evidence(RTL)),
    "noop: nothing found": (quiet(), evidence()),
    "not measured": (not_assessable(), evidence()),
    "no headers stored": (not_assessable(), {}),
}
CHECK = """
const { Fhir } = require('fhir');
const fhir = new Fhir();
for (const text of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
  const found = fhir.validate(JSON.parse(text), { errorOnUnexpected: true });
  console.log(JSON.stringify(found.messages.filter(m => ['error', 'fatal'].includes(m.severity)).map(m => m.message)));
}
"""


def rendered(document: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FHIR.render(document, files))
    return found


def of_kind(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]


@pytest.mark.parametrize("name", CASES)
def test_the_structure_is_right(name: str) -> None:
    bundle = rendered(*CASES[name])
    assert [str(issue) for issue in fhirkit.validate(bundle)] == []
    bundle["entry"][0]["resource"]["colour"] = "red"
    assert fhirkit.validate(bundle), "the check can fail"


@pytest.mark.server
def test_structure_and_codes_by_another_validator(tmp_path: Path) -> None:
    npm.installed(tmp_path, "fhir@4.12.0")
    (tmp_path / "check.cjs").write_text(CHECK)
    bundles = [rendered(*case) for case in CASES.values()]
    wrong = rendered(*CASES["a finding"])
    of_kind(wrong, "Task")[0]["priority"] = "superstat"
    said = subprocess.run(
        ["node", str(tmp_path / "check.cjs")],
        input=json.dumps([json.dumps(one) for one in (*bundles, wrong)]),
        capture_output=True, text=True, check=True, timeout=PATIENCE_S,
    )  # fmt: skip
    *found, broken = map(json.loads, said.stdout.splitlines())
    assert found == [[] for _ in CASES]
    assert broken, "the check can fail"


def test_a_report_with_all_observations_and_a_task() -> None:
    document = a_document()
    bundle = rendered(document, evidence())
    (report,), (task,) = of_kind(bundle, "DiagnosticReport"), of_kind(bundle, "Task")
    observations = of_kind(bundle, "Observation")
    assert (report["status"], task["priority"]) == ("preliminary", "stat")
    assert {o["status"] for o in observations} == {"preliminary"}
    named = [o["identifier"][0]["value"] for o in observations]
    assert [one["reference"] for one in report["result"]] == named
    assert len(observations) == 2 + len(document["findings"]) + len(document["measurements"])
    assert report["imagingStudy"][0]["identifier"]["value"] == "urn:oid:1.2.826.0.1.77"
    assert report["conclusion"].startswith("Neurotoxicity suspected: bithalamic")
    assert task["focus"]["reference"] == report["identifier"][0]["value"]


def test_what_was_not_measured_has_a_reason_and_no_value() -> None:
    document = a_document()
    document["measurements"][0] |= {"value": None, "assessable": False, "reason": "coverage: 31 %"}
    found = next(o for o in of_kind(rendered(document, evidence()), "Observation") if "dataAbsentReason" in o)
    assert found["dataAbsentReason"]["text"] == "coverage: 31 %"
    assert "valueQuantity" not in found


def test_an_unchanged_priority_asks_for_nothing() -> None:
    assert of_kind(rendered(quiet(), evidence()), "Task") == []


def test_each_version_has_identifiers_of_its_own_and_a_repeat_the_same() -> None:
    bundles = [
        rendered(document, evidence(revision=revision))
        for document in (a_document(), a_document(stage="first_look"))
        for revision in (1, 2)
    ]
    assert bundles[0] == rendered(a_document(), evidence(revision=1))
    names = [entry["fullUrl"] for bundle in bundles for entry in bundle["entry"]]
    assert len(set(names)) == len(names)
