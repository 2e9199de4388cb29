"""Two pieces of work at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.patience import PATIENCE_S
from triage.errors import NotAssessable
from triage.side_by_side import side_by_side


def refused() -> None:
    raise NotAssessable("coverage", "for the test")


def broken() -> None:
    raise ValueError("for the test")


def test_both_run_at_the_same_time() -> None:
    """Each waits for the other: one after the other they would never end."""
    meeting = threading.Barrier(2)

    def met(name: str) -> str:
        meeting.wait(PATIENCE_S)
        return name

    assert side_by_side(lambda: met("one"), lambda: met("other")) == ("one", "other")


@pytest.mark.parametrize(
    ("one", "other", "raised"),
    [
        pytest.param(refused, lambda: None, NotAssessable, id="the first"),
        pytest.param(lambda: None, broken, ValueError, id="the other"),
        pytest.param(refused, broken, NotAssessable, id="both: the first"),
    ],
)
def test_a_fault_of_either_is_raised(
    one: Callable[[], None], other: Callable[[], None], raised: type[Exception]
) -> None:
    with pytest.raises(raised, match="for the test"):
        side_by_side(one, other)


def test_noop_nothing_to_do() -> None:
    assert side_by_side(lambda: None, lambda: None) == (None, None)
