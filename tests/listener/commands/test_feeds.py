"""icansee feeds, and status | retry | dismiss."""

from __future__ import annotations

import json

import pytest

from tests.listener.commands.cli_runner import Icansee
from tests.workers.feeds.test_inbox import Applied, merge
from workers.config import load
from workers.feeds.folders import open_inbox
from workers.feeds.inbox import Inbox


@pytest.fixture
def inbox(icansee: Icansee) -> Inbox:
    """One message waits, one could not be applied."""
    inbox = open_inbox(load(icansee.folder / "config.yaml"))
    inbox.take(merge("B", "A"))
    inbox.apply_waiting(Applied(ValueError("bug")))
    inbox.take(merge("D", "C"))
    return inbox


def test_status_counts_what_is_not_applied(icansee: Icansee, inbox: Inbox) -> None:
    answer = icansee("feeds", "status", "--json")
    assert (answer.code, json.loads(answer.out)) == (0, {"waiting": 1, "failed": 1, "fhir_failed": 0})
    assert "failed      1" in icansee("feeds", "status").out


@pytest.mark.parametrize(
    ("command", "left"), [pytest.param("retry", (2, 0), id="again"), pytest.param("dismiss", (1, 0), id="given up")]
)
def test_what_failed(icansee: Icansee, inbox: Inbox, command: str, left: tuple[int, int]) -> None:
    assert icansee("feeds", command).code == 0
    assert inbox.waiting() == left


def test_a_question_before_any_feed_ran_creates_nothing(icansee: Icansee) -> None:
    assert json.loads(icansee("feeds", "status", "--json").out) == {"waiting": 0, "failed": 0, "fhir_failed": 0}
    assert icansee("feeds", "retry").code == 2
    assert not (icansee.folder / "state").exists()


def test_the_process_needs_something_configured(icansee: Icansee) -> None:
    answer = icansee("feeds")
    assert answer.code == 2
    assert "feeds.hl7.port" in answer.err
