"""A time of the node in UTC -> as the site writes it, summer and winter time told apart."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from listener.web.lines import moment

BERLIN = ZoneInfo("Europe/Berlin")  # summer time ends on 2026-10-25 at 01:00 UTC
WINTER, SUMMER = datetime(2026, 12, 1, 12, 0, tzinfo=UTC), datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "now", "words"),
    [
        pytest.param(datetime(2026, 12, 1, 11, 0, tzinfo=UTC), WINTER, "2026-12-01 12:00", id="noop: one zone"),
        pytest.param(datetime(2026, 7, 1, 11, 0, tzinfo=UTC), SUMMER, "2026-07-01 13:00", id="summer in summer"),
        pytest.param(datetime(2026, 7, 1, 11, 0, tzinfo=UTC), WINTER, "2026-07-01 13:00 CEST", id="summer in winter"),
        pytest.param(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), WINTER, "2026-10-25 02:30 CEST", id="the first 02:30"),
        pytest.param(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), WINTER, "2026-10-25 02:30", id="the second 02:30"),
        pytest.param(datetime(2026, 3, 29, 1, 0, tzinfo=UTC), SUMMER, "2026-03-29 03:00", id="02:00 does not exist"),
    ],
)
def test_words(when: datetime, now: datetime, words: str) -> None:
    found = moment(when, BERLIN, now)
    assert found.words == words
    assert datetime.fromisoformat(found.iso) == when
