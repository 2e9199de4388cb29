"""Acts -> CSV that a spreadsheet reads as text."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from tests.fakes import NOON
from workers.act_ports import Act, ActKind
from workers.feedback.export import COLUMNS, as_csv

ACT = Act("1.2.3", 2, "full", ActKind.DISAGREED, "mina", NOON, ("A", "B"), "old infarct", 7)


def rows(*acts: Act) -> list[list[str]]:
    return list(csv.reader(io.StringIO(as_csv(acts))))


def test_noop_only_the_header() -> None:
    assert rows() == [list(COLUMNS)]


def test_one_line_for_each_act() -> None:
    when = NOON.isoformat()
    assert rows(ACT)[1] == ["7", when, "1.2.3", "2", "full", "disagree", "A B", "mina", "old infarct"]


@pytest.mark.parametrize("note", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_note_is_no_formula(note: str) -> None:
    assert rows(replace(ACT, note=note))[1][-1] == f"'{note}"


@pytest.mark.parametrize("note", ['a "quoted" one', "a\nb", "ü, 漢", ""])
def test_every_note_comes_back(note: str) -> None:
    assert rows(replace(ACT, note=note))[1][-1] == note
