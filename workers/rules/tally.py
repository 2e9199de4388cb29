"""Answers of the rules in, how often each rule did what on one day of the site out: a small file for each day.

The delivering process writes, the page reads. A power cut costs the count of a few answers, never an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from workers.log import brief, get_logger
from workers.rules.answer import Looked

log = get_logger(__name__)

KEPT_DAYS = 31


@dataclass(frozen=True)
class RuleCount:
    """What one rule did on one day.

    asked: how often somebody looked at it. fitted: it decided. shadow: it would have decided. late: its hours were
    others. failed: it had no value; failure: why, the last time.
    """

    asked: int = 0
    fitted: int = 0
    shadow: int = 0
    late: int = 0
    failed: int = 0
    failure: str = ""

    def with_look(self, one: Looked) -> RuleCount:
        return replace(
            self,
            asked=self.asked + 1,
            fitted=self.fitted + (one.fits and not one.rule.shadow),
            shadow=self.shadow + (one.fits and one.rule.shadow),
            late=self.late + one.late,
            failed=self.failed + (one.failure is not None),
            failure=one.failure or self.failure,
        )


class RuleTally:
    """The counts of a node. folder: where the files lie; it need not be there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, looked: Iterable[Looked], day: date) -> None:
        """A fault of the disk is logged: it must not stop what the rules decide."""
        try:
            counts = dict(self.of(day))
            for one in looked:
                counts[one.rule.name] = counts.get(one.rule.name, RuleCount()).with_look(one)
            self._folder.mkdir(parents=True, exist_ok=True)
            new = self._path(day).with_suffix(".new")
            new.write_text(json.dumps({name: asdict(one) for name, one in counts.items()}), encoding="utf-8")
            new.replace(self._path(day))
            self._path(day - timedelta(days=KEPT_DAYS)).unlink(missing_ok=True)
        except OSError as error:
            log.warning("rules.not_counted", error=brief(error))

    def of(self, day: date) -> Mapping[str, RuleCount]:
        """By the names of the rules; empty when nothing was asked, or when the file cannot be read."""
        try:
            found = json.loads(self._path(day).read_text(encoding="utf-8"))
            return {str(name): RuleCount(**one) for name, one in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("rules.counts_not_read", error=brief(error))
            return {}

    def _path(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.json"


def rule_tally(state_dir: Path) -> RuleTally:
    """The counts of the node with this state folder."""
    return RuleTally(state_dir / "rule-counts")
