"""What each rule did on a day: counted in a file that a fault does not hurt."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from workers.rules.answer import Looked
from workers.rules.facts import LANGUAGE
from workers.rules.rule import Rule
from workers.rules.tally import KEPT_DAYS, RuleCount, RuleTally

TODAY = date(2026, 3, 10)


def named(name: str, *, shadow: bool = False) -> Rule:
    return Rule(name, LANGUAGE.compiled("true"), shadow=shadow)


def test_each_look_is_counted_for_its_day(tmp_path: Path) -> None:
    tally = RuleTally(tmp_path / "counts")
    assert tally.of(TODAY) == {}, "noop: nothing was asked"
    one, shadow = named("one"), named("two", shadow=True)
    tally.add([Looked(one, fits=True), Looked(shadow, fits=True)], TODAY)
    tally.add([Looked(one, failure="no such key"), Looked(shadow, late=True)], TODAY)
    tally.add([Looked(one)], TODAY + timedelta(days=1))
    assert RuleTally(tmp_path / "counts").of(TODAY) == {
        "one": RuleCount(asked=2, fitted=1, failed=1, failure="no such key"),
        "two": RuleCount(asked=2, shadow=1, late=1),
    }


def test_old_days_go_and_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    tally = RuleTally(tmp_path)
    tally.add([Looked(named("one"))], TODAY)
    tally.add([Looked(named("one"))], TODAY + timedelta(days=KEPT_DAYS))
    assert tally.of(TODAY) == {}
    (tmp_path / f"{TODAY}.json").write_text("[1", encoding="utf-8")
    assert tally.of(TODAY) == {}
    tally.add([Looked(named("one"), fits=True)], TODAY)
    assert tally.of(TODAY) == {"one": RuleCount(asked=1, fitted=1)}


def test_a_disk_that_is_away_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    RuleTally(tmp_path / "file" / "counts").add([Looked(named("one"))], TODAY)
