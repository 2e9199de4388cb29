"""Documents in, the words of an alert out: the news first."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers.outputs.alerts.documents import a_document, not_assessable, quiet
from workers.identities import BIDI
from workers.outputs.alerts.text import LONGEST_LINE, alert_text

DISCLAIMER = "Decision support, unverified. Not a diagnosis. No toxicity grade is given."


def falling() -> dict[str, Any]:
    document = a_document()
    first = "the category falls: neurotoxicity_suspected in the study of 2024-03-09, possible now"
    document["decision"] |= {"reasons": [first], "category": "possible", "priority": "P2"}
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
                "the category falls: neurotoxicity suspected in the study of 2024-03-09, possible now."
                " Possible neurotoxicity: bithalamic and brain stem FLAIR rise (strong, new)",
                "thalamus L: FLAIR +24.8 ± 1.1 %",
                "Compared with 2024-02-23; study of 2024-03-11, day 7 after infusion",
                "Priority P2",
                DISCLAIMER,
            ),
            id="what changed leads",
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
                "no flair: the study has no FLAIR series. Not assessable",
                "Not compared with a baseline; study of 2024-03-11, infusion date not known",
                "Priority unchanged",
                DISCLAIMER,
            ),
            id="not measured",
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
    news = alert_text(document).news
    assert news.startswith("a b[2Jgpjxxx")
    assert len(news) == LONGEST_LINE
    assert not BIDI & set(news)
    assert news.isprintable()


def test_the_patient_is_not_named() -> None:
    assert "SECRET-4711" not in " ".join(alert_text(a_document()).lines)
