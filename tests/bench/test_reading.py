"""Some of the altered studies of `python -m bench.reading`: each is read right or refused by its right name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.reading.rules import all_variants, verdict_of
from bench.reading.variants import Variant
from bench.reading.verdicts import Outcome
from bench.reading.visits import write_visits

EVERY = 9  # of the whole, which takes minutes


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading")
    write_visits(folder / "visits")
    return folder


@pytest.mark.parametrize("one", [*all_variants()][::EVERY], ids=lambda one: one.name)
def test_read_right_or_refused_by_name(one: Variant, work: Path) -> None:
    verdict = verdict_of(one, work)
    assert verdict.outcome in (Outcome.RIGHT, Outcome.REFUSED), verdict.said


def test_noop_what_is_not_altered_is_right(work: Path) -> None:
    verdict = verdict_of(Variant("noop", lambda _: None), work)
    assert verdict == type(verdict)(Outcome.RIGHT, "")


def test_a_value_that_is_off_is_seen(work: Path) -> None:
    """The check can fail."""

    def brighter(study: Path) -> None:
        _each(study, lambda value: value * 2)

    assert verdict_of(Variant("brighter", brighter), work).outcome is Outcome.WRONG


def _each(study: Path, change: Callable[[object], object]) -> None:
    from bench.reading.visits import each, put, values_of

    each(study, "flair", lambda ds, _: put(ds, change(values_of(ds))))
