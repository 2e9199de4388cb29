"""Acts in, a CSV table out: one line for each act, for a spreadsheet or a statistics program."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from workers.act_ports import Act
from workers.plain_text import without_hidden

COLUMNS = ("number", "at", "study_instance_uid", "revision", "stage", "act", "patterns", "by", "note")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that begins so


def as_csv(acts: Iterable[Act]) -> str:
    """A header line, then the acts as they come."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in acts:
        cells = (one.number, one.at.isoformat(), one.study_instance_uid, one.revision, one.stage, one.kind.value)
        table.writerow([*cells, " ".join(one.patterns), _plain(one.by), _plain(one.note)])
    return text.getvalue()


def _plain(text: str) -> str:
    text = without_hidden(text)
    return f"'{text}" if text.startswith(FORMULA) else text
