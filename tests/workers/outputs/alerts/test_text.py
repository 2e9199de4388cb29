"""Documents in, the words of an alert out: the news first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workers.outputs.alerts.documents import a_document, not_assessable, quiet
from triage.report.headline import FALLS
from workers.identities import BIDI
from workers.outputs.alerts.mail import MAIL
from workers.outputs.alerts.oru import ORU
from workers.outputs.alerts.text import LONGEST_LINE, TITLES, alert_text
from workers.outputs.alerts.ups import LONGEST_LO, UPS
from workers.outputs.evidence.text import sentence

DISCLAIMER = "Decision support, unverified. Not a diagnosis. No toxicity grade is given."


def falling() -> dict[str, Any]:
    document = a_document()
    first = "the category falls: neurotoxicity_suspected in the study of 2024-03-09, possible now"
    document["decision"] |= {"reasons": [first], "category": "possible", "priority": "P2"}
    return document


def refused() -> dict[str, Any]:
    document = a_document()
    document["decision"] = not_assessable()["decision"] | {"reasons": ["registration_failed: the heads do not fit"]}
    document["registration"] |= {"accepted": False}
    document["judged"]["from"] = "nothing"
    document["findings"], document["measurements"] = [], []
    return document


@pytest.mark.parametrize(
    ("document", "lines"),
    [
        pytest.param(
            a_document(),
            (
                "Neurotoxicity suspected: bithalamic and brain stem FLAIR rise (strong, new)",
                "thalamus L: FLAIR +24.8 ± 1.1 %",
                "Compared with 2024-02-23; study of 2024-03-11, day 7 after infusion",
                "Priority P1",
                DISCLAIMER,
            ),
            id="a finding",
        ),
        pytest.param(
            falling(),
            (
                "Falls: Possible neurotoxicity: bithalamic and brain stem FLAIR rise (strong, new)",
                "the category falls: neurotoxicity suspected in the study of 2024-03-09, possible now",
                "thalamus L: FLAIR +24.8 ± 1.1 %",
                "Compared with 2024-02-23; study of 2024-03-11, day 7 after infusion",
                "Priority P2",
                DISCLAIMER,
            ),
            id="a fall leads",
        ),
        pytest.param(
            quiet(),
            (
                "No pattern found",
                "Compared with 2024-02-23; study of 2024-03-11, day 7 after infusion",
                "Priority unchanged",
                DISCLAIMER,
            ),
            id="noop: nothing found, no figure leads",
        ),
        pytest.param(
            not_assessable(),
            (
                "Not assessable",
                "no flair: the study has no FLAIR series",
                "Not compared with a baseline; study of 2024-03-11, infusion date not known",
                "Priority unchanged",
                DISCLAIMER,
            ),
            id="not measured",
        ),
        pytest.param(
            refused(),
            (
                "Not assessable",
                "registration failed: the heads do not fit",
                "Baseline of 2024-02-23 could not be compared; study of 2024-03-11, day 7 after infusion",
                "Priority unchanged",
                DISCLAIMER,
            ),
            id="not measured: a baseline that could not be compared",
        ),
    ],
)
def test_lines(document: dict[str, Any], lines: tuple[str, ...]) -> None:
    found = alert_text(document)
    said = tuple(line.replace("neurotoxicity_suspected", "neurotoxicity suspected") for line in found.lines)
    assert said == lines


def test_the_first_look_says_so() -> None:
    assert "First look, a full assessment follows" in alert_text(a_document(stage="first_look")).lines


def test_hostile_text_becomes_one_short_line() -> None:
    document = not_assessable()
    document["decision"]["reasons"] = ["a\r\nb\x1b[2J\u202egpj\u2066" + "x" * 1000]
    why = alert_text(document).why
    assert why.startswith("a b[2Jgpjxxx")
    assert len(why) == LONGEST_LINE
    assert not BIDI & set(why)
    assert why.isprintable()


MANY = "; ".join([FALLS, *(f"the study of 2024-03-{day:02} arrived" for day in range(1, 20))])


@pytest.mark.parametrize("reason", [MANY, "no_baseline: no study before the infusion of 2024-03-04 and none after"])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_no_reason_is_so_long_that_the_finding_is_not_said(reason: str, count: int) -> None:
    document = a_document()
    document["decision"]["reasons"] = [reason]
    document["findings"] = [
        {"pattern": name, "presence": "present", "strength": "strong", "explanation": "", "evidence": []}
        for name in "ABCD"[:count]
    ]
    text = alert_text(document)
    for title in (text.title, json.loads(MAIL.render(document, {}))["title"]):
        assert "Neurotoxicity suspected" in title
        assert all(TITLES[name] in title for name in "ABCD"[:count])
    (label,) = json.loads(UPS.render(document, {}))["00741204"]["Value"]
    assert len(label) <= LONGEST_LO
    assert "Neurotoxicity suspected" in label
    assert label.endswith(", ".join("ABCD"[:count]))
    assert text.lines[1].startswith(sentence(reason)[:40]), "the reason has a line of its own"


def test_the_patient_is_not_named() -> None:
    assert "SECRET-4711" not in " ".join(alert_text(a_document()).lines)


@pytest.mark.parametrize(
    ("document", "said"), [pytest.param(a_document(), True, id="no-op: compared"), pytest.param(refused(), False)]
)
def test_only_what_was_compared_has_a_baseline_date(document: dict[str, Any], *, said: bool) -> None:
    assert (b"baseline_date" in ORU.render(document, {})) is said
