"""Interleavings of every second history of the table; the other half is in a file of its own, for another process."""

from __future__ import annotations

import pytest

from tests.workers.histories.clinic import STORIES
from tests.workers.histories.interleavings import NIGHT_S, Interleaving, profile


class Even(Interleaving):
    stories = STORIES[::2]


TestEvenInterleavings = pytest.mark.timeout(NIGHT_S)(Even.TestCase)
TestEvenInterleavings.settings = profile()
